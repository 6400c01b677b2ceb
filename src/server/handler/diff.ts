import { RegistryError, throwIfAborted } from "../../errors.ts";
import { compared, type DiffBudget, diffTexts } from "../../registry/diff.ts";
import type { Prompt } from "../../registry/prompt.ts";
import type { Call, Result } from "./context.ts";
import { nameOf, operationOf } from "./read-routes.ts";

/** A diff is worked out without a pause, for anybody who may read: a person who compares prompts gets by with this. */
const BUDGET: DiffBudget = { edits: 500, milliseconds: 25, lines: 20_000, length: 2 ** 20 };
/** That are worked on or wait, each with two texts of up to 1 MiB. */
const MOST = 16;

/** One after the other, with the event loop in between, so that many keep nobody else waiting. */
export class Turns {
  readonly #most: number;
  #inside = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(most = MOST) {
    this.#most = most;
  }

  /** @throws RegistryError UNAVAILABLE where as many as may be are there */
  async inside<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#most) {
      const detail = "too many comparisons at once; wait and try again";
      throw new RegistryError("UNAVAILABLE", detail, { retryAfter: 1000 });
    }
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
    }
  }

  /** @throws RegistryError ABORTED, TIMEOUT where nobody waits for it any more */
  turn<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(async () => {
      throwIfAborted(signal, "diff");
      await new Promise(setImmediate);
      throwIfAborted(signal, "diff");
      return await step();
    });
    this.#last = mine.catch(() => {});
    return mine;
  }
}

export async function diffRoute(call: Call): Promise<Result> {
  const { registry, turns } = call.shared;
  const { from, to } = call.query as { from: string; to: string };
  const name = nameOf(call);
  const { signal } = call.request;
  return await turns.inside(async () => {
    const pair = await registry.getPrompts([`${name}@${from}`, `${name}@${to}`], operationOf(call));
    return await turns.turn(signal, async () => ({ status: 200, json: { name, ...(await difference(pair)) } }));
  });
}

async function difference(pair: readonly Prompt[]) {
  const [from, to] = pair as [Prompt, Prompt];
  const { unified, coarse } = await diffTexts(from, to, BUDGET);
  return {
    ...compared(from, to),
    ...(unified === undefined ? { tooLarge: true } : { unified }),
    ...(coarse ? { coarse } : {}),
  };
}
