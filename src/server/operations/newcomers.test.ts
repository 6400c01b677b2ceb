import { describe, expect, test } from "vitest";
import { NewcomersFirst } from "./newcomers.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Whether it is settled after so many turns of the event loop. */
async function isOver(promise: Promise<void> | undefined, turns: number): Promise<boolean> {
  let over = false;
  promise?.then(() => {
    over = true;
  });
  for (let i = 0; i < turns; i++) await turn();
  return over;
}

describe("NewcomersFirst", () => {
  test("nobody waits where nobody connects", () => {
    expect(new NewcomersFirst().wait()).toBeUndefined();
  });

  test("work waits as long as one connects in every turn, and no longer", async () => {
    const newcomers = new NewcomersFirst(() => 0);
    newcomers.connected();
    const work = newcomers.wait();
    for (let i = 0; i < 20; i++) {
      newcomers.connected();
      expect(await isOver(work, 1)).toBe(false);
    }
    expect(await isOver(work, 3)).toBe(true);
    expect(newcomers.wait()).toBeUndefined();
  });

  test("a flood of connections puts work off for half of the time at most", async () => {
    let now = 0;
    const newcomers = new NewcomersFirst(() => now);
    let put = 0;
    for (; now < 200; now++) {
      newcomers.connected();
      if (newcomers.wait() !== undefined) put++;
      await turn();
    }
    expect(put).toBeGreaterThan(50);
    expect(put).toBeLessThan(130);
  });
});
