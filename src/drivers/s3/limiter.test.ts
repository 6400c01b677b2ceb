import { describe, expect, it } from "vitest";
import { Queues, Recent } from "./limiter.ts";

describe("what is remembered", () => {
  it("is bounded by number and by weight, and the newest always stays", () => {
    const recent = new Recent<string, number>(3, 100);
    for (const [i, weight] of [40, 40, 10, 10].entries()) recent.set(`k${i}`, i, weight);
    expect(["k0", "k1", "k2", "k3"].map((key) => recent.get(key))).toEqual([undefined, 1, 2, 3]);
    recent.set("k4", 4, 60);
    expect(["k1", "k2", "k3", "k4"].map((key) => recent.get(key))).toEqual([undefined, 2, 3, 4]);
    recent.set("k4", 5, 500);
    expect([recent.get("k3"), recent.get("k4")]).toEqual([undefined, 5]);
    recent.delete("k4");
    recent.set("k5", 6, 100);
    recent.set("k6", 7, 0);
    expect([recent.get("k5"), recent.get("k6")]).toEqual([6, 7]);
  });
});

describe("a queue", () => {
  it("goes on behind one that failed and one that waits no longer, in order", async () => {
    const queues = new Queues();
    const done: string[] = [];
    const step = (name: string, signal?: AbortSignal) =>
      queues.run(
        "k",
        async () => void done.push(await new Promise<string>((resolve) => setTimeout(resolve, 20, name))),
        signal,
      );
    const failing = queues.run("k", () => Promise.reject(new Error("no")));
    const all = [step("a"), step("b", AbortSignal.timeout(5)), step("c")];
    await expect(failing).rejects.toThrow("no");
    await expect(all[1]).rejects.toMatchObject({ code: "TIMEOUT" });
    await Promise.all([all[0], all[2]]);
    expect(done).toEqual(["a", "c"]);
  });
});
