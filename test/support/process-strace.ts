import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import type { OperationOptions } from "../process/workers/operation.ts";
import type { Ending } from "./process-steps.ts";
import type { Bench } from "./process-workers.ts";

/** Why system calls can't be traced here; `undefined`: they can. */
export function straceMissing(): string | undefined {
  if (process.platform !== "linux") return "strace exists on Linux only";
  const probe = spawnSync("strace", [
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=readlink",
    process.execPath,
    "-e",
    "0",
  ]);
  if (probe.error !== undefined) return "strace is not installed";
  return probe.status === 0 ? undefined : `strace can't trace here: ${String(probe.stderr).trim().split("\n")[0]}`;
}

/** A system call on the registry, addressed as strace counts: the nth of its name in its thread. */
export interface Point {
  readonly call: string;
  readonly nth: number;
  readonly text: string;
  /** It changes what is on the disk, or makes sure of it. */
  readonly changes: boolean;
}

export interface Traced {
  /** What the operation said before it ended or was killed. */
  readonly endings: readonly Ending[];
  readonly killed: boolean;
  /** The calls between the marks that touch the registry. */
  readonly points: readonly Point[];
  /** The call that was made to fail, if it touches the registry. */
  readonly injected: string | undefined;
  /** The operation had begun. */
  readonly begun: boolean;
}

const ALL = [
  ..."openat,openat2,read,pread64,write,pwrite64,writev,pwritev,close,fsync,fdatasync,fstat,newfstatat,statx,lseek".split(
    ",",
  ),
  ..."link,linkat,unlink,unlinkat,symlink,symlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir".split(","),
  ..."getdents64,readlink,readlinkat,ftruncate,fchmod,chmod,utimensat,faccessat,access,copy_file_range,flock".split(
    ",",
  ),
];

/** `calls` that this architecture does not have are left out by the `?`. */
const names = (calls: readonly string[]) => calls.map((call) => `?${call}`).join(",");

/**
 * Runs test/process/workers/operation.ts under strace. One pool thread, so that the calls of a thread come in one order;
 * no io_uring, which strace can't see.
 */
export async function trace(
  bench: Bench,
  options: OperationOptions,
  inject?: { readonly call: string; readonly nth: number; readonly what: string },
): Promise<Traced> {
  const log = bench.folder("trace");
  const args = ["-f", "-qq", "-y", "-s", "200", "-o", log, "-e"];
  if (inject === undefined) args.push(`trace=${names(ALL)}`);
  else {
    args.push(`trace=${names([inject.call, "readlink", "readlinkat"])}`);
    args.push("-e", `inject=${inject.call}:${inject.what}:when=${inject.nth}`);
  }
  // Node makes a thousand calls before it begins; of those that are not asked for, strace then hears nothing. It can't kill then.
  if (inject?.what.startsWith("signal") !== true) args.push("--seccomp-bpf");
  args.push(process.execPath, bench.script("operation"), JSON.stringify(options));
  const child = spawn("strace", args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, UV_THREADPOOL_SIZE: "1", UV_USE_IO_URING: "0", NODE_OPTIONS: "" },
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    err += chunk;
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve([code, signal]));
  });
  const killed = signal === "SIGKILL" || code === 137;
  const lines = readFileSync(log, "utf8").split("\n");
  rmSync(log);
  const parsed = parse(lines, options.fs.path);
  // Then the wrong call was hit: Node's own start, or its event loop, on which it aborts.
  const wrong = inject !== undefined && (!parsed.begun || signal === "SIGABRT" || code === 134);
  if (!killed && !wrong && code !== 0) {
    throw new Error(`the operation crashed (${signal ?? code}): ${err.slice(0, 2000)}`);
  }
  return {
    endings: out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Ending),
    killed,
    ...parsed,
  };
}

function parse(lines: readonly string[], root: string): Pick<Traced, "points" | "injected" | "begun"> {
  const counts = new Map<string, number>();
  const open = new Map<string, string>();
  const points = new Map<string, Point>();
  let phase: "before" | "begun" | "ended" = "before";
  let injected: string | undefined;
  // Calls through /proc/self/fd/N/… name an open directory of the registry without its path.
  const touches = (text: string) => text.includes(root) || text.includes('"/proc/self/fd/');
  for (const line of lines) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const start = /^([a-z0-9_]+)\((.*)$/.exec(rest);
    if (start !== null) {
      const [, call = "", text = ""] = start;
      const key = `${thread} ${call}`;
      const nth = (counts.get(key) ?? 0) + 1;
      counts.set(key, nth);
      open.set(thread, `${call}(${text}`);
      if (text.includes("/process-mark-begin")) phase = "begun";
      else if (text.includes("/process-mark-end")) phase = "ended";
      else if (phase === "begun" && touches(text))
        points.set(`${call} ${nth}`, { call, nth, text, changes: isChange(call, text) });
    }
    if (line.includes("(INJECTED)") && phase !== "before") {
      const text = open.get(thread) ?? "";
      if (touches(text)) injected = text;
    }
  }
  return { points: [...points.values()], injected, begun: phase !== "before" };
}

function isChange(call: string, text: string): boolean {
  if (call.startsWith("openat")) return text.includes("O_CREAT");
  return /^(?:p?write|f(?:data)?sync|link|unlink|symlink|rename|mkdir|rmdir|ftruncate|f?chmod|utimensat|copy_)/.test(
    call,
  );
}

/** Runs `tasks`, a few at a time. */
export async function inParallel<T>(
  count: number,
  tasks: readonly T[],
  run: (task: T) => Promise<void>,
): Promise<void> {
  const queue = [...tasks];
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) await run(task);
    }),
  );
}
