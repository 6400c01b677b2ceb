import { addressKey } from "../access/cidr.ts";
import type { AuditEntry } from "../types.ts";

export interface DenialOptions {
  /** Milliseconds between two entries of one address. Default 60,000. */
  readonly interval?: number;
  /** Addresses that are told apart in that time. Default 100; all others are counted together. */
  readonly addresses?: number;
}

/**
 * Denials of callers whom nobody knows: of each address the first at once, and after a while how many more there were. So
 * what somebody without credentials can write is bounded, whatever he sends.
 */
export class Denials {
  readonly #append: (entry: AuditEntry) => Promise<void>;
  readonly #interval: number;
  readonly #addresses: number;
  /** Those that were not written, by address. */
  readonly #more = new Map<string, number>();
  #others = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(append: (entry: AuditEntry) => Promise<void>, options: DenialOptions = {}) {
    this.#append = append;
    this.#interval = options.interval ?? 60_000;
    this.#addresses = options.addresses ?? 100;
  }

  /** @throws what the log throws, where the entry is one to be written now */
  async add(entry: AuditEntry): Promise<void> {
    const address = addressKey(entry.address) ?? "";
    const more = this.#more.get(address);
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#tell(), this.#interval).unref();
    if (more !== undefined) this.#more.set(address, more + 1);
    else if (this.#more.size >= this.#addresses) this.#others++;
    else {
      this.#more.set(address, 0);
      await this.#append(entry);
    }
  }

  close(): void {
    this.#closed = true;
    this.#tell();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted = [...this.#more].filter(([, more]) => more > 0);
    const others = this.#others;
    this.#more.clear();
    this.#others = 0;
    const write = (address: string, note: string) => {
      const from = address === "" ? {} : { address };
      // One that can't be written is missed as any other is: the log says so when it goes on.
      this.#append({ action: "denials", ...from, outcome: "denied", note }).catch(() => {});
    };
    const span = `within ${this.#interval / 1000} s`;
    for (const [address, more] of counted) write(address, `${more} more without credentials ${span}`);
    if (others > 0) write("", `${others} from other addresses without credentials ${span}`);
  }
}
