import { setTimeout as sleep } from "node:timers/promises";

/**
 * The right to write to one branch, held by one at a time in this process and not more often than GitHub wants it
 * (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests).
 */
export class Lane {
  #tail: Promise<unknown> = Promise.resolve();
  #lastAt = Number.NEGATIVE_INFINITY;

  /** Runs alone. `wrote` is called by the work after each commit that was tried. */
  async run<T>(spacing: number, work: (wrote: () => void) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(async () => {
      const wait = this.#lastAt + spacing - performance.now();
      if (wait > 0) await sleep(wait);
      return await work(() => {
        this.#lastAt = performance.now();
      });
    });
    this.#tail = turn.catch(() => {});
    return await turn;
  }
}

// All handles of a process to one branch share one.
const lanes = new Map<string, Lane>();

export function laneOf(key: string): Lane {
  let lane = lanes.get(key);
  if (lane === undefined) {
    lane = new Lane();
    lanes.set(key, lane);
  }
  return lane;
}
