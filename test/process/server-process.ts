// `prompt-registry serve` as a process of its own, from a bundle made once.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type Agent, request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Program {
  /** A folder that goes with the program. */
  readonly folder: string;
  start(args: readonly string[], options?: StartOptions): Promise<ServerProcess>;
  /** Another command, to its end. */
  run(args: readonly string[]): { readonly code: number | null; readonly out: string; readonly err: string };
  dispose(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Of Node itself. */
  readonly flags?: readonly string[];
}

export async function createProgram(): Promise<Program> {
  // Within the project, so that the packages that are left out of the bundle are found.
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache", "server-"));
  for (const path of ["package.json", "bin"]) cpSync(join(root, path), join(folder, path), { recursive: true });
  const script: { bundleCli(dist: string): Promise<void> } = await import(join(root, "scripts", "build.mjs"));
  await script.bundleCli(join(folder, "dist"));
  const bin = join(folder, "bin", "prompt-registry.cjs");
  const data = join(folder, "data");
  mkdirSync(data);
  const env = { PATH: process.env.PATH, NO_COLOR: "1" };
  const started: ServerProcess[] = [];
  return {
    folder: data,
    async start(args, options = {}) {
      const child = spawn(process.execPath, [...(options.flags ?? []), bin, "serve", "--json", ...args], {
        cwd: data,
        env: { ...env, ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const server = await ServerProcess.ready(child);
      started.push(server);
      return server;
    },
    run(args) {
      const options = { cwd: data, env, encoding: "utf8", input: "" } as const;
      const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], options);
      return { code: status, out: stdout, err: stderr };
    },
    async dispose() {
      await Promise.all(started.map((server) => server.kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export class ServerProcess {
  readonly url: string;
  readonly metricsUrl: string;
  readonly #child: ChildProcess;
  readonly #gone: Promise<number | null>;
  #err = "";

  private constructor(child: ChildProcess, told: { readonly url: string; readonly metricsUrl?: string }, err: string) {
    this.url = told.url;
    this.metricsUrl = told.metricsUrl ?? "";
    this.#child = child;
    this.#err = err;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#err += chunk;
    });
    this.#gone = new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
      else child.once("exit", (code) => resolve(code));
    });
  }

  static ready(child: ChildProcess): Promise<ServerProcess> {
    return new Promise((resolve, reject) => {
      let out = "";
      let err = "";
      const onErr = (chunk: Buffer) => {
        err += chunk;
      };
      const onExit = (code: number | null) => reject(new Error(`the server ended with ${code}: ${err}`));
      child.stderr?.on("data", onErr);
      child.once("exit", onExit);
      child.stdout?.on("data", (chunk: Buffer) => {
        out += chunk;
        if (!out.trimEnd().endsWith("}")) return;
        child.off("exit", onExit);
        child.stderr?.off("data", onErr);
        resolve(new ServerProcess(child, JSON.parse(out), err));
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get stderr(): string {
    return this.#err;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns the exit code */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal);
    return this.#gone;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  /** Bytes in memory. */
  rss(): number {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return Number(line?.[1]) * 1024;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }
}

/** Statuses of all replies in what came back. */
export function statuses(reply: string): number[] {
  return [...reply.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

export interface Reply {
  readonly status: number;
  readonly retryAfter: number;
  readonly etag: string | undefined;
}

/** Cheaper than `fetch`, so that the one who asks is not what is measured. */
export function call(
  server: ServerProcess,
  agent: Agent,
  { method = "GET", path, body, headers = {} }: Call,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(server.url + path, { method, agent, headers }, (reply) => {
      reply.resume();
      reply.once("error", reject);
      reply.once("end", () => {
        const { etag, "retry-after": retry } = reply.headers;
        resolve({ status: reply.statusCode ?? 0, retryAfter: Number(retry ?? 0), etag });
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}
