/** Milliseconds that work is put off at most, and then is not put off again. */
const MOST = 25;

/**
 * Puts work off while new connections stand in line. Node takes one of them each time its event loop comes round (libuv 1.45
 * and newer do not accept in a loop), so rounds that are long, as with a storage that answers at once, would let clients wait
 * for seconds before the server even knows of them. An empty round takes microseconds.
 */
export class NewcomersFirst {
  readonly #now: () => number;
  #fresh = false;
  #looking = false;
  #since = 0;
  #restUntil = 0;
  #waiting: (() => void)[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Somebody has connected. */
  connected(): void {
    this.#fresh = true;
    if (this.#looking) return;
    const now = this.#now();
    if (now < this.#restUntil) return;
    this.#looking = true;
    this.#since = now;
    setImmediate(this.#look);
  }

  /** `undefined`: nobody stands in line. */
  wait(): Promise<void> | undefined {
    return this.#looking ? new Promise((resolve) => this.#waiting.push(resolve)) : undefined;
  }

  readonly #look = (): void => {
    const now = this.#now();
    const isLong = now - this.#since >= MOST;
    if (this.#fresh && !isLong) {
      this.#fresh = false;
      setImmediate(this.#look);
      return;
    }
    this.#looking = false;
    if (isLong) this.#restUntil = now + MOST;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  };
}
