// Does random operations on prompts of its own, and tells on stdout what it starts (`I`) and what was acknowledged (`A`)
// or refused (`E`), until it is killed. Written with writeSync, so that a line is out before the next operation starts.
import { writeSync } from "node:fs";
import { type FsOptions, fs } from "../../../src/drivers/fs/index.ts";
import { isRegistryError } from "../../../src/errors.ts";
import { PromptRegistry } from "../../../src/registry.ts";
import { createRandom } from "../../../src/testing/random.ts";
import { perform, type Step } from "../../support/process-steps.ts";

export interface ChaosOptions {
  readonly fs: Pick<FsOptions, "path" | "hardLinks" | "links" | "mode">;
  readonly seed: number;
  readonly names: readonly string[];
  /** No two children of a registry share one: versions in prompts that several write to carry it. */
  readonly slot: number;
  /** A prompt that others publish to at the same time. */
  readonly shared: string;
}

export type Line =
  | { readonly t: "I"; readonly step: Step }
  | { readonly t: "A" }
  | { readonly t: "E"; readonly code: string; readonly outcome: string; readonly message: string };

const options = JSON.parse(process.argv[2] as string) as ChaosOptions;
const random = createRandom(options.seed);
const registry = new PromptRegistry(fs(options.fs));
const say = (line: Line) => writeSync(1, `${JSON.stringify(line)}\n`);

async function next(count: number): Promise<Step> {
  if (random.chance(0.2)) {
    const version = `1.${options.slot}.${count}`;
    return {
      method: "storePrompt",
      args: [{ name: options.shared, version, text: `shared ${version} ${random.text(3000)}` }],
    };
  }
  const name = random.pick(options.names);
  const versions = (await registry.listVersions(name, { limit: 1000 })).items.map((e) => e.version as string);
  const text = `${random.int(1e9)} ${random.text(random.chance(0.1) ? 60_000 : 2000)}`;
  if (versions.length < 2 || random.chance(0.4)) {
    const labels = random.chance(0.3) ? { labels: [random.pick(["production", "staging"])] } : {};
    const unpin = random.chance(0.2) ? { unpin: true } : {};
    return { method: "storePrompt", args: [{ name, version: random.version(), text, ...labels, ...unpin }] };
  }
  const version = random.pick(versions);
  return random.pick<() => Step>([
    () => ({ method: "setLabel", args: [name, random.pick(["production", "staging", "canary"]), version] }),
    () => ({ method: "removeLabel", args: [name, random.pick(["production", "staging"])] }),
    () => ({ method: "rollback", args: [name, { to: version }] }),
    () => ({ method: "unpin", args: [name] }),
    () => ({ method: "yank", args: [name, version] }),
    () => ({ method: "unyank", args: [name, version] }),
    () => ({ method: "deleteVersion", args: [name, version] }),
    () => ({
      method: "storePrompts",
      args: [
        [
          { name, version: random.version(), text },
          { name: options.names.find((n) => n !== name), version: random.version(), text },
        ],
      ],
    }),
    () => (random.chance(0.15) ? { method: "deletePrompt", args: [name] } : { method: "unpin", args: [name] }),
  ])();
}

async function main(): Promise<void> {
  for (let count = 0; ; count++) {
    const step = await next(count);
    say({ t: "I", step });
    try {
      await perform(registry, step);
      say({ t: "A" });
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      say({ t: "E", code: error.code, outcome: error.outcome, message: error.message });
    }
  }
}

void main();
