import { type Builder, createParts } from "./builder.ts";

/** The length of a page when nobody asks for another. */
export const USUAL_LIMIT = 100;

/** Statements that only read, shared by both dialects. */
export function readStatements(builder: Builder) {
  const { db, arg, done, dialect, k } = builder;
  const { sql } = k;
  const { withHead, pointed, selected, content, ...f } = createParts(builder);
  const sqlite = dialect === "sqlite";
  const SLOT = ["v.version", "v.tombstone", "v.revision"] as const;
  const labelled = () => pointed(f.labelled).where("p.name", "=", arg<string>("name"));
  const latest = () => pointed(selected()).where("p.name", "=", arg<string>("name"));
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
  const allNames = () =>
    db
      .selectFrom("prompts as p")
      .select("p.name")
      .where("p.name", ">=", arg<string>("from"))
      .where("p.live", "=", sql.lit(1))
      .orderBy("p.name");
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
    readLabel: done("read_label", labelled(), "one"),
    readLatest: done("read_latest", latest(), "one"),
    readHead: done("read_head", withHead().where("p.name", "=", arg<string>("name")), "one"),

    names: { plain: names(false, false), heads: names(true, false) },
    /** The commonest list: a bound above is a comparison for every row, and the query has a hundred. */
    allNames: done("names_all", allNames().limit(arg<number>("limit"))),
    /** With a limit that it can't see PostgreSQL plans anew each time, which takes half as long as the page. */
    usualNames: done("names_usual", allNames().limit(sql.lit(USUAL_LIMIT + 1))),
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
            .select([
              "h.at",
              sql<number>`1`.as("kind"),
              "h.id",
              sql<string>`''`.as("sort_key"),
              "h.actor",
              "h.action",
              "h.label",
              "h.from_version",
            ])
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
                .select(["v.created_at as at", sql<number>`0`.as("kind"), "v.id", "v.sort_key", "v.author as actor"])
                .select([sql<string>`'publish'`.as("action"), sql<string | null>`CAST(NULL AS text)`.as("label")])
                .select([sql<string | null>`CAST(NULL AS text)`.as("from_version"), "v.version as to_version"])
                .select(["v.message", sql<string | null>`CAST(NULL AS text)`.as("commit_id")])
                .where("p.name", "=", arg<string>("name"))
                .where("v.created_at", "is not", null)
                .where(sql<boolean>`(v.created_at, v.sort_key) < (${arg("publishAt")}, ${arg("publishKey")})`)
                .orderBy("v.created_at", "desc")
                .orderBy("v.sort_key", "desc")
                .limit(arg<number>("limit"))
                .as("publishes"),
            )
            .selectAll() as never,
        )
        .orderBy("at", "desc")
        .orderBy("kind", "desc")
        .orderBy("sort_key", "desc")
        .orderBy("id", "desc")
        .limit(arg<number>("limit")),
    ),

    /** Prompts whose name or indexed text may hold what is wanted; the reader looks again. */
    found: { any: found(false), matched: found(true) },
    /** The text that `latest` selects, of prompts by their numbers; one at a time on SQLite. */
    latestText: done(
      "latest_text",
      db
        .selectFrom("prompts as p")
        .leftJoin("versions as v", (join) =>
          join.onRef("v.prompt_id", "=", "p.id").on("v.tombstone", "=", sql.lit(0)).on("v.sort_key", "=", selected()),
        )
        .select(["p.id", content("v").as("content")])
        .where(sqlite ? sql<boolean>`p.id = ${arg("id")}` : sql<boolean>`p.id = ANY(CAST(${arg("id")} AS bigint[]))`),
      sqlite ? "one" : undefined,
    ),
    schemaVersion: done(
      "schema_version",
      db.selectFrom("prompt_registry_schema").select((eb) => eb.fn.max("version").as("version")),
      "one",
    ),
    searchPosition: done("search_position", db.selectFrom("search_state").select("position"), "one"),
  };

  function found(matched: boolean) {
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
    const rows = pointed(selected())
      .select("p.name")
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
}
