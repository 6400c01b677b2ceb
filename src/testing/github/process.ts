import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";

/** Nothing of the machine's or the user's own set-up may change what Git answers. */
export const GIT_ENV: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: "/nonexistent",
  LC_ALL: "C",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
};

export class GitFailure extends Error {
  override readonly name = "GitFailure";
}

/** Runs one Git command to its end. Rejects with what it said on standard error. */
export function git(args: readonly string[], options: { readonly env?: NodeJS.ProcessEnv } = {}): Promise<string> {
  const env = { ...GIT_ENV, ...options.env };
  return new Promise((resolve, reject) => {
    execFile("git", [...args], { env, maxBuffer: 1 << 28, encoding: "utf8" }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new GitFailure(`git ${args.join(" ")}: ${stderr.trim() || error.message}`));
    });
  });
}

/** Takes bytes off the front as far as they make a whole reply, else answers `undefined` and is asked again with more. */
export type Parse<T> = (buffer: Buffer) => { readonly value: T; readonly length: number } | undefined;

interface Waiting {
  readonly parse: Parse<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export const line: Parse<string> = (buffer) => {
  const end = buffer.indexOf(10);
  return end < 0 ? undefined : { value: buffer.toString("utf8", 0, end), length: end + 1 };
};

/**
 * A Git command that answers one request after the other, such as `cat-file --batch`: starting a process for each would
 * cost more than all else a request does. Started when first asked, and again after it died of a request.
 */
export class GitConversation {
  readonly #args: readonly string[];
  readonly #waiting: Waiting[] = [];
  #child: ChildProcessWithoutNullStreams | undefined;
  #buffered: Buffer[] = [];
  #stderr = "";

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  ask<T>(request: string | Uint8Array, parse: Parse<T>): Promise<T> {
    const child = this.#child ?? this.#start();
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ parse, resolve: resolve as (value: unknown) => void, reject });
      child.stdin.write(request);
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.stdin.end();
    await ended;
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn("git", [...this.#args], { env: GIT_ENV, stdio: "pipe" });
    this.#child = child;
    this.#buffered = [];
    this.#stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      this.#buffered.push(chunk);
      this.#answer();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString("utf8");
    });
    // A process that died of an earlier request: its "close" tells all who wait.
    child.stdin.on("error", () => {});
    child.once("error", (error) => this.#end(child, error));
    child.once("close", () => this.#end(child, new GitFailure(this.#stderr.trim() || `git ${this.#args[2]} ended`)));
    return child;
  }

  #answer(): void {
    while (this.#waiting[0] !== undefined) {
      const buffer = this.#buffered.length === 1 ? (this.#buffered[0] as Buffer) : Buffer.concat(this.#buffered);
      const reply = this.#waiting[0].parse(buffer);
      if (reply === undefined) {
        this.#buffered = [buffer];
        return;
      }
      this.#buffered = reply.length === buffer.length ? [] : [buffer.subarray(reply.length)];
      this.#waiting.shift()?.resolve(reply.value);
    }
  }

  #end(child: ChildProcessWithoutNullStreams, error: Error): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
