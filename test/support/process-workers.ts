import { type ChildProcess, fork, type Serializable, type StdioOptions } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Answer, Call, Ended, Request, Watch, WorkerOptions } from "../process/workers/registry.ts";

const sources = fileURLToPath(new URL("../process/workers/", import.meta.url));

/** A folder that is gone after the suite: bundled workers in `bin`, and a fresh folder for every `folder()`. */
export interface Bench {
  readonly root: string;
  /** Path of a bundled worker script. */
  script(name: string): string;
  /** A path that does not exist yet. */
  folder(hint?: string): string;
  dispose(): void;
}

/**
 * Bundles test/process/workers once, since Node 20 can't run TypeScript; CommonJS starts fastest.
 *
 * @param where `memory`: on a file system in memory where there is one, for suites that look at states and not at time
 */
export async function createBench(where: "disk" | "memory" = "disk"): Promise<Bench> {
  const memory = "/dev/shm";
  const base = where === "memory" && existsSync(memory) ? memory : tmpdir();
  const root = realpathSync(mkdtempSync(join(base, "prompt-registry-process-")));
  const bin = join(root, "bin");
  mkdirSync(bin);
  const entries = readdirSync(sources).filter((file) => file.endsWith(".ts"));
  await build({
    entryPoints: entries.map((file) => join(sources, file)),
    outdir: bin,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    logLevel: "warning",
  });
  let count = 0;
  return {
    root,
    script: (name) => join(bin, `${basename(name, ".ts")}.cjs`),
    folder: (hint = "registry") => join(root, `${hint}-${count++}`),
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Another user to run as. */
export interface As {
  readonly uid?: number;
  readonly gid?: number;
}

/** A process with a registry of its own that does what it is told. */
export class Worker {
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: Serializable) => void; reject: (error: Error) => void }>();
  readonly #gone: Promise<void>;
  #next = 0;

  constructor(script: string, options: WorkerOptions, as: As = {}) {
    const stdio: StdioOptions = ["ignore", "inherit", "inherit", "ipc"];
    // Nothing of this process's surroundings, which another user may not be able to reach.
    const apart = { execArgv: [], cwd: dirname(script) };
    this.child = fork(script, [JSON.stringify(options)], { stdio, ...apart, ...as });
    this.child.on("message", (message: { id: number; value: Serializable }) => {
      this.#waiting.get(message.id)?.resolve(message.value);
      this.#waiting.delete(message.id);
    });
    this.#gone = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => {
        const error = new Error(`worker ${this.child.pid} ended by itself (${signal ?? code})`);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  #ask<T>(request: Request): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: Serializable) => void, reject });
      this.child.send({ id, ...request });
    });
  }

  async call(method: Call["method"], ...args: unknown[]): Promise<Answer> {
    const [answer] = await this.calls([{ method, args }]);
    return answer as Answer;
  }

  /** Calls one after the other. */
  calls(calls: readonly Call[]): Promise<Answer[]> {
    return this.#ask({ calls });
  }

  /** Reads in a loop until `stop`. */
  async watch(watch: Watch): Promise<void> {
    await this.#ask({ watch });
  }

  stop(): Promise<Ended> {
    return this.#ask({ stop: true });
  }

  async end(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#gone;
  }
}

export async function withWorkers<T>(
  script: string,
  count: number,
  options: WorkerOptions | ((index: number) => WorkerOptions),
  run: (workers: readonly Worker[]) => Promise<T>,
  as: As = {},
): Promise<T> {
  const workers = Array.from({ length: count }, (_, i) => {
    return new Worker(script, typeof options === "function" ? options(i) : options, as);
  });
  try {
    return await run(workers);
  } finally {
    await Promise.all(workers.map((w) => w.end()));
  }
}

/** One line a suite, past vitest's own output. */
export function summary(line: string): void {
  process.stderr.write(`${line}\n`);
}
