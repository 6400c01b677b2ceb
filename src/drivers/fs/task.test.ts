import { expect, it } from "vitest";
import { nodeIo } from "./io.ts";
import { all, meet, runAsync, type Settled, type Task } from "./task.ts";

/** Runs forks of such tasks at once. */
function runAll(forks: number, tasks: number, make: (i: number) => Task<number>): Promise<Settled<number>[][]> {
  const fork = () => runAsync(all(Array.from({ length: tasks }, (_, i) => make(i))), nodeIo, { width: 8 });
  return Promise.all(Array.from({ length: forks }, fork));
}

it("tasks side by side meet, whichever of them end or fail before", async () => {
  const log: string[] = [];
  const [settled] = await runAll(1, 20, function* (i) {
    log.push("before");
    if (i === 3) throw new Error("failed");
    if (i === 4) return i;
    yield* meet();
    log.push("after");
    yield* meet();
    log.push("end");
    return i;
  });
  expect(log).toEqual(["before", "after", "end"].flatMap((what) => Array(what === "before" ? 20 : 18).fill(what)));
  expect(settled?.map((one) => (one.ok ? one.value : -1))).toEqual(
    Array.from({ length: 20 }, (_, i) => (i === 3 ? -1 : i)),
  );
});

it("what waits in all forks together is bounded, as each of it holds a folder open", async () => {
  let held = 0;
  let most = 0;
  const settled = await runAll(40, 100, function* (i) {
    most = Math.max(most, ++held);
    yield* meet();
    held--;
    return i;
  });
  expect(settled.flat().every((one) => one.ok)).toBe(true);
  expect([most > 300, most <= 512 + 40 * 8, held]).toEqual([true, true, 0]);
});
