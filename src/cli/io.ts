import type { Input } from "../pipe.ts";
import type { PromptRegistry } from "../registry.ts";

/** Where text goes. What a `node:tty` or `node:stream` writable offers is enough; so is an object in a test. */
export interface Output {
  write(chunk: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Everything of the world outside that a command touches, so that a test can be the world. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Fires when the user interrupts. */
  readonly signal: AbortSignal;
  /** Opens the registry of a call; default: `openRegistry` on the storage, environment and configuration file. */
  readonly open?: (storage: string | undefined) => Promise<PromptRegistry>;
}

/** Why `Io.signal` fired, and so how the process ends. */
export class Interruption extends Error {
  override readonly name = "Interruption";
  readonly exitCode: number;

  constructor(what: string, exitCode: number) {
    super(what);
    this.exitCode = exitCode;
  }
}
