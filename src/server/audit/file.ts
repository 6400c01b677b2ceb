import { randomBytes } from "node:crypto";
import { access, constants, statfs } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RegistryError, show } from "../../errors.ts";
import { Journal, type JournalNews, tornOf } from "../access/journal.ts";
import type { AuditLog } from "../types.ts";
import { type AuditStore, groupedLog, type Timed } from "./group.ts";
import { type AuditLink, formatLine, parseAuditLine } from "./line.ts";

export interface AuditOptions {
  /** What this server is called in the log. Default: the name of the machine. */
  readonly server?: string | undefined;
  /** The wall clock, in milliseconds. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** What of the end of a log is looked at to go on with it. */
const WINDOW = 1 << 20;
const MIN_FREE = 1 << 16;
/** Milliseconds after which half a line will not become a whole one. */
const SETTLE = 20;

/**
 * An audit log in a file of lines, mode 0600. Entries are on the disk when `append` resolves; many at once share one sync.
 * Any number of processes may append to the same file, each with a chain of its own; a chain takes up the ends of the
 * others that it finds, so that all become one.
 *
 * @throws RegistryError CONFIG where others may read or write the file
 * @example
 * const audit = fileAudit("/var/lib/prompts/audit.jsonl", { server: "eu-1" });
 */
export function fileAudit(path: string, options: AuditOptions = {}): AuditLog {
  return groupedLog(new FileStore(path, options.server ?? hostname()), options.now);
}

/** How far a chain has come. */
interface Ends {
  readonly chain: string;
  readonly seq: number;
  readonly last: string | undefined;
  /** Hashes that no line names as one before it. */
  readonly ends: ReadonlySet<string>;
  readonly continues: readonly string[] | undefined;
}

class FileStore implements AuditStore {
  readonly #path: string;
  readonly #server: string;
  readonly #journal: Journal;
  #state: Ends = { chain: "", seq: 0, last: undefined, ends: new Set(), continues: undefined };
  /** Lines of ours that are surely whole. */
  #written = new Set<string>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(path: string, server: string) {
    this.#path = path;
    this.#server = server;
    this.#journal = new Journal(path, "the audit log", WINDOW);
  }

  write(entries: readonly Timed[]): Promise<void> {
    return this.#inTurn(async () => {
      let before: Ends | undefined;
      try {
        const tail = await this.#follow();
        before = this.#state;
        const lines = tail.length === 0 ? [] : ["", this.#torn(tail, entries[0]?.at as string)];
        for (const { at, entry } of entries) lines.push(this.#next({ at }, entry));
        await this.#journal.append(`${lines.join("\n")}\n`);
      } catch (error) {
        // What of it is there all the same, the next look at the file will tell.
        if (before !== undefined) this.#state = before;
        this.#written = new Set();
        throw this.#journal.failure(error, "can't be written", "unknown");
      }
    });
  }

  async probe(): Promise<void> {
    try {
      await access(this.#path, constants.W_OK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw this.#journal.failure(error, "can't be written");
      await this.#journal.checkGone(true);
    }
    // Makes the file, and checks who else may write it.
    if (this.#state.chain === "") await this.#inTurn(() => this.#follow());
    const { blocks, bavail, bsize } = await statfs(dirname(this.#path));
    if (blocks > 0 && bavail * bsize < MIN_FREE) {
      throw new RegistryError("NO_SPACE", `the disk of the audit log ${show(this.#path)} is full; make room`, {
        path: this.#path,
      });
    }
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  /** Reads what stands there by now, of this process and of others. @returns half a line at the end */
  async #follow(): Promise<Buffer> {
    const first = await this.#read();
    if (first.length === 0) return first;
    // Another process may be in the middle of it.
    await sleep(SETTLE);
    const second = await this.#read();
    return second.equals(first) ? second : await this.#follow();
  }

  async #read(): Promise<Buffer> {
    const news = (await this.#journal.read(true)) as JournalNews;
    if (news.fresh) {
      // An empty file that took the place of another goes on where that one ended.
      const continues = news.lines.length === 0 ? [...this.#state.ends] : [];
      this.#state = {
        chain: randomBytes(6).toString("hex"),
        seq: 0,
        last: undefined,
        ends: new Set(),
        continues: continues.length === 0 ? undefined : continues,
      };
    }
    const ends = new Set(this.#state.ends);
    for (const line of news.lines) this.#take(line, ends);
    this.#state = { ...this.#state, ends };
    return news.tail;
  }

  #take(line: string, ends: Set<string>): void {
    if (this.#written.delete(line)) return;
    const record = parseAuditLine(line);
    if (record === undefined) return;
    const { chain, seq, hash } = record;
    // Of a batch of ours that failed, and of which some is there all the same.
    if (chain === this.#state.chain && seq > this.#state.seq) this.#state = { ...this.#state, seq, last: hash };
    for (const one of record.prev) ends.delete(one);
    ends.add(hash);
  }

  #next(link: Pick<AuditLink, "at" | "torn">, entry: Timed["entry"]): string {
    const { chain, last, ends, continues } = this.#state;
    const seq = this.#state.seq + 1;
    const others = [...ends].filter((hash) => hash !== last);
    const prev = last === undefined ? others : [last, ...others];
    const { line, hash } = formatLine(
      { ...link, seq, chain, prev, server: this.#server, ...(continues === undefined ? {} : { continues }) },
      entry,
    );
    this.#state = { chain, seq, last: hash, ends: new Set([hash]), continues: undefined };
    this.#written.add(line);
    return line;
  }

  #torn(tail: Buffer, at: string): string {
    return this.#next({ at, torn: tornOf(tail) }, { action: "audit.torn", outcome: "done" });
  }

  /** One at a time: each reads on where the last one stopped. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(run, run);
    this.#queue = next.catch(() => {});
    return next;
  }
}
