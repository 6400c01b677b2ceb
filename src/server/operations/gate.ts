export interface GateOptions {
  /** Requests that are worked on at once. */
  readonly concurrency: number;
  /** Requests that may wait for that; the next one is turned away at once. */
  readonly queue: number;
  /** Milliseconds that one waits at most. */
  readonly wait: number;
}

interface Waiting {
  readonly admit: (admitted: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Lets so many in, lets so many wait, and turns away the others while that is still cheap: of ten times the load, what is
 * accepted takes as long as at full load and the wait in the queue.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting = new Set<Waiting>();
  #inside = 0;
  #leaving = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** `true`: come in, and call `leave` later. A promise: wait for the answer. */
  enter(): boolean | Promise<boolean> {
    const { concurrency, queue, wait } = this.#options;
    if (this.#inside < concurrency) {
      this.#inside++;
      return true;
    }
    if (this.#waiting.size >= queue) return false;
    return new Promise((admit) => {
      const entry: Waiting = {
        admit,
        timer: setTimeout(() => {
          this.#waiting.delete(entry);
          admit(false);
        }, wait),
      };
      this.#waiting.add(entry);
    });
  }

  /**
   * The place is free when the event loop comes round. What is worked on without waiting, as with a storage that answers at
   * once, would else never be two at a time, however many stand in line in front of the socket.
   */
  leave(): void {
    if (this.#leaving++ > 0) return;
    setImmediate(() => {
      for (; this.#leaving > 0; this.#leaving--) this.#release();
    });
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#inside--;
      return;
    }
    // The place goes from one to the other.
    this.#waiting.delete(next);
    clearTimeout(next.timer);
    next.admit(true);
  }
}
