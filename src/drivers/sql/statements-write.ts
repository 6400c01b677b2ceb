import { type Builder, createParts } from "./builder.ts";

/** Statements of a transaction that writes, shared by both dialects. */
export function writeStatements(builder: Builder) {
  const { db, arg, done, dialect, k } = builder;
  const { sql } = k;
  const { withHead, content, json } = createParts(builder);
  const SLOT = ["v.version", "v.tombstone", "v.revision"] as const;
  const sqlite = dialect === "sqlite";
  const inserted = sqlite ? "inserts" : "one";

  return {
    /** For writing. On PostgreSQL the lock comes first, and what it protects is read by a statement of its own after it. */
    lock: sqlite
      ? undefined
      : done("lock", db.selectFrom("prompts").select("id").where("name", "=", arg<string>("name")).forUpdate(), "one"),
    state: done("state", withHead().where("p.name", "=", arg<string>("name")), "one"),
    /** With the version of the schema, where nothing needs to be locked and one statement for both is cheaper than two. */
    stateForPublish: done(
      "state_for_publish",
      withHead()
        .select(db.selectFrom("prompt_registry_schema").select(sql`max(version)`.as("v")).as("schema_version"))
        .where("p.name", "=", arg<string>("name")),
      "one",
    ),
    /** Of many prompts at once, where a transaction keeps all others out and nothing needs to be locked. */
    states: sqlite
      ? done(
          "states",
          withHead()
            .select("p.name")
            .where(sql<boolean>`p.name IN (SELECT value FROM json_each(${arg("names")}))`),
        )
      : undefined,
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
        .$if(!sqlite, (query) => query.returning("id")),
      inserted,
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
        .$if(!sqlite, (query) => query.returning("id")),
      inserted,
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
        .where("prompt_id", "=", arg<number>("prompt"))
        .where("sort_key", "=", arg<string>("sortKey")),
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
          labels: json("labels"),
          label_keys: json("labelKeys"),
          yanked: json("yanked"),
          deprecated: json("deprecated"),
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

    setSearchPosition: done(
      "set_search_position",
      db.updateTable("search_state").set({ position: arg<string>("position") }),
      "none",
    ),
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
  };
}
