import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RegistryError } from "../../errors.ts";
import { Lru } from "../fs/lru.ts";
import type { Client } from "./client.ts";
import { broken } from "./failure.ts";
import { blobId, isObjectId } from "./objects.ts";
import { ARCHIVE_LIMITS, readTarball } from "./tarball.ts";

/** A blob as text; `undefined` for bytes that are no UTF-8. */
export interface BlobText {
  readonly text: string | undefined;
}

/** Blobs of one GraphQL query. */
const PER_QUERY = 128;
/** How long no archive is asked for after one that did not come in time. */
const ARCHIVE_PAUSE_MS = 5 * 60_000;
/** From here on one archive is cheaper than the blobs one by one. */
const TARBALL_FROM = { graphql: 400, rest: 40 };
const WIDTH = 8;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function decodeBlob(bytes: Uint8Array): BlobText {
  try {
    return { text: utf8.decode(bytes) };
  } catch {
    return { text: undefined };
  }
}

/** Blobs by their object id, which is checked: what has the right id is the right text, for ever. */
export class Blobs {
  readonly #client: Client;
  readonly #memory: Lru<BlobText>;
  readonly #loading = new Map<string, Promise<BlobText>>();
  /** Until then, by `performance.now()`, archives are not asked for. */
  #noArchiveUntil = Number.NEGATIVE_INFINITY;

  constructor(client: Client) {
    this.#client = client;
    this.#memory = new Lru(client.settings.cacheBytes);
  }

  has(id: string): boolean {
    return this.#memory.get(id) !== undefined;
  }

  peek(id: string): BlobText | undefined {
    return this.#memory.get(id);
  }

  put(id: string, blob: BlobText): void {
    this.#memory.set(id, blob, (blob.text?.length ?? 0) * 2 + 200);
  }

  /** Takes bytes that came with something else, if they are what the id says. */
  offer(id: string, text: string): boolean {
    const bytes = Buffer.from(text, "utf8");
    if (blobId(bytes, id) !== id) return false;
    this.put(id, decodeBlob(bytes));
    return true;
  }

  async one(id: string): Promise<BlobText> {
    return (await this.load([id])).get(id) as BlobText;
  }

  /**
   * Every one of them. Memory, then disk, then in as few calls as there can be.
   *
   * @param commit where they are to be found all together
   */
  async load(ids: Iterable<string>, commit?: string): Promise<ReadonlyMap<string, BlobText>> {
    const wanted = [...new Set(ids)];
    const found = new Map<string, BlobText>();
    const missing: string[] = [];
    for (const id of wanted) {
      const known = this.#memory.get(id);
      if (known !== undefined) found.set(id, known);
      else if (!this.#loading.has(id)) missing.push(id);
    }
    if (missing.length > 0) this.#start(missing, commit);
    await Promise.all(
      wanted.map(async (id) => {
        if (!found.has(id)) found.set(id, await (this.#loading.get(id) ?? this.#again(id)));
      }),
    );
    return found;
  }

  /** It was there when the load began, and was dropped for others since. */
  #again(id: string): Promise<BlobText> {
    const known = this.#memory.get(id);
    if (known !== undefined) return Promise.resolve(known);
    this.#start([id], undefined);
    return this.#loading.get(id) as Promise<BlobText>;
  }

  #start(ids: readonly string[], commit: string | undefined): void {
    const got = new Map<string, BlobText>();
    const work = this.#fetch(ids, commit, (id, blob) => {
      got.set(id, blob);
      this.put(id, blob);
    });
    for (const id of ids) {
      const one = work.then(() => {
        const blob = got.get(id);
        if (blob === undefined) throw new RegistryError("INTERNAL", `blob ${id} was not loaded`);
        return blob;
      });
      this.#loading.set(id, one);
      one.then(
        () => this.#loading.delete(id),
        () => this.#loading.delete(id),
      );
    }
  }

  async #fetch(
    ids: readonly string[],
    commit: string | undefined,
    take: (id: string, blob: BlobText) => void,
  ): Promise<void> {
    let left = await this.#fromDisk(ids, take);
    const keep = async (id: string, bytes: Uint8Array) => {
      take(id, decodeBlob(bytes));
      await this.#toDisk(id, bytes);
    };
    const byGraphql = await this.#client.hasGraphql();
    const isMany = left.length >= (byGraphql ? TARBALL_FROM.graphql : TARBALL_FROM.rest);
    if (commit !== undefined && isMany && performance.now() >= this.#noArchiveUntil) {
      left = await this.#fromTarball(left, commit, keep);
    }
    if (left.length > 1 && byGraphql) left = await this.#fromGraphql(left, keep);
    const queue = [...left];
    await Promise.all(
      Array.from({ length: Math.min(WIDTH, queue.length) }, async () => {
        for (let id = queue.pop(); id !== undefined; id = queue.pop()) await keep(id, await this.#fromRest(id));
      }),
    );
  }

  async #fromRest(id: string): Promise<Buffer> {
    const { repoPath, settings } = this.#client;
    const operation = "reading a blob";
    const what = { operation, location: settings.location, mutates: false };
    const reply = await this.#client.send({
      method: "GET",
      path: `${repoPath}/git/blobs/${id}`,
      operation,
      accept: [404],
    });
    // The tree names it, so it is there: this is a replica that lags, and no answer.
    if (reply.status === 404) throw broken("found no such blob, though the tree names it", what);
    const { content, encoding } = reply.data as { content?: unknown; encoding?: unknown };
    const bytes = Buffer.from(String(content), encoding === "base64" ? "base64" : "utf8");
    if (blobId(bytes, id) !== id) throw broken("got bytes that are not those of the id: damaged on the way", what);
    return bytes;
  }

  /** @returns what is still missing: what is no text, or was cut */
  async #fromGraphql(
    ids: readonly string[],
    keep: (id: string, bytes: Uint8Array) => Promise<void>,
  ): Promise<string[]> {
    const left: string[] = [];
    const { owner, repo } = this.#client.settings;
    for (let i = 0; i < ids.length; i += PER_QUERY) {
      const part = ids.slice(i, i + PER_QUERY).filter(isObjectId);
      const fields = part.map((id, n) => `b${n}: object(oid: "${id}") { ... on Blob { text } }`).join("\n");
      const query = `query($owner: String!, $repo: String!) { repository(owner: $owner, name: $repo) {\n${fields}\n} }`;
      const reply = await this.#client.tryGraphql(query, { owner, repo }, "reading blobs");
      const repository = reply?.data.repository as Record<string, { text?: string | null } | null> | null | undefined;
      for (const [n, id] of part.entries()) {
        const text = repository?.[`b${n}`]?.text;
        const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : undefined;
        if (bytes !== undefined && blobId(bytes, id) === id) await keep(id, bytes);
        else left.push(id);
      }
    }
    return left;
  }

  async #fromTarball(
    ids: readonly string[],
    commit: string,
    keep: (id: string, bytes: Uint8Array) => Promise<void>,
  ): Promise<string[]> {
    const wanted = new Set(ids);
    const { repoPath } = this.#client;
    try {
      const { data } = await this.#client.send({
        method: "GET",
        path: `${repoPath}/tarball/${commit}`,
        operation: "reading the archive",
        maxBytes: ARCHIVE_LIMITS.compressed,
      });
      const like = ids[0];
      for await (const bytes of readTarball(data as Uint8Array)) {
        const id = blobId(bytes, like);
        if (wanted.delete(id)) await keep(id, bytes);
        if (wanted.size === 0) break;
      }
    } catch (error) {
      // Archives are a short cut; attributes may change what is in them.
      const code = error instanceof RegistryError ? error.code : undefined;
      if (code === "RATE_LIMITED") throw error;
      // Too large it stays; too slow it may have been for once, and each try costs the whole of the time.
      if (code === "UNSUPPORTED") this.#noArchiveUntil = Number.POSITIVE_INFINITY;
      if (code === "TIMEOUT")
        this.#noArchiveUntil = Math.max(this.#noArchiveUntil, performance.now() + ARCHIVE_PAUSE_MS);
    }
    return [...wanted];
  }

  #file(id: string): string | undefined {
    const { disk } = this.#client.settings;
    return disk === undefined || !isObjectId(id) ? undefined : join(disk, id.slice(0, 2), id.slice(2));
  }

  async #fromDisk(ids: readonly string[], take: (id: string, blob: BlobText) => void): Promise<string[]> {
    const left: string[] = [];
    for (const id of ids) {
      const file = this.#file(id);
      const bytes = file === undefined ? undefined : await readFile(file).catch(() => undefined);
      if (bytes !== undefined && blobId(bytes, id) === id) take(id, decodeBlob(bytes));
      else left.push(id);
    }
    return left;
  }

  /** A cache that can't be written is no reason to fail. */
  async #toDisk(id: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(id);
    if (file === undefined) return;
    try {
      await mkdir(join(file, ".."), { recursive: true });
      const temp = `${file}.${randomUUID()}`;
      await writeFile(temp, bytes, { mode: 0o600 });
      await rename(temp, file);
    } catch {}
  }
}
