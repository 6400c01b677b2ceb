import { RegistryError, show } from "../../errors.ts";

/** What is kept of a token: everything but the token. */
export interface TokenRecord {
  /** 12 characters of `[0-9a-z]`, never used twice. */
  readonly id: string;
  /** What its holder is called; the author of what it changes. */
  readonly name: string;
  /** SHA-256 of the token, in hex. */
  readonly hash: string;
  /** As {@link parseScope} reads them. */
  readonly scopes: readonly string[];
  /** ISO 8601, like all times here. */
  readonly createdAt: string;
  readonly createdBy?: string;
  /** Absent: never. */
  readonly expiresAt?: string;
  /** Only from these networks. Absent: from anywhere. */
  readonly cidrs?: readonly string[];
  readonly revokedAt?: string;
  /** To the minute, and only a hint: it may lag, and is never waited for. */
  readonly lastUsedAt?: string;
}

/** Where tokens are kept. Any number of processes may use one at the same time. */
export interface TokenStore {
  readonly kind: "memory" | "file" | "sqlite" | "postgres";
  /** For messages; never holds a secret. */
  readonly location: string;
  /** Grows whenever this process changed something, so that what was remembered is asked for again at once. */
  readonly revision: number;
  /**
   * A token by its id, also a revoked or expired one; `undefined` where there surely is none.
   *
   * @throws RegistryError where that can't be told
   */
  get(id: string): Promise<TokenRecord | undefined>;
  /** All of them, oldest first. */
  list(): Promise<readonly TokenRecord[]>;
  /**
   * Durable when it resolves.
   *
   * @throws RegistryError ALREADY_EXISTS
   */
  create(record: TokenRecord): Promise<void>;
  /**
   * Durable when it resolves; revoking again keeps the first time.
   *
   * @throws RegistryError NOT_FOUND
   */
  revoke(id: string, at: string): Promise<TokenRecord>;
  touch(id: string, at: string): Promise<void>;
  close(): Promise<void>;
}

export function tokenNotFound(id: string, location: string): RegistryError {
  return new RegistryError("NOT_FOUND", `there is no token ${show(id)} in ${location}; \`token list\` shows the ids`, {
    field: "id",
    location,
  });
}

export function tokenExists(id: string, location: string): RegistryError {
  return new RegistryError("ALREADY_EXISTS", `there is a token ${show(id)} in ${location} already`, {
    field: "id",
    location,
  });
}

/**
 * Tokens that end with the process: for tests.
 *
 * @example
 * const access = createAccess({ tokens: memoryTokens() });
 */
export function memoryTokens(): TokenStore {
  const records = new Map<string, TokenRecord>();
  let revision = 0;
  return {
    kind: "memory",
    location: "memory:",
    get revision() {
      return revision;
    },
    async get(id) {
      return records.get(id);
    },
    async list() {
      return [...records.values()];
    },
    async create(record) {
      if (records.has(record.id)) throw tokenExists(record.id, "memory:");
      records.set(record.id, record);
      revision++;
    },
    async revoke(id, at) {
      const record = records.get(id);
      if (record === undefined) throw tokenNotFound(id, "memory:");
      const revoked = { ...record, revokedAt: record.revokedAt ?? at };
      records.set(id, revoked);
      revision++;
      return revoked;
    },
    async touch(id, at) {
      const record = records.get(id);
      if (record !== undefined) records.set(id, { ...record, lastUsedAt: at });
    },
    async close() {},
  };
}
