import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import { type PostgresServer, postgresProblem, startPostgres } from "../support/postgres.ts";
import { skipSuite } from "../support/skip.ts";
import { type Backend, type Order, openBackend, RACE, type Report, textOf } from "./sql-worker.ts";
import { createWorkers, type Workers } from "./sql-workers.ts";

const WRITERS = 8;
const ROUNDS = 40;

let workers: Workers;
let server: PostgresServer | undefined;
const root = mkdtempSync(join(tmpdir(), "sql-races-"));
const problem = postgresProblem();

beforeAll(async () => {
  workers = await createWorkers();
  if (problem === undefined) server = await startPostgres({ fsync: "off" });
});
afterAll(async () => {
  workers?.dispose();
  await server?.stop();
  rmSync(root, { recursive: true, force: true });
});

let count = 0;
const backends: { title: string; make: () => Backend }[] = [
  { title: "sqlite", make: () => ({ sqlite: { path: join(root, `r${count++}.db`), busyTimeout: 60_000 } }) },
];
if (problem === undefined) {
  const url = () => (server as PostgresServer).url;
  backends.push({
    title: "postgres",
    make: () => ({ postgres: { url: url(), schema: `r${count++}`, pool: { max: 4 } } }),
  });
} else skipSuite("races of 8 processes (postgres)", problem);

describe.each(backends)("races of 8 processes ($title)", ({ make }) => {
  async function race(
    backend: Backend,
    order: Omit<Order, "who">,
    prepare?: (registry: PromptRegistry) => Promise<void>,
  ) {
    // The workers open a database that is not there yet, all at once: the schema is made once.
    if (prepare !== undefined) {
      const registry = new PromptRegistry(await openBackend(backend));
      await prepare(registry);
      await registry.close();
    }
    const started = await workers.start(backend, WRITERS);
    let reports: Report[];
    try {
      reports = await Promise.all(started.map((worker, who) => worker.obey({ ...order, who })));
    } finally {
      await Promise.all(started.map((worker) => worker.kill()));
    }
    return { reports, registry: new PromptRegistry(await openBackend(backend)) };
  }

  test("one winner of each version, and everybody else is told so", async () => {
    const { reports, registry } = await race(make(), { what: "same", rounds: ROUNDS });
    const winners = reports.flatMap(({ won }, who) => won.map((version) => [version, who] as const));
    expect(winners.length).toBe(ROUNDS);
    expect(new Set(winners.map(([version]) => version)).size).toBe(ROUNDS);
    for (const [version, who] of winners)
      expect((await registry.getPrompt(`${RACE}@${version}`)).text).toBe(textOf(version, who));
    for (const { won, lost } of reports)
      expect({ ALREADY_EXISTS: ROUNDS - won.length, ...lost }).toEqual({ ALREADY_EXISTS: ROUNDS - won.length });
    expect((await registry.verify()).problems).toEqual([]);
    await registry.close();
  });

  test("distinct versions are all there, and latest is the highest", async () => {
    const { reports, registry } = await race(make(), { what: "distinct", rounds: ROUNDS });
    expect(reports.map((r) => r.won.length)).toEqual(reports.map(() => ROUNDS));
    expect((await registry.listVersions(RACE, { limit: 1000 })).items.length).toBe(WRITERS * ROUNDS);
    expect((await registry.getPrompt(RACE)).version).toBe(`2.${WRITERS - 1}.${ROUNDS - 1}`);
    expect((await registry.verify()).problems).toEqual([]);
    await registry.close();
  });

  test("a label goes on by one for every success", async () => {
    const { reports, registry } = await race(make(), { what: "label", rounds: ROUNDS }, async (before) => {
      const requests = Array.from({ length: WRITERS * ROUNDS + 1 }, (_, i) => ({
        name: RACE,
        version: `3.0.${i}`,
        text: `${i}`,
      }));
      await before.storePrompts(requests);
      await before.setLabel(RACE, "turn", "3.0.0");
    });
    const won = reports.flatMap((r) => r.won);
    expect(new Set(won).size).toBe(won.length);
    expect((await registry.getPrompt(`${RACE}@turn`)).version).toBe(`3.0.${won.length}`);
    const entries = (await registry.history(RACE).all()).filter((e) => e.action === "label");
    expect(entries.length).toBe(won.length + 1);
    expect(won.length).toBeGreaterThan(0);
    for (const { lost } of reports) expect(Object.keys(lost).filter((code) => code !== "CONFLICT")).toEqual([]);
    await registry.close();
  });

  test("of guarded publishers one wins each turn", async () => {
    const { reports, registry } = await race(make(), { what: "guard", rounds: ROUNDS }, async (before) => {
      await before.storePrompt({ name: "race/guard", version: "1.0.0", text: "start" });
    });
    const won = reports.flatMap((r) => r.won);
    expect(new Set(won).size).toBe(won.length);
    expect(won.length).toBeGreaterThan(0);
    const versions = (await registry.listVersions("race/guard", { limit: 1000 })).items.map((v) => v.version as string);
    expect(versions).toEqual(Array.from({ length: won.length + 1 }, (_, i) => `1.0.${won.length - i}`));
    for (const [who, { won: own }] of reports.entries()) {
      for (const version of own)
        expect((await registry.getPrompt(`race/guard@${version}`)).text).toBe(textOf(version, who));
    }
    await registry.close();
  });
});
