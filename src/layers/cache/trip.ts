import { unlessAborted } from "../signal.ts";

/**
 * One call of the store for any number of callers. It ends when nobody waits for it any more, and never because one of
 * several gave up.
 */
export class Trip<T> {
  readonly promise: Promise<T>;
  /** Nobody more may join it: it was asked for before something that is known by now, or asks for more than others need. */
  isClosed = false;
  readonly #controller = new AbortController();
  readonly #onAbandoned: () => void;
  #waiting = 0;
  #pinned = false;

  /**
   * @param onAbandoned called before the call is aborted: nobody may join it any more
   */
  constructor(call: (signal: AbortSignal) => Promise<T>, onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned;
    // One step later: what is done when it ends must find this trip where it was put.
    this.promise = Promise.resolve().then(() => call(this.#controller.signal));
    // Whoever waits is told; a refresh in the background has nobody.
    this.promise.catch(() => {});
  }

  /** Keeps it going without anybody who waits. */
  pin(): void {
    this.#pinned = true;
  }

  async join(signal: AbortSignal | undefined, operation: string): Promise<T> {
    if (signal === undefined) {
      this.#pinned = true;
      return this.promise;
    }
    this.#waiting++;
    try {
      return await unlessAborted(this.promise, signal, operation);
    } finally {
      this.#waiting--;
      if (signal.aborted && this.#waiting === 0 && !this.#pinned) {
        this.#onAbandoned();
        this.#controller.abort(signal.reason);
      }
    }
  }
}
