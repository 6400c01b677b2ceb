import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { Interruption, type Io } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** stdout as JSON. */
  json<T = Record<string, unknown>>(): T;
}

export interface WorldOptions {
  readonly stdin?: string | Uint8Array | Readable;
  readonly stdinTTY?: boolean;
  readonly stdoutTTY?: boolean;
  readonly stderrTTY?: boolean;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
  /** Called with everything that is written to stderr. */
  readonly onStderr?: (chunk: string) => void;
}

/** A folder, a memory registry and a clock, in which command lines run. */
export class World {
  readonly folder: string;
  readonly registry: PromptRegistry;
  readonly driver: StorageDriver;
  /** Use the real storage that the arguments name instead of the memory registry. */
  real = false;
  #minute = 0;

  constructor(wrap: (driver: StorageDriver) => StorageDriver = (d) => d) {
    this.folder = mkdtempSync(join(tmpdir(), "prompt-registry-cli-"));
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
    // Every command closes what it opened; this one lives on.
    this.driver = wrap({ ...memory(), close: async () => {} });
    this.registry = new PromptRegistry(this.driver, {
      author: "ada",
      now: () => new Date(Date.UTC(2026, 10, 24, 5, this.#minute++)),
    });
  }

  file(path: string, content: string | Uint8Array): string {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    return path;
  }

  run(...argv: string[]): Promise<Ran> {
    return this.runWith({}, ...argv);
  }

  async runWith(options: WorldOptions, ...argv: string[]): Promise<Ran> {
    let out = "";
    let err = "";
    const io: Io = {
      stdin: Object.assign(readable(options.stdin), { isTTY: options.stdinTTY ?? false }),
      stdout: {
        write: (chunk) => {
          out += chunk;
        },
        isTTY: options.stdoutTTY ?? false,
      },
      stderr: {
        write: (chunk) => {
          err += chunk;
          options.onStderr?.(chunk);
        },
        isTTY: options.stderrTTY ?? false,
      },
      env: options.env ?? {},
      cwd: this.folder,
      signal: options.signal ?? new AbortController().signal,
      ...(this.real ? {} : { open: async () => this.registry }),
    };
    const code = await main(argv, io);
    return { code, out, err, json: <T>() => JSON.parse(out) as T };
  }

  async store(name: string, version: string, text: string, labels: readonly string[] = []): Promise<void> {
    await this.registry.storePrompt({ name, version, text, labels });
  }
}

function readable(input: WorldOptions["stdin"]): Readable {
  if (input instanceof Readable) return input;
  return Readable.from(input === undefined ? [] : [Buffer.from(input as string)]);
}

/** A registry with three versions of `support/triage` and one of `support/reply`. */
export async function stocked(wrap?: (driver: StorageDriver) => StorageDriver): Promise<World> {
  const world = new World(wrap);
  await world.store("support/triage", "1.0.0", "Sort: {{ticket}}\n", ["production"]);
  await world.store("support/triage", "1.1.0", "Sort this: {{ticket}}\n");
  await world.store("support/triage", "2.0.0", "Sort this for {{company}}: {{ticket}}\n", ["staging"]);
  await world.store("support/reply", "1.0.0", "Answer {{customer}}.");
  return world;
}

export function interruption(): { readonly signal: AbortSignal; fire(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, fire: () => controller.abort(new Interruption("SIGINT", 130)) };
}
