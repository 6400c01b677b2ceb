import { describe, expect, test } from "vitest";
import { stocked, World } from "./world.ts";

// What proposals do is in test/conformance/github-access-proposals.test.ts.
describe("proposal", () => {
  test("is understood or refused before anything is asked", async () => {
    const world = new World();
    world.real = true;
    for (const [argv, message] of [
      [["merge"], "missing NUMBER"],
      [["merge", "x"], "no number"],
      [["merge", "0"], "no number"],
      [["list", "1"], "unexpected argument"],
      [["list", "--sha", "x"], "--sha goes with merge"],
      [["close", "1", "--method", "squash"], "--method goes with merge"],
      [["open"], "must be one of list, merge, close"],
    ] as const) {
      const ran = await world.run("proposal", ...argv, "--storage", "github:acme/prompts");
      expect([ran.code, ran.err], argv.join(" ")).toEqual([2, expect.stringContaining(message)]);
    }
  });

  test.each(["file:.", "memory:", "sqlite:./x.db"])("is not possible with %s", async (storage) => {
    const world = new World();
    world.real = true;
    for (const argv of [
      ["proposal", "list"],
      ["push", "a/b", "-", "--propose"],
      ["label", "a/b", "production", "1.0.0", "--propose"],
    ]) {
      const ran = await world.runWith({ stdin: "text\n" }, ...argv, "--storage", storage);
      expect([ran.code, ran.err], argv.join(" ")).toEqual([8, expect.stringContaining("one GitHub repository")]);
    }
  });

  test("label NAME --propose names no label", async () => {
    const world = await stocked();
    expect((await world.run("label", "support/triage", "--propose")).code).toBe(2);
  });
});
