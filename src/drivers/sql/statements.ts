import type { CompiledQuery, ExpressionBuilder, Kysely, RawBuilder } from "kysely";
import type { Dialect, Tables } from "./schema.ts";
import type { Statement } from "./task.ts";

type KyselyModule = typeof import("kysely");

/** Stands for an argument while a statement is built. */
class Param {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

export interface Builder {
  readonly k: KyselyModule;
  readonly db: Kysely<Tables>;
  readonly dialect: Dialect;
  readonly schema: string | undefined;
  /** Read texts as bytes: libsql ends the whole process over a text that is no UTF-8 (its `value.rs`). */
  readonly bytes: boolean;
  arg<T>(name: string): RawBuilder<T>;
  /** Compiles what was built. */
  done(name: string, query: { compile(): CompiledQuery }, kind?: "one" | "none" | undefined): Statement;
}

/** A builder that has no connection: it only writes SQL. */
export function createBuilder(
  k: KyselyModule,
  dialect: Dialect,
  { schema, bytes = false }: { readonly schema?: string; readonly bytes?: boolean } = {},
): Builder {
  const adapter = dialect === "sqlite" ? new k.SqliteAdapter() : new k.PostgresAdapter();
  const compiler = () => (dialect === "sqlite" ? new k.SqliteQueryCompiler() : new k.PostgresQueryCompiler());
  const bare = new k.Kysely<Tables>({
    dialect: {
      createAdapter: () => adapter,
      createDriver: () => new k.DummyDriver(),
      createIntrospector: (db) => new k.SqliteIntrospector(db),
      createQueryCompiler: compiler,
    },
  });
  return {
    k,
    db: schema === undefined ? bare : bare.withSchema(schema),
    dialect,
    schema,
    bytes,
    arg: <T>(name: string) => k.sql<T>`${new Param(name)}`,
    done(name, query, kind) {
      const { sql, parameters } = query.compile();
      const params = parameters.map((value) => {
        if (value instanceof Param) return value.name;
        throw new TypeError(`${name}: a value stands where an argument must`);
      });
      return { name, sql, params, ...(kind === "one" ? { one: true } : kind === "none" ? { none: true } : {}) };
    },
  };
}

/** Fragments in which the dialects differ: what is inside of JSON. */
function fragments({ k: { sql }, dialect, bytes, arg }: Builder) {
  const sqlite = dialect === "sqlite";
  return {
    /** The yank of `v`, as JSON. */
    yankOf: sqlite
      ? sql<string | null>`json_extract(p.yanked, '$."' || v.version || '"')`
      : sql<string | null>`p.yanked -> v.version`,
    notYanked: sqlite
      ? sql<boolean>`(p.yanked IS NULL OR json_type(p.yanked, '$."' || v.version || '"') IS NULL)`
      : sql<boolean>`(p.yanked IS NULL OR NOT p.yanked ? v.version)`,
    labelled: sqlite
      ? sql<string | null>`json_extract(p.label_keys, '$."' || ${arg("label")} || '"')`
      : sql<string | null>`p.label_keys ->> ${arg("label")}`,
    content: (alias: string) =>
      bytes ? sql<string>`CAST(${sql.ref(`${alias}.content`)} AS BLOB)` : sql<string>`${sql.ref(`${alias}.content`)}`,
    json: (name: string) => (sqlite ? arg<string | null>(name) : sql<string | null>`CAST(${arg(name)} AS jsonb)`),
  };
}

const HEAD_COLUMNS = [
  "p.id",
  "p.live",
  "p.generation",
  "p.labels",
  "p.pin",
  "p.yanked",
  "p.deprecated",
  "p.updated_at",
] as const;

export type Statements = ReturnType<typeof createStatements>;

/** Every statement that both dialects share, compiled once when a database is opened. */
export function createStatements(builder: Builder) {
  const { db, arg, done, dialect, k } = builder;
  const { sql } = k;
  const f = fragments(builder);
  const promptOf = (name: string) => (eb: ExpressionBuilder<Tables, "prompts">) =>
    eb("prompts.name", "=", arg<string>(name));

  const withHead = () =>
    db
      .selectFrom("prompts as p")
      .select([...HEAD_COLUMNS])
      .select(sql<string | null>`${latestOf("v.version")}`.as("highest"));
  const { content } = f;
  const sqliteOnly = dialect === "sqlite";
  const SLOT = ["v.version", "v.tombstone", "v.revision"] as const;
  const pointed = (target: RawBuilder<string | null>) =>
    withHead()
      .leftJoin("versions as t", (join) => join.onRef("t.prompt_id", "=", "p.id").on("t.sort_key", "=", target))
      .select(["t.version", "t.tombstone", "t.revision", content("t").as("content")])
      .where("p.name", "=", arg<string>("name"));
  const names = (heads: boolean, removed: boolean) => {
    const base = heads ? withHead() : db.selectFrom("prompts as p");
    const rows = base
      .select("p.name")
      .where("p.name", ">=", arg<string>("from"))
      .where("p.name", "<", arg<string>("to"))
      .orderBy("p.name")
      .limit(arg<number>("limit"));
    // A literal, not an argument: a partial index is only used for what the planner can see.
    return done(
      `names${heads ? "_heads" : ""}${removed ? "_removed" : ""}`,
      removed ? rows.select("p.live") : rows.where("p.live", "=", sql.lit(1)),
    );
  };
  const versions = (removed: boolean) => {
    const rows = db
      .selectFrom("prompts as p")
      .innerJoin("versions as v", "v.prompt_id", "p.id")
      .select(["v.version", "v.tombstone", f.yankOf.as("yank")])
      .where("p.name", "=", arg<string>("name"))
      .where("v.sort_key", "<", arg<string>("before"))
      .orderBy("v.sort_key", "desc")
      .limit(arg<number>("limit"));
    return done(`versions${removed ? "_removed" : ""}`, removed ? rows : rows.where("v.tombstone", "=", sql.lit(0)));
  };

  return {
    /** One slot. A row without `version`: the prompt is there, the version is not. */
    readVersion: done(
      "read_version",
      db
        .selectFrom("prompts as p")
        .leftJoin("versions as v", (join) =>
          join.onRef("v.prompt_id", "=", "p.id").on("v.sort_key", "=", arg<string>("sortKey")),
        )
        .select([...SLOT, content("v").as("content")])
        .where("p.name", "=", arg<string>("name")),
      "one",
    ),
    readLabel: done("read_label", pointed(f.labelled), "one"),
    readLatest: done("read_latest", pointed(sql<string | null>`coalesce(p.pin_key, ${latestOf("v.sort_key")})`), "one"),
    readHead: done("read_head", withHead().where("p.name", "=", arg<string>("name")), "one"),

    names: { plain: names(false, false), heads: names(true, false) },
    namesRemoved: { plain: names(false, true), heads: names(true, true) },
    versions: versions(false),
    versionsRemoved: versions(true),
    history: done(
      "history",
      db
        .selectFrom(
          db
            .selectFrom("history as h")
            .innerJoin("prompts as p", "p.id", "h.prompt_id")
            .select(["h.at", sql<number>`1`.as("kind"), "h.id", "h.actor", "h.action", "h.label", "h.from_version"])
            .select(["h.to_version", "h.message", "h.commit_id"])
            .where("p.name", "=", arg<string>("name"))
            .where(sql<boolean>`(h.at, h.id) < (${arg("entryAt")}, ${arg("entryId")})`)
            .orderBy("h.at", "desc")
            .orderBy("h.id", "desc")
            .limit(arg<number>("limit"))
            .as("entries"),
        )
        .selectAll()
        .unionAll(
          db
            .selectFrom(
              db
                .selectFrom("versions as v")
                .innerJoin("prompts as p", "p.id", "v.prompt_id")
                .select(["v.created_at as at", sql<number>`0`.as("kind"), "v.id", "v.author as actor"])
                .select([sql<string>`'publish'`.as("action"), sql<string | null>`CAST(NULL AS text)`.as("label")])
                .select([sql<string | null>`CAST(NULL AS text)`.as("from_version"), "v.version as to_version"])
                .select(["v.message", sql<string | null>`CAST(NULL AS text)`.as("commit_id")])
                .where("p.name", "=", arg<string>("name"))
                .where("v.created_at", "is not", null)
                .where(sql<boolean>`(v.created_at, v.id) < (${arg("publishAt")}, ${arg("publishId")})`)
                .orderBy("v.created_at", "desc")
                .orderBy("v.id", "desc")
                .limit(arg<number>("limit"))
                .as("publishes"),
            )
            .selectAll() as never,
        )
        .orderBy("at", "desc")
        .orderBy("kind", "desc")
        .orderBy("id", "desc")
        .limit(arg<number>("limit")),
    ),

    /** For writing. On PostgreSQL the lock comes first, and what it protects is read by a statement of its own after it. */
    lock:
      dialect === "sqlite"
        ? undefined
        : done("lock", db.selectFrom("prompts").select("id").where(promptOf("name")).forUpdate(), "one"),
    state: done(
      "state",
      withHead()
        .select((eb) =>
          eb
            .selectFrom("prompt_registry_schema as s")
            .select((e) => e.fn.max("s.version").as("m"))
            .as("schema_version"),
        )
        .where("p.name", "=", arg<string>("name")),
      "one",
    ),
    slot: done(
      "slot",
      db
        .selectFrom("versions as v")
        .select(["v.id", ...SLOT, content("v").as("content")])
        .where("v.prompt_id", "=", arg<number>("prompt"))
        .where("v.sort_key", "=", arg<string>("sortKey")),
      "one",
    ),
    addPrompt: done(
      "add_prompt",
      db
        .insertInto("prompts")
        .values({ name: arg<string>("name"), live: arg<number>("live"), generation: arg<number>("generation") })
        .onConflict((oc) => oc.column("name").doNothing())
        .returning("id"),
      "one",
    ),
    addVersion: done(
      "add_version",
      db
        .insertInto("versions")
        .values({
          prompt_id: arg<number>("prompt"),
          version: arg<string>("version"),
          sort_key: arg<string>("sortKey"),
          tombstone: arg<number>("tombstone"),
          digest: arg<string>("digest"),
          created_at: arg<string | null>("createdAt"),
          author: arg<string | null>("author"),
          message: arg<string | null>("message"),
          content: arg<string>("content"),
        })
        .onConflict((oc) => oc.columns(["prompt_id", "sort_key"]).doNothing())
        .returning("id"),
      "one",
    ),
    replaceVersion: done(
      "replace_version",
      db
        .updateTable("versions")
        .set({
          tombstone: arg<number>("tombstone"),
          revision: sql<number>`revision + 1`,
          digest: arg<string>("digest"),
          created_at: arg<string | null>("createdAt"),
          author: arg<string | null>("author"),
          message: arg<string | null>("message"),
          content: arg<string>("content"),
        })
        .where("id", "=", arg<number>("id")),
      "none",
    ),
    setHead: done(
      "set_head",
      db
        .updateTable("prompts")
        .set({
          generation: arg<number>("generation"),
          pin: arg<string | null>("pin"),
          pin_key: arg<string | null>("pinKey"),
          labels: f.json("labels"),
          label_keys: f.json("labelKeys"),
          yanked: f.json("yanked"),
          deprecated: f.json("deprecated"),
          updated_at: arg<string | null>("updatedAt"),
        })
        .where("id", "=", arg<number>("prompt")),
      "none",
    ),
    setGeneration: done(
      "set_generation",
      db
        .updateTable("prompts")
        .set({ generation: arg<number>("generation") })
        .where("id", "=", arg<number>("prompt")),
      "none",
    ),
    setLive: done(
      "set_live",
      db
        .updateTable("prompts")
        .set({
          live: sql<number>`CASE WHEN EXISTS ${db
            .selectFrom("versions as v")
            .select("v.id")
            .where("v.prompt_id", "=", arg<number>("prompt"))
            .where("v.tombstone", "=", sql.lit(0))} THEN 1 ELSE 0 END`,
        })
        .where("id", "=", arg<number>("prompt")),
      "none",
    ),
    addEntry: done(
      "add_entry",
      db.insertInto("history").values({
        prompt_id: arg<number>("prompt"),
        at: arg<string>("at"),
        actor: arg<string | null>("by"),
        action: arg<string>("action"),
        label: arg<string | null>("label"),
        from_version: arg<string | null>("from"),
        to_version: arg<string | null>("to"),
        message: arg<string | null>("message"),
        commit_id: arg<string | null>("commit"),
      }),
      "none",
    ),

    schemaVersion: done(
      "schema_version",
      db.selectFrom("prompt_registry_schema").select((eb) => eb.fn.max("version").as("version")),
      "one",
    ),
    searchPosition: done("search_position", db.selectFrom("search_state").select("position"), "one"),
    setSearchPosition: done(
      "set_search_position",
      db.updateTable("search_state").set({ position: arg<string>("position") }),
      "none",
    ),
    /** Prompts whose name or indexed text may hold what is wanted; the reader looks again. */
    found: { any: found(false), matched: found(true) },
    /** Prompts whose mark of having live versions is wrong. */
    wrongLive: done(
      "wrong_live",
      db
        .selectFrom("prompts as p")
        .select(["p.id", "p.name", "p.live"])
        .where(
          sql<boolean>`p.live <> CASE WHEN EXISTS ${db
            .selectFrom("versions as v")
            .select("v.id")
            .where(sql<boolean>`v.prompt_id = p.id`)
            .where("v.tombstone", "=", sql.lit(0))} THEN 1 ELSE 0 END`,
        )
        .orderBy("p.name")
        .limit(arg<number>("limit")),
    ),
    /** The text that `latest` selects, of prompts by their numbers; one at a time on SQLite. */
    latestText: done(
      "latest_text",
      db
        .selectFrom("prompts as p")
        .leftJoin("versions as v", (join) =>
          join
            .onRef("v.prompt_id", "=", "p.id")
            .on("v.tombstone", "=", sql.lit(0))
            .on("v.sort_key", "=", sql<string>`coalesce(p.pin_key, ${latestOf("v.sort_key")})`),
        )
        .select(["p.id", content("v").as("content")])
        .where(
          sqliteOnly ? sql<boolean>`p.id = ${arg("id")}` : sql<boolean>`p.id = ANY(CAST(${arg("id")} AS bigint[]))`,
        ),
      sqliteOnly ? "one" : undefined,
    ),
  };

  function found(matched: boolean) {
    const sqlite = dialect === "sqlite";
    const named = sqlite
      ? sql<boolean>`instr(p.name, ${arg("wanted")}) > 0`
      : sql<boolean>`strpos(p.name, ${arg("wanted")}) > 0`;
    const index = sql.table(builder.schema === undefined ? "search" : `${builder.schema}.search`);
    const indexed = sqlite
      ? sql<boolean>`p.id IN (SELECT rowid FROM search WHERE search MATCH ${arg("match")})`
      : sql<boolean>`p.id IN (SELECT s.prompt_id FROM ${index} AS s WHERE s.trigrams IS NULL OR s.trigrams @@ CAST(${arg("match")} AS tsquery))`;
    // What was changed and could not be put into the index, because the database is only read.
    const pending = sqlite
      ? sql<boolean>`p.id IN (SELECT prompt_id FROM versions WHERE id > ${arg("added")}
      UNION ALL SELECT prompt_id FROM feed WHERE seq > ${arg("changed")})`
      : sql<boolean>`false`;
    const rows = withHead()
      .leftJoin("versions as t", (join) =>
        join
          .onRef("t.prompt_id", "=", "p.id")
          .on("t.sort_key", "=", sql<string>`coalesce(p.pin_key, ${latestOf("v.sort_key")})`),
      )
      .select(["p.name", "t.version", content("t").as("content")])
      .where("p.name", ">=", arg<string>("from"))
      .where("p.name", "<", arg<string>("to"))
      .where(sql<boolean>`(p.live = 1 OR ${arg("removed")} = 1)`)
      .orderBy("p.name")
      .limit(arg<number>("limit"));
    return done(
      `found${matched ? "_matched" : ""}`,
      matched ? rows.where(sql<boolean>`(${indexed} OR ${named} OR ${pending})`) : rows,
    );
  }

  /**
   * The highest version that is neither yanked nor removed, and a prerelease only where there is no other: a step in the
   * index of slots, and one more for each that is passed over.
   */
  function latestOf(column: "v.version" | "v.sort_key") {
    const live = db
      .selectFrom("versions as v")
      .select(column)
      .where(sql<boolean>`v.prompt_id = p.id`)
      .where("v.tombstone", "=", sql.lit(0))
      .where(f.notYanked)
      .orderBy("v.sort_key", "desc")
      .limit(sql.lit(1));
    return sql<string | null>`coalesce(${live.where(sql<boolean>`v.sort_key LIKE '%~'`)}, ${live})`;
  }
}
