export { type PostgresNative, postgres } from "./postgres/index.ts";
export { postgresWhenThere } from "./postgres/later.ts";
export type { ListenHandler } from "./postgres/listen.ts";
export type { PostgresOptions } from "./postgres/options.ts";
export { type SqliteNative, type SqliteOptions, sqlite } from "./sqlite/index.ts";
