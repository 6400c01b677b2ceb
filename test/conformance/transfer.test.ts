import { afterAll, describe, expect, it } from "vitest";
import { createRandom } from "../../src/testing/index.ts";
import { copyStorage, hashManifest, manifestOf } from "../../src/transfer/index.ts";
import { postgresProblem } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";
import { cleanUp, corpus, killedAt, pairs, sourceOf } from "./transfer-world.ts";

afterAll(cleanUp, 60_000);
const problem = postgresProblem();
if (problem !== undefined) skipSuite("transfer to and from postgres", problem);

/** With a server between, each prompt costs many round trips; what a pair can get wrong shows in the first ones. */
const sizeOf = (...names: string[]) => (names.includes("postgres") ? 60 : Number.POSITIVE_INFINITY);
const hashOf = (driver: Parameters<typeof manifestOf>[0]) => hashManifest(manifestOf(driver));

describe.each(pairs)("copy from $title", ({ from, to }) => {
  it("makes manifests equal, and does nothing the second time", async () => {
    const size = sizeOf(from.name, to.name);
    const source = await sourceOf(from, size);
    const target = await to.open();
    const prompts = new Set(corpus(size).map((line) => line.name)).size;
    const started = performance.now();
    const report = await copyStorage(source, target);
    process.stderr.write(
      `copied ${report.prompts} prompts, ${report.added} documents in ${Math.round(performance.now() - started)} ms\n`,
    );
    expect(report).toMatchObject({
      ok: true,
      prompts,
      conflicts: [],
      failures: [],
      verify: { ok: true, equal: prompts },
    });
    expect(await hashOf(target)).toEqual(await hashOf(source));
    const again = await copyStorage(source, target);
    expect(again).toMatchObject({
      ok: true,
      changed: 0,
      added: 0,
      heads: 0,
      removed: 0,
      entries: 0,
      unchanged: prompts,
    });
  });

  it("goes on after a kill at any item", async () => {
    const source = await sourceOf(from, 24);
    const wanted = await hashOf(source);
    const random = createRandom(7);
    let kills = 0;
    for (let round = 0; round < 3; round++) {
      const target = await to.open();
      for (let attempt = 0; ; attempt++) {
        const driver = killedAt(target, 1 + random.int(6), random.int(2) === 0 ? "before" : "after");
        try {
          await copyStorage(source, driver, { concurrency: 4, verify: false });
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: "ABORTED" });
          kills++;
        }
        expect(attempt).toBeLessThan(100);
      }
      expect(await hashOf(target)).toEqual(wanted);
      expect(await copyStorage(source, target)).toMatchObject({ ok: true, changed: 0, entries: 0 });
    }
    expect(kills).toBeGreaterThan(3);
    process.stderr.write(`${kills} kills\n`);
  });
});
