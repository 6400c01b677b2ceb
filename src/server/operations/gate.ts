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
  /** Of those who wait, who were inside before. */
  #back = 0;
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
  enter(again = false): boolean | Promise<boolean> {
    const { concurrency, queue, wait } = this.#options;
    if (this.#inside < concurrency) {
      this.#inside++;
      return true;
    }
    // Who was let in once does not stand in the queue of the others, and keeps nobody out of it: but of them, too, no more
    // wait than are worked on at once, or all would be let in by this door.
    if (again ? this.#back >= concurrency : this.#waiting.size - this.#back >= queue) return false;
    if (again) this.#back++;
    return new Promise((admit) => {
      const entry: Waiting = {
        admit: (admitted) => {
          if (again) this.#back--;
          admit(admitted);
        },
        timer: setTimeout(() => {
          this.#waiting.delete(entry);
          entry.admit(false);
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

  /** The same for who only waits from now on: the place is free at once. */
  step(): void {
    this.#release();
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

/** The place of one request, which it may leave and ask for again. */
export class GatePlace {
  readonly #gate: Gate;
  #inside = false;
  #over = false;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** @param again it was inside before, and left to wait for its caller */
  async enter(again = false): Promise<boolean> {
    const entered = this.#gate.enter(again);
    const admitted = typeof entered === "boolean" ? entered : await entered;
    if (admitted && this.#over) {
      this.#gate.leave();
      return false;
    }
    this.#inside = admitted;
    return admitted;
  }

  leave(): void {
    if (this.#inside) this.#gate.leave();
    this.#inside = false;
  }

  /** Leaves to wait for its caller. */
  step(): void {
    if (this.#inside) this.#gate.step();
    this.#inside = false;
  }

  /** Leaves, and takes no place that comes later. */
  end(): void {
    this.#over = true;
    this.leave();
  }
}
