import type { CompiledQuery, Kysely, RawBuilder } from "kysely";
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
  done(name: string, query: { compile(): CompiledQuery }, kind?: "one" | "none" | "inserts" | undefined): Statement;
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
      return { name, sql, params, ...(kind === undefined ? {} : { [kind]: true }) };
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

/** What statements are made of. */
export function createParts(builder: Builder) {
  const { db, k } = builder;
  const { sql } = k;
  const fragment = fragments(builder);

  const withHead = () =>
    db
      .selectFrom("prompts as p")
      .select([...HEAD_COLUMNS])
      .select(sql<string | null>`${latestOf("v.version")}`.as("highest"));
  const pointed = (target: RawBuilder<string | null>) =>
    withHead()
      .leftJoin("versions as t", (join) => join.onRef("t.prompt_id", "=", "p.id").on("t.sort_key", "=", target))
      .select(["t.version", "t.tombstone", "t.revision", fragment.content("t").as("content")]);
  /** The slot that `latest` selects. */
  const selected = () => sql<string | null>`coalesce(p.pin_key, ${latestOf("v.sort_key")})`;
  return { ...fragment, withHead, pointed, selected };

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
      .where(fragment.notYanked)
      .orderBy("v.sort_key", "desc")
      .limit(sql.lit(1));
    return sql<string | null>`coalesce(${live.where(sql<boolean>`v.sort_key LIKE '%~'`)}, ${live})`;
  }
}
