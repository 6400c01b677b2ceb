import { randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { RegistryError, show } from "../../errors.ts";
import { asciiJson } from "../ascii-json.ts";
import { isTorn, Journal, tornOf } from "./journal.ts";
import { type TokenRecord, type TokenStore, tokenExists, tokenNotFound } from "./store.ts";

/**
 * Tokens in one file, mode 0600: a line for each that was created and for each revocation, only ever appended to, so that
 * any number of processes may write it at once without a lock. When each was last used lies in a second file beside it,
 * which may lag, and may be lost.
 *
 * @param path created, with its folder, with the first token
 * @throws RegistryError CONFIG where others may read it; CORRUPT where a line can't be read: then nobody gets in
 * @example
 * const access = createAccess({ tokens: fileTokens("/var/lib/prompts/tokens.jsonl") });
 */
export function fileTokens(path: string): TokenStore {
  const location = `file:${path}`;
  const journal = new Journal(path, "the token file");
  const used = new LastUsed(`${path}.used`);
  let records = new Map<string, TokenRecord>();
  let damaged: RegistryError | undefined;
  let revision = 0;
  let queue: Promise<unknown> = Promise.resolve();

  /** One at a time: each goes on where the last has stopped reading. */
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = queue.then(run, run);
    queue = next.catch(() => {});
    return next;
  }

  async function load(create = false): Promise<Buffer> {
    if (!create && damaged === undefined && (await journal.isCurrent())) return NOTHING;
    let tail: Buffer = NOTHING;
    // What can't be read may only have been half there yet, or was repaired by hand.
    if (damaged !== undefined) journal.forget();
    damaged = undefined;
    try {
      const news = await journal.read(create);
      if (news === undefined || news.fresh) records = new Map();
      tail = news?.tail ?? NOTHING;
      fold(news?.lines ?? []);
    } catch (error) {
      throw journal.failure(error, "can't be read");
    }
    if (damaged !== undefined) throw damaged;
    return tail;
  }

  function fold(lines: readonly string[]): void {
    let doubtful: string | undefined;
    for (const line of lines) {
      const entry = parse(line);
      if (doubtful !== undefined && !isTorn(doubtful, entry?.torn)) damaged ??= unreadable(doubtful);
      doubtful = undefined;
      if (entry?.token !== undefined) {
        // The first holds its id for ever.
        if (!records.has(entry.token.id)) records.set(entry.token.id, entry.token);
      } else if (entry?.revoked !== undefined) {
        const { id, at } = entry.revoked;
        const record = records.get(id);
        if (record !== undefined) records.set(id, { ...record, revokedAt: record.revokedAt ?? at });
      } else if (entry?.torn === undefined) doubtful = line;
    }
    if (doubtful !== undefined) damaged ??= unreadable(doubtful);
  }

  function unreadable(line: string): RegistryError {
    return new RegistryError(
      "CORRUPT",
      `the token file ${show(path)} has a line that can't be read, of ${line.length} characters, starting ${show(line, 24)}; it may be a revocation: repair or remove it`,
      { path },
    );
  }

  async function append(entry: Entry, tail: Buffer): Promise<void> {
    const torn = tail.length === 0 ? "" : `\n${asciiJson({ torn: tornOf(tail) } satisfies Entry)}\n`;
    try {
      await journal.append(`${torn}${asciiJson(entry)}\n`);
    } catch (error) {
      throw journal.failure(error, "can't be written", "unknown");
    } finally {
      revision++;
    }
  }

  return {
    kind: "file",
    location,
    get revision() {
      return revision;
    },
    get: (id) =>
      inTurn(async () => {
        await load();
        return records.get(id);
      }),
    list: () =>
      inTurn(async () => {
        await load();
        const times = await used.read();
        return [...records.values()].map((record) => {
          const lastUsedAt = times[record.id];
          return lastUsedAt === undefined ? record : { ...record, lastUsedAt };
        });
      }),
    create: (record) =>
      inTurn(async () => {
        const tail = await load(true);
        if (records.has(record.id)) throw tokenExists(record.id, location);
        await append({ token: record }, tail);
        await load();
        // Two processes drew the same id: unlikely beyond all measure, and still not to be missed.
        if (records.get(record.id)?.hash !== record.hash) throw tokenExists(record.id, location);
      }),
    revoke: (id, at) =>
      inTurn(async () => {
        await load();
        if (!records.has(id)) throw tokenNotFound(id, location);
        for (let tries = 0; tries < 3; tries++) {
          const tail = await load(true);
          const record = records.get(id);
          if (record?.revokedAt !== undefined) return record;
          await append({ revoked: { id, at } }, tail);
        }
        // Somebody put another file in its place, again and again.
        throw new RegistryError(
          "CONFLICT",
          `the token file ${show(path)} is being changed by somebody else; try again`,
          {
            path,
          },
        );
      }),
    touch: (id, at) => inTurn(() => used.set(id, at)),
    close: () => inTurn(() => journal.close()),
  };
}

const NOTHING = Buffer.alloc(0);

interface Entry {
  readonly token?: TokenRecord;
  readonly revoked?: { readonly id: string; readonly at: string };
  readonly torn?: { readonly bytes: number; readonly sha256: string };
}

function parse(line: string): Entry | undefined {
  let value: Entry | null;
  try {
    value = JSON.parse(line) as Entry | null;
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { token, revoked, torn } = value;
  if (torn !== undefined) return { torn };
  if (typeof revoked?.id === "string" && typeof revoked.at === "string") return { revoked };
  return isRecord(token) ? { token } : undefined;
}

function isRecord(token: TokenRecord | undefined): token is TokenRecord {
  if (typeof token !== "object" || token === null) return false;
  const { id, name, hash, scopes, createdAt, expiresAt = "", cidrs = [], revokedAt = "" } = token;
  const texts = [id, name, hash, createdAt, expiresAt, revokedAt];
  return [...texts, ...list(scopes), ...list(cidrs)].every((text) => typeof text === "string");
}

/** What is no list makes the whole unreadable. */
function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [undefined];
}

/** Coarse times that nobody waits for; of two processes that write at once, one is heard, the other a minute later. */
class LastUsed {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<Readonly<Record<string, string>>> {
    try {
      const value = JSON.parse(await readFile(this.#path, "utf8")) as unknown;
      if (typeof value !== "object" || value === null) return {};
      return Object.fromEntries(Object.entries(value).filter(([, at]) => typeof at === "string"));
    } catch {
      return {};
    }
  }

  async set(id: string, at: string): Promise<void> {
    const temp = `${this.#path}.${randomUUID()}`;
    try {
      await writeFile(temp, `${JSON.stringify({ ...(await this.read()), [id]: at }, null, 1)}\n`, { mode: 0o600 });
      await rename(temp, this.#path);
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
  }
}
