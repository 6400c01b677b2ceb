import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import { type S3Server, startS3 } from "../support/s3-server.ts";
import { FULL, optionsOf } from "../support/s3-suite.ts";
import { type Backend, type Order, openBackend, RACE, type Report, textOf } from "./sql-worker.ts";
import { createWorkers, type Workers } from "./sql-workers.ts";

const WRITERS = 8;
const ROUNDS = FULL ? 100 : 8;
const BURSTS = FULL ? 200 : 25;

let workers: Workers;
let server: S3Server;
let count = 0;
const place = (): Backend => ({ s3: optionsOf(server, { prefix: `races/${count++}`, concurrency: 8 }) });

beforeAll(async () => {
  [workers, server] = await Promise.all([createWorkers(), startS3()]);
});
afterAll(async () => {
  workers?.dispose();
  await server?.stop();
});

describe(`S3: races of ${WRITERS} processes`, () => {
  async function race(backend: Backend, order: Omit<Order, "who">) {
    const started = await workers.start(backend, WRITERS);
    let reports: Report[];
    try {
      reports = await Promise.all(started.map((worker, who) => worker.obey({ ...order, who })));
    } finally {
      await Promise.all(started.map((worker) => worker.kill()));
    }
    return { reports, registry: new PromptRegistry(await openBackend(backend)) };
  }

  test(`one winner of each of ${ROUNDS} versions, and everybody else is told so`, async () => {
    const { reports, registry } = await race(place(), { what: "same", rounds: ROUNDS });
    const winners = reports.flatMap(({ won }, who) => won.map((version) => [version, who] as const));
    expect(winners.map(([version]) => version).sort()).toEqual(
      Array.from({ length: ROUNDS }, (_, i) => `1.0.${i}`).sort(),
    );
    for (const [version, who] of winners)
      expect((await registry.getPrompt(`${RACE}@${version}`)).text).toBe(textOf(version, who));
    for (const { won, lost } of reports) {
      expect({ ALREADY_EXISTS: ROUNDS - won.length, ...lost }).toEqual({ ALREADY_EXISTS: ROUNDS - won.length });
    }
    expect((await registry.verify()).problems).toEqual([]);
    await registry.close();
  });

  test("distinct versions are all there, and latest is the highest", async () => {
    const { reports, registry } = await race(place(), { what: "distinct", rounds: ROUNDS });
    expect(reports.map((report) => report.won.length)).toEqual(reports.map(() => ROUNDS));
    expect((await registry.listVersions(RACE, { limit: 1000 })).items.length).toBe(WRITERS * ROUNDS);
    expect((await registry.getPrompt(RACE)).version).toBe(`2.${WRITERS - 1}.${ROUNDS - 1}`);
    await registry.close();
  });

  test("of guarded publishers one wins each turn", async () => {
    const backend = place();
    const before = new PromptRegistry(await openBackend(backend));
    await before.storePrompt({ name: "race/guard", version: "1.0.0", text: "start" });
    await before.close();
    const { reports, registry } = await race(backend, { what: "guard", rounds: ROUNDS });
    const won = reports.flatMap((report) => report.won);
    expect(new Set(won).size).toBe(won.length);
    expect(won.length).toBeGreaterThan(0);
    const versions = (await registry.listVersions("race/guard", { limit: 1000 })).items.map((v) => v.version as string);
    expect(versions).toEqual(Array.from({ length: won.length + 1 }, (_, i) => `1.0.${won.length - i}`));
    await registry.close();
  });
});

test(`S3: ${BURSTS} bursts of publishes by two handles end with the highest version as latest`, async () => {
  const backend = place();
  const handles = [new PromptRegistry(await openBackend(backend)), new PromptRegistry(await openBackend(backend))];
  for (let round = 0; round < BURSTS; round++) {
    const name = `burst/r${round}`;
    const versions = ["1.0.0", "1.2.0", "1.10.0", "2.0.0-beta.1", "1.9.9"];
    await Promise.all(
      versions.map((version, i) =>
        (handles[(i + round) % 2] as PromptRegistry).storePrompt({ name, version, text: `${version}\n` }),
      ),
    );
    for (const handle of handles) expect((await handle.getPrompt(name)).version, name).toBe("1.10.0");
  }
  await Promise.all(handles.map((handle) => handle.close()));
});
