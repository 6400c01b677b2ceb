import type { Migration } from "../../drivers/sql/schema.ts";

/** What belongs to a server, in the database of its registry. Times are ISO 8601; lists are JSON. */
export interface ServerTables {
  access_tokens: {
    id: string;
    name: string;
    hash: string;
    scopes: string;
    created_at: string;
    created_by: string | null;
    expires_at: string | null;
    cidrs: string | null;
    revoked_at: string | null;
    last_used_at: string | null;
  };
  audit_log: { seq: number; line: string };
  /** One row: the end of the chain, which whoever appends holds locked meanwhile. */
  audit_head: { id: number; seq: number; hash: string };
}

/**
 * Numbered apart from the tables of the registry, so that a registry is opened by versions that know nothing of these.
 * Never edited once released: only followed by others.
 */
export const MIGRATIONS: readonly Omit<Migration, "detail">[] = [
  {
    version: 1,
    sqlite: [
      `CREATE TABLE access_tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT,
  expires_at TEXT,
  cidrs TEXT,
  revoked_at TEXT,
  last_used_at TEXT
) STRICT`,
      "CREATE TABLE audit_log (seq INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT",
      "CREATE TABLE audit_head (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT",
      "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')",
    ],
    postgres: [
      `CREATE TABLE $schema.access_tokens (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  hash text NOT NULL,
  scopes text NOT NULL,
  created_at text COLLATE "C" NOT NULL,
  created_by text,
  expires_at text,
  cidrs text,
  revoked_at text,
  last_used_at text
)`,
      "CREATE TABLE $schema.audit_log (seq bigint PRIMARY KEY, line text NOT NULL)",
      "CREATE TABLE $schema.audit_head (id integer PRIMARY KEY, seq bigint NOT NULL, hash text NOT NULL)",
      "INSERT INTO $schema.audit_head (id, seq, hash) VALUES (1, 0, '')",
    ],
  },
];

export const SCHEMA_VERSION = (MIGRATIONS.at(-1) as (typeof MIGRATIONS)[number]).version;
