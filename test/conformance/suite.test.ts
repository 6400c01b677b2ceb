import { describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { driverSuite, suiteTests } from "../../src/testing/index.ts";
import { collectSuite } from "../support/collect.ts";
import { damageMemory } from "../support/memory-damage.ts";
import { documentMutants } from "./mutants/documents.ts";
import { durabilityMutants, durable } from "./mutants/durability.ts";
import { headMutants } from "./mutants/heads.ts";
import { listMutants } from "./mutants/lists.ts";
import { countedVersions, lossMutants } from "./mutants/losses.ts";
import type { Mutant } from "./mutants/mutate.ts";

async function failuresOf({ bug, options, without }: Mutant): Promise<string[]> {
  const results = await collectSuite({ name: bug, ...options }, (title) => without?.test(title) !== true);
  return results.filter((r) => r.error !== undefined).map((r) => r.title);
}

describe("the driver suite", () => {
  const runner = { describe: (_: string, define: () => void) => define(), it: () => {} };
  const options = { name: "memory", open: async () => memory(), runner, log: () => {} };

  it("passes the memory driver as a whole", async () => {
    const results = await collectSuite({ name: "memory", damage: damageMemory, ...durable });
    const failed = results.filter((r) => r.error !== undefined).map((r) => `${r.title}: ${r.error?.message}`);
    expect(failed).toEqual([]);
    expect(results.length).toBeGreaterThan(200);
  }, 120_000);

  it("says of a list that begins again and again that it does not end", async () => {
    const [title] = countedVersions.caughtBy;
    const [result] = await collectSuite({ name: "counts", ...countedVersions.options }, (one) => one === title);
    expect(result?.error?.message).toBe("the list does not end");
  });

  it("has stable titles, each once, that name the invariant", () => {
    expect(new Set(suiteTests).size).toBe(suiteTests.length);
    for (const title of suiteTests) expect(title).toMatch(/^(I\d+|budget:) /);
  });

  it("refuses skips of unknown tests and without a reason", () => {
    expect(() => driverSuite({ ...options, skip: [{ test: "I2 write-once", reason: "?" }] })).toThrow(
      /no test is called/,
    );
    expect(() => driverSuite({ ...options, skip: [{ test: suiteTests[0] as string, reason: " " }] })).toThrow(
      /no reason/,
    );
  });

  it("tells every skip with its reason, also of what the backend can't do", () => {
    const lines: string[] = [];
    const skipped: string[] = [];
    const it = Object.assign(() => {}, { skip: (title: string) => skipped.push(title) });
    const skip = [{ test: suiteTests[3] as string, reason: "because" }];
    driverSuite({ ...options, runner: { describe: runner.describe, it }, log: (line) => lines.push(line), skip });
    expect(lines).toContain(`skipped: memory: ${suiteTests[3]}: because`);
    expect(lines.some((line) => line.includes("there is no `reopen`"))).toBe(true);
    expect(skipped.length).toBe(lines.length);
    expect(skipped).toContain(`${suiteTests[3]} [skipped: because]`);
  });
});

describe.each([
  ["documents", documentMutants],
  ["heads", headMutants],
  ["lists", listMutants],
  ["losses", lossMutants],
  ["durability", durabilityMutants],
] as const)("mutants of %s", (_, mutants) => {
  it.each(mutants.map((m) => [m.bug, m] as const))(
    "%s",
    async (_bug, mutant) => {
      for (const title of mutant.caughtBy) expect(suiteTests).toContain(title);
      const failed = await failuresOf(mutant);
      expect(failed).toEqual(expect.arrayContaining([...mutant.caughtBy]));
    },
    120_000,
  );
});
