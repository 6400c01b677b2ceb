import type { Log, RequestRecord } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** Milliseconds, and requests, after which they are written down. */
const AFTER = 20;
const MOST = 64;

/** A request that has ended. */
export interface Ended extends RequestRecord {
  /** When it did, by the clock of `performance`. */
  readonly at: number;
}

/**
 * Counts and logs requests that have ended, several at once: done one by one between two answers, it costs twice as much, as
 * by then nothing of it is in the caches of the processor any more.
 */
export class Ledger {
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #leave: () => void;
  #ended: Ended[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param metrics who is asked for figures has them written down first */
  constructor(metrics: Metrics, log: Log) {
    this.#metrics = metrics;
    this.#log = log;
    this.#leave = metrics.beforeReading(() => this.write());
  }

  add(one: Ended): void {
    if (this.#ended.push(one) >= MOST) this.write();
    else this.#timer ??= setTimeout(() => this.write(), AFTER).unref();
  }

  write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    const began = Date.now() - performance.now();
    for (const one of ended) {
      this.#metrics.request(one.route, one.method, one.status, one.ms, one.code);
      this.#log.request(one, Math.round(began + one.at));
    }
  }

  /** Writes down what is left; what ends later is written down late. */
  close(): void {
    this.write();
    this.#leave();
  }
}
