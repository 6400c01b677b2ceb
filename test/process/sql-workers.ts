import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Backend, Order, Report } from "./sql-worker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

type Message = { ready?: true; report?: Report; failed?: string; ack?: string };

/** Processes that run `sql-worker.ts`, bundled once, since Node 20 can't run TypeScript. */
export interface Workers {
  start(backend: Backend, count: number): Promise<SqlWorker[]>;
  dispose(): void;
}

export async function createWorkers(): Promise<Workers> {
  // Within the project, so that the packages that are left out of the bundle are found.
  await mkdir(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache", "sql-workers-"));
  const script = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./sql-worker.ts", import.meta.url))],
    outfile: script,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  return {
    start: (backend, count) => Promise.all(Array.from({ length: count }, () => SqlWorker.start(script, backend))),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/**
 * Two writers that flood a backend until they are killed, some time after the first three versions of either were stored.
 *
 * @param round makes their versions differ from those of other rounds
 * @param delay in milliseconds
 * @returns what they were told is stored, as `name@version`
 */
export async function floodUntilKilled(
  workers: Workers,
  backend: Backend,
  round: number,
  delay: number,
): Promise<string[]> {
  const started = await workers.start(backend, 2);
  for (const [who, worker] of started.entries()) {
    // It never reports: it is killed.
    worker.obey({ what: "flood", who: round * 2 + who, rounds: 1_000_000 }).catch(() => {});
  }
  while (started.every((w) => w.acks.length < 3)) await sleep(1);
  await sleep(delay);
  await Promise.all(started.map((worker) => worker.kill()));
  return started.flatMap((w) => w.acks);
}

export class SqlWorker {
  readonly acks: string[] = [];
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #settle: { resolve: (report: Report) => void; reject: (error: Error) => void } | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#settle?.reject(new Error(`a worker ended by itself (${signal ?? code})`));
        resolve();
      });
    });
    child.on("message", ({ report, failed, ack }: Message) => {
      if (ack !== undefined) this.acks.push(ack);
      if (report !== undefined) this.#settle?.resolve(report);
      if (failed !== undefined) this.#settle?.reject(new Error(failed));
    });
  }

  static start(script: string, backend: Backend): Promise<SqlWorker> {
    const child = fork(script, [JSON.stringify(backend)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      execArgv: [],
    });
    const worker = new SqlWorker(child);
    return new Promise((resolve, reject) => {
      child.on("message", ({ ready }: Message) => ready && resolve(worker));
      child.once("exit", () => reject(new Error("a worker did not start")));
    });
  }

  obey(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#child.send(order);
    });
  }

  async kill(): Promise<void> {
    this.#settle = undefined;
    this.#child.kill("SIGKILL");
    await this.#gone;
  }
}
