import { isTorn } from "../access/journal.ts";
import { type AuditRecord, parseAuditLine } from "./line.ts";

export interface AuditProblem {
  /** From 1; of a database, the number of the entry. */
  readonly line: number;
  readonly what: string;
}

export interface AuditReport {
  /** Whether everything is as it was written, and what was expected is there. */
  readonly ok: boolean;
  readonly entries: number;
  /**
   * Hashes of the last entries: one, or several where servers wrote to the same file at the same moment last. Kept elsewhere
   * and given to the next verification, it shows whether the end was cut off.
   */
  readonly heads: readonly string[];
  /** The first thing that is wrong. */
  readonly problem?: AuditProblem;
  /** Lines that were cut off when a writer ended, and are known to be; none of them was acknowledged. */
  readonly torn: number;
  /** Where the file ended that was here before. */
  readonly continues?: readonly string[];
}

/** Entries of other chains are named soon after they were written. */
const RECENT = 100_000;

/** Follows the chains of a log, line by line. */
export class ChainCheck {
  readonly #expect: string | undefined;
  readonly #chains = new Map<string, { readonly seq: number; readonly hash: string }>();
  readonly #recent = new Set<string>();
  readonly #heads = new Set<string>();
  #entries = 0;
  #torn = 0;
  #isExpected = false;
  #problem: AuditProblem | undefined;
  #doubtful: { readonly line: number; readonly bytes: string | Buffer } | undefined;
  #continues: readonly string[] | undefined;

  /** @param expect the hash of an entry that must be there */
  constructor(expect?: string) {
    this.#expect = expect;
  }

  /** @returns the entry, where it is one */
  push(bytes: string | Buffer, line: number): AuditRecord | undefined {
    if (bytes.length === 0) return undefined;
    const record = parseAuditLine(bytes.toString());
    const doubtful = this.#doubtful;
    if (doubtful !== undefined) {
      if (record !== undefined && isTorn(doubtful.bytes, record.torn)) this.#torn++;
      else this.#fail(doubtful.line, CHANGED);
      this.#doubtful = undefined;
    }
    if (record === undefined) {
      this.#doubtful = { line, bytes };
      return undefined;
    }
    this.#link(record, line);
    return record;
  }

  #link(record: AuditRecord, line: number): void {
    const { chain, seq, prev, hash, continues } = record;
    const before = this.#chains.get(chain);
    if (seq !== (before?.seq ?? 0) + 1) {
      this.#fail(line, before === undefined ? "entries are missing before it" : "an entry is missing, or out of order");
    } else if (before !== undefined && !prev.includes(before.hash))
      this.#fail(line, "it does not follow the one before");
    else if (!prev.every((one) => one === before?.hash || this.#recent.has(one)))
      this.#fail(line, "an entry that it follows is missing");
    if (continues !== undefined) {
      if (this.#entries === 0) this.#continues = continues;
      else this.#fail(line, "it says to be the first of a file");
    }
    this.#chains.set(chain, { seq, hash });
    this.#entries++;
    for (const one of prev) this.#heads.delete(one);
    this.#heads.add(hash);
    this.#recent.add(hash);
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.values().next().value as string);
    if (hash === this.#expect) this.#isExpected = true;
  }

  /** Something that stands outside of the lines. Only the first problem is kept: after it nothing can be told. */
  #fail(line: number, what: string): void {
    if (this.#problem === undefined || line < this.#problem.line) this.#problem = { line, what };
  }

  /**
   * @param last the number of the last line
   * @param isWhole whether the last line was ended; half a line is one whose writer ended before it was acknowledged
   */
  end(last: number, isWhole: boolean): AuditReport {
    if (this.#doubtful !== undefined) {
      if (isWhole) this.#fail(this.#doubtful.line, CHANGED);
      else this.#torn++;
    }
    if (this.#expect !== undefined && !this.#isExpected)
      this.#fail(last + 1, "the entry that was expected is not there: the end was cut off, or it is another log");
    return {
      ok: this.#problem === undefined,
      entries: this.#entries,
      heads: [...this.#heads],
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      torn: this.#torn,
      ...(this.#continues === undefined ? {} : { continues: this.#continues }),
    };
  }
}

const CHANGED = "it was changed, or is no entry";
