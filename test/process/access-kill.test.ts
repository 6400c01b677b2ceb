import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileTokens, type Place } from "../../src/server/access/index.ts";
import { verifyAudit } from "../../src/server/audit/index.ts";
import { createRandom } from "../../src/testing/random.ts";
import { skipSuite } from "../support/skip.ts";
import type { Order, Told } from "./access-worker.ts";

const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);
const root = fileURLToPath(new URL("../..", import.meta.url));
mkdirSync(join(root, ".cache"), { recursive: true });
// Within the project, so that the packages that are left out of the bundle are found.
const folder = mkdtempSync(join(root, ".cache", "access-kill-"));
const script = join(folder, "worker.mjs");
const started = new Set<ChildProcess>();

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL("./access-worker.ts", import.meta.url))],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
});
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** A worker, and every line that it has said so far. */
function start(order: Order) {
  const child = spawn(process.execPath, [script, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
  started.add(child);
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => said.push(line));
  const ended = new Promise<number | null>((resolve) => {
    let code: number | null = null;
    let open = 2;
    const done = () => --open === 0 && resolve(code);
    child.once("exit", (found) => {
      started.delete(child);
      code = found;
      done();
    });
    // What it said last is read after its end.
    lines.once("close", done);
  });
  return { child, said, ended };
}

/** Writers that are killed, again and again, at any moment; every entry that was acknowledged must be there, once. */
async function killed(place: Place, rounds: number, random: ReturnType<typeof createRandom>): Promise<number> {
  const acked = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const writers = [0, 1].map((n) => start({ what: "flood", who: `w${round}x${n}`, place, atOnce: 8 }));
    while (writers.some(({ said }) => said.length < 5)) {
      for (const { child } of writers) expect(child.exitCode, "a writer ended by itself").toBeNull();
      await sleep(1);
    }
    await sleep(random.int(40));
    for (const { child } of writers) child.kill("SIGKILL");
    await Promise.all(writers.map(({ ended }) => ended));
    // Its last line may have been cut off as well: then nobody heard of it.
    for (const { said } of writers) for (const line of said) if (/^w\d+x\d+-\d+$/.test(line)) acked.add(line);
  }
  const found = new Map<string, number>();
  const report = await verifyAudit(place, {
    onRecord: ({ requestId = "" }) => found.set(requestId, (found.get(requestId) ?? 0) + 1),
  });
  expect(report.problem).toBeUndefined();
  // Entries are whole numbers in a row, so a cut-off `…-12` of `…-123` would be one that was acknowledged as well.
  expect([...acked].filter((id) => found.get(id) !== 1)).toEqual([]);
  return acked.size;
}

describe("writers of an audit log killed with SIGKILL under load", () => {
  test("two at a time on one file, 6 times: what was acknowledged is there once, and the chain holds", async () => {
    const place = { backend: "file", path: join(folder, "audit.jsonl") } as const;
    expect(await killed(place, 6, createRandom(SEED))).toBeGreaterThanOrEqual(60);
  });

  test("two at a time on one SQLite database, 3 times", async () => {
    const place = { backend: "sqlite", path: join(folder, "audit.db"), busyTimeout: 60_000 } as const;
    expect(await killed(place, 3, createRandom(SEED + 1))).toBeGreaterThanOrEqual(30);
  });
});

test("four processes that make and revoke tokens in one file at once lose none", async () => {
  const path = join(folder, "tokens", "tokens.jsonl");
  const makers = ["a", "b", "c", "d"].map((who) => start({ what: "tokens", who, path, count: 30 }));
  expect(await Promise.all(makers.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  const store = fileTokens(path);
  const records = new Map((await store.list()).map((record) => [record.id, record]));
  const said = makers.flatMap((maker) => maker.said);
  expect(said.length).toBe(120);
  expect(records.size).toBe(120);
  for (const line of said) {
    const [id = "", revoked] = line.split(" ");
    expect(records.get(id)?.revokedAt !== undefined, line).toBe(revoked === "true");
  }
  await store.close();
});

/** Why nothing can be mounted here; `undefined`: it can. */
function mountMissing(): string | undefined {
  if (process.platform !== "linux") return "mount namespaces exist on Linux only";
  const { error, status, stderr } = spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], {
    encoding: "utf8",
  });
  if (error !== undefined) return "unshare is not installed";
  return status === 0 ? undefined : `mounting is not permitted (${stderr.trim()})`;
}

const missing = mountMissing();
if (missing !== undefined) skipSuite("an audit log on a full or read-only disk", missing);
else {
  describe("an audit log on a disk", () => {
    test.each([
      ["full", "NO_SPACE"],
      ["read-only", "READ_ONLY"],
    ] as const)("that is %s is not ready, says so, loses nothing, and goes on when it can", (what, code) => {
      const order = JSON.stringify({ what, folder: join(folder, what) } satisfies Order);
      const { stdout, stderr, status } = spawnSync("unshare", ["-Urm", process.execPath, script, order], {
        encoding: "utf8",
        timeout: 60_000,
      });
      expect(status, stderr).toBe(0);
      const told = JSON.parse(stdout) as Told;
      expect(told).toMatchObject({ append: code, ready: code, after: "done" });
      expect(told.verified).toBeGreaterThanOrEqual(told.appended);
      if (what === "full") expect(told.appended).toBeGreaterThan(10);
    });
  });
}
