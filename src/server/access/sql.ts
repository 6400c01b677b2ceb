import { all, type Decision, first, type Row, type Task } from "../../drivers/sql/task.ts";
import { type Database, openDatabase } from "./database.ts";
import type { PostgresPlace, SqlitePlace } from "./places.ts";
import { type TokenRecord, type TokenStore, tokenExists, tokenNotFound } from "./store.ts";

/**
 * Tokens in the registry's own SQLite or PostgreSQL database, in tables of their own; any number of servers share them.
 *
 * @throws RegistryError CONFIG, FORBIDDEN, UNAVAILABLE
 * @example
 * const access = createAccess({ tokens: await sqlTokens({ backend: "sqlite", path: "./registry.db" }) });
 */
export async function sqlTokens(place: SqlitePlace | PostgresPlace): Promise<TokenStore> {
  const database = await openDatabase(place);
  const { kind, location } = database;
  const statements = createStatements(database);
  let revision = 0;

  function* one(id: string): Task<TokenRecord | undefined> {
    const row = yield* first(statements.get, { id });
    return row === undefined ? undefined : toRecord(row);
  }

  return {
    kind,
    location,
    get revision() {
      return revision;
    },
    get: (id) => database.read(() => one(id), "tokens.get"),
    list: () =>
      database.read(function* () {
        return (yield* all(statements.list)).map(toRecord);
      }, "tokens.list"),
    async create(record) {
      function* run(): Task<Decision<boolean>> {
        if ((yield* one(record.id)) !== undefined) return { value: false, keep: false };
        yield* all(statements.create, toArgs(record));
        return { value: true, keep: true };
      }
      if (!(await database.write(run, "tokens.create"))) throw tokenExists(record.id, location);
      revision++;
    },
    async revoke(id, at) {
      function* run(): Task<Decision<TokenRecord | undefined>> {
        yield* all(statements.revoke, { id, at });
        return { value: yield* one(id), keep: true };
      }
      try {
        const record = await database.write(run, "tokens.revoke");
        if (record === undefined) throw tokenNotFound(id, location);
        return record;
      } finally {
        // Also where it is not known whether it was done.
        revision++;
      }
    },
    touch: (id, at) =>
      database.write(function* () {
        yield* all(statements.touch, { id, at });
        return { value: undefined, keep: true };
      }, "tokens.touch"),
    close: () => database.close(),
  };
}

function createStatements({ tables, builder }: Database) {
  const { arg, done } = builder;
  const records = tables.selectFrom("access_tokens").selectAll();
  const update = tables.updateTable("access_tokens").where("id", "=", arg<string>("id"));
  return {
    get: done("token_get", records.where("id", "=", arg<string>("id")), "one"),
    list: done("token_list", records.orderBy("created_at").orderBy("id")),
    create: done(
      "token_create",
      tables.insertInto("access_tokens").values({
        id: arg<string>("id"),
        name: arg<string>("name"),
        hash: arg<string>("hash"),
        scopes: arg<string>("scopes"),
        created_at: arg<string>("created_at"),
        created_by: arg<string | null>("created_by"),
        expires_at: arg<string | null>("expires_at"),
        cidrs: arg<string | null>("cidrs"),
        revoked_at: arg<string | null>("revoked_at"),
        last_used_at: arg<string | null>("last_used_at"),
      }),
      "none",
    ),
    revoke: done("token_revoke", update.set({ revoked_at: arg<string>("at") }).where("revoked_at", "is", null), "none"),
    touch: done("token_touch", update.set({ last_used_at: arg<string>("at") }), "none"),
  };
}

function toArgs(record: TokenRecord) {
  return {
    id: record.id,
    name: record.name,
    hash: record.hash,
    scopes: JSON.stringify(record.scopes),
    created_at: record.createdAt,
    created_by: record.createdBy ?? null,
    expires_at: record.expiresAt ?? null,
    cidrs: record.cidrs === undefined ? null : JSON.stringify(record.cidrs),
    revoked_at: record.revokedAt ?? null,
    last_used_at: record.lastUsedAt ?? null,
  };
}

function toRecord(row: Row): TokenRecord {
  const text = (key: string) => row[key] as string;
  const optional = (key: string, column: string) => (row[column] === null ? {} : { [key]: text(column) });
  return {
    id: text("id"),
    name: text("name"),
    hash: text("hash"),
    scopes: JSON.parse(text("scopes")) as string[],
    createdAt: text("created_at"),
    ...optional("createdBy", "created_by"),
    ...optional("expiresAt", "expires_at"),
    ...(row.cidrs === null ? {} : { cidrs: JSON.parse(text("cidrs")) as string[] }),
    ...optional("revokedAt", "revoked_at"),
    ...optional("lastUsedAt", "last_used_at"),
  };
}
