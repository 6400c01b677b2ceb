import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { PromptName } from "../../names.ts";
import { answerOf, instantOf, type Pending, type SavedShelf, sha256, spell, textsOf } from "./saved.ts";
import { bytesOfPage, createEntry, type Entry, type PageEntry, type Shelf } from "./shelf.ts";

/** How long changes are collected before they are written. */
const DELAY = 100;

/**
 * A folder of texts by digest, and one small file a prompt that says what was answered when. Everything carries its
 * checksum, so a torn or damaged file is the same as none. Nothing here may fail a read: what goes wrong is told by
 * `problem`.
 */
export class DiskTier {
  readonly #texts: string;
  readonly #prompts: string;
  readonly #maxBytes: number;
  readonly #pending = new Map<PromptName, Pending>();
  /** Files by when they were last used, with their sizes. */
  readonly #files = new Map<string, number>();
  #bytes = 0;
  #ready: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #counter = 0;
  problem: string | undefined;

  /**
   * @param identity storage and principal; nothing is shared between two
   */
  constructor(path: string, identity: string, maxBytes: number) {
    const root = join(path, sha256(identity).slice(0, 32));
    this.#texts = join(root, "texts");
    this.#prompts = join(root, "prompts");
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get files(): number {
    return this.#files.size;
  }

  async load(shelf: Shelf, add: (entry: Entry | PageEntry) => void): Promise<void> {
    await this.#open();
    const pending = this.#pending.get(shelf.name);
    const texts = new Map<string, string | undefined>();
    const saved = pending === undefined ? await this.#readShelf(shelf.name) : spell(shelf.name, pending, texts);
    if (saved === undefined) return;
    for (const digest of textsOf(saved)) {
      if (!texts.has(digest)) texts.set(digest, await this.#readText(digest));
    }
    for (const one of saved.answers) {
      const answer = answerOf(shelf.name, one, texts);
      if (answer === undefined) continue;
      const isVersion = one.selector.kind === "version";
      // Where a pointer stands may have changed while nobody watched; a version can only have been deleted, which has
      // its own bound.
      const expired = !isVersion || one.expired === true || one.fetchedAt > Date.now();
      const at = instantOf(one.fetchedAt);
      add(createEntry(shelf.cell(one.selector), answer, at, one.ttl, { expired, known: one.known }));
    }
    for (const { key, page, fetchedAt } of saved.pages) {
      const at = instantOf(fetchedAt);
      add({ cell: shelf.pageCell(key), page, at, bytes: bytesOfPage(page), expired: true, used: true });
    }
  }

  save(shelf: Shelf): void {
    this.#pending.set(shelf.name, {
      entries: [...shelf.cells()].flatMap(({ entry }) => entry ?? []),
      pages: [...shelf.pages.values()].flatMap(({ entry }) => entry ?? []),
    });
    this.#timer ??= setTimeout(() => void this.flush(), DELAY).unref();
  }

  /** Writes what is waiting; resolves when it lies in its files. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Removes everything of this storage and principal. */
  async clear(): Promise<void> {
    this.#pending.clear();
    await this.flush();
    await this.#attempt(async () => {
      await rm(this.#texts, { recursive: true, force: true });
      await rm(this.#prompts, { recursive: true, force: true });
    });
    this.#files.clear();
    this.#bytes = 0;
    this.#ready = undefined;
  }

  /** Makes the folders and looks at what is there. */
  #open(): Promise<void> {
    this.#ready ??= this.#attempt(async () => {
      const found: { path: string; size: number; time: number }[] = [];
      for (const folder of [this.#texts, this.#prompts]) {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        for (const name of await readdir(folder)) {
          const path = join(folder, name);
          const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 }));
          found.push({ path, size, time: mtimeMs });
        }
      }
      for (const { path, size } of found.sort((a, b) => a.time - b.time)) this.#count(path, size);
    });
    return this.#ready;
  }

  #count(path: string, size: number): void {
    this.#bytes += size - (this.#files.get(path) ?? 0);
    this.#files.delete(path);
    this.#files.set(path, size);
  }

  async #write(): Promise<void> {
    await this.#open();
    for (const [name, pending] of [...this.#pending]) {
      await this.#attempt(() => this.#writeShelf(name, pending));
      // Only what was written; something newer may have come.
      if (this.#pending.get(name) === pending) this.#pending.delete(name);
    }
    await this.#attempt(() => this.#trim());
  }

  async #writeShelf(name: PromptName, pending: Pending): Promise<void> {
    const path = this.#pathOf(name);
    const before = textsOf(await this.#readShelf(name));
    const texts = new Map<string, string | undefined>();
    const saved = spell(name, pending, texts);
    for (const [digest, text] of texts) {
      const file = join(this.#texts, digest);
      if (text !== undefined && !this.#files.has(file)) await this.#writeFile(file, text);
    }
    if (saved.answers.length + saved.pages.length === 0) await this.#unlink(path);
    else {
      const json = JSON.stringify(saved);
      await this.#writeFile(path, `${sha256(json)}\n${json}`);
    }
    // A deleted text must not lie around until space is short.
    for (const digest of before) if (!texts.has(digest)) await this.#unlink(join(this.#texts, digest));
  }

  /** Complete or not at all; not forced to the disk, as the checksum tells a torn file. */
  async #writeFile(path: string, text: string): Promise<void> {
    const temp = `${path}.${process.pid}.${++this.#counter}.tmp`;
    try {
      const file = await open(temp, "wx", 0o600);
      try {
        await file.writeFile(text);
      } finally {
        await file.close();
      }
      await rename(temp, path);
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
    this.#count(path, Buffer.byteLength(text));
  }

  async #unlink(path: string): Promise<void> {
    await rm(path, { force: true });
    this.#bytes -= this.#files.get(path) ?? 0;
    this.#files.delete(path);
  }

  async #trim(): Promise<void> {
    for (const path of this.#files.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      await this.#unlink(path);
    }
  }

  async #readText(digest: string): Promise<string | undefined> {
    if (!/^[0-9a-f]{64}$/.test(digest)) return undefined;
    const bytes = await readFile(join(this.#texts, digest)).catch(() => undefined);
    return bytes !== undefined && sha256(bytes) === digest ? bytes.toString("utf8") : undefined;
  }

  async #readShelf(name: PromptName): Promise<SavedShelf | undefined> {
    const text = await readFile(this.#pathOf(name), "utf8").catch(() => "");
    const end = text.indexOf("\n");
    const json = text.slice(end + 1);
    if (end !== 64 || sha256(json) !== text.slice(0, end)) return undefined;
    const saved = JSON.parse(json) as SavedShelf;
    return saved.name === name ? saved : undefined;
  }

  #pathOf(name: PromptName): string {
    return join(this.#prompts, sha256(name));
  }

  async #attempt(run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.problem = undefined;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }
}
