// A registry in a process of its own. The parent tells it over IPC what to call or what to watch.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSeal } from "../../../src/document.ts";
import { type FsOptions, fs } from "../../../src/drivers/fs/index.ts";
import { isRegistryError } from "../../../src/errors.ts";
import { PromptRegistry } from "../../../src/registry.ts";
import { compareVersions, type Version } from "../../../src/semver.ts";

export type WorkerOptions = Pick<FsOptions, "path" | "hardLinks" | "links" | "mode">;

/** What of a result goes over to the parent. */
export interface Told {
  readonly status?: string;
  readonly latest?: string;
  readonly text?: string;
}

export interface Call {
  readonly method:
    | "storePrompt"
    | "getPrompt"
    | "setLabel"
    | "removeLabel"
    | "rollback"
    | "unpin"
    | "yank"
    | "deleteVersion"
    | "verify"
    | "doctor";
  readonly args: readonly unknown[];
}

export type Answer =
  | { readonly ok: true; readonly value: Told }
  | { readonly ok: false; readonly code: string; readonly outcome: string; readonly message: string };

/** What readers look at. Texts of these prompts name their own version: `version 1.2.3 …`. */
export interface Watch {
  readonly names: readonly string[];
  /** Also read `latest.md` as any other program would. */
  readonly links: boolean;
}

export interface Ended {
  readonly reads: number;
  readonly violations: readonly string[];
}

export type Request = { readonly calls: readonly Call[] } | { readonly watch: Watch } | { readonly stop: true };

const options = JSON.parse(process.argv[2] as string) as WorkerOptions;
const open = () => new PromptRegistry(fs(options));
const registry = open();
let stopping = false;
let watching: Promise<Ended> | undefined;

process.on("message", (request: Request & { id: number }) => {
  void handle(request).then((value) => process.send?.({ id: request.id, value }));
});

async function handle(request: Request): Promise<unknown> {
  if ("calls" in request) {
    const answers: Answer[] = [];
    for (const call of request.calls) answers.push(await perform(call));
    return answers;
  }
  if ("watch" in request) {
    stopping = false;
    watching = watch(request.watch);
    return true;
  }
  stopping = true;
  return watching;
}

async function perform({ method, args }: Call): Promise<Answer> {
  try {
    const call = registry[method] as (...args: unknown[]) => Promise<Told>;
    const { status, latest, text } = await call.apply(registry, [...args]);
    return { ok: true, value: { ...(status && { status }), ...(latest && { latest }), ...(text && { text }) } };
  } catch (error) {
    if (isRegistryError(error)) {
      return { ok: false, code: error.code, outcome: error.outcome, message: error.message };
    }
    return { ok: false, code: "not a RegistryError", outcome: "", message: String((error as Error)?.stack ?? error) };
  }
}

async function watch({ names, links }: Watch): Promise<Ended> {
  const violations: string[] = [];
  const seen = new Map<string, { latest: Version; versions: Set<string> }>();
  let reads = 0;
  for (let round = 0; !stopping; round++) {
    // Half of the time through a registry that remembers nothing.
    const reader = round % 2 === 0 ? registry : open();
    for (const name of names) {
      try {
        const prompt = await reader.getPrompt(name);
        check(name, prompt.version, prompt.text, "getPrompt");
        const exact = await reader.getPrompt(`${name}@${prompt.version}`);
        if (exact.text !== prompt.text) violations.push(`${name}@${prompt.version}: two texts`);
        if (links) {
          const sealed = readSeal(readFileSync(join(options.path, "prompts", name, "latest.md"), "utf8"));
          if (sealed.name !== name) violations.push(`${name}: latest.md belongs to ${sealed.name}`);
        }
        const versions = new Set<string>(
          (await reader.listVersions(name, { limit: 1000 })).items.map((v) => v.version),
        );
        const before = seen.get(name);
        for (const version of before?.versions ?? []) {
          if (!versions.has(version)) violations.push(`${name}@${version} vanished from the list`);
        }
        if (before !== undefined && compareVersions(prompt.version, before.latest) < 0) {
          violations.push(`${name}: latest went back from ${before.latest} to ${prompt.version}`);
        }
        seen.set(name, { latest: prompt.version, versions });
        reads += links ? 4 : 3;
      } catch (error) {
        violations.push(`${name}: ${String((error as Error).stack)}`);
      }
      if (violations.length > 20) return { reads, violations };
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { reads, violations };

  function check(name: string, version: string, text: string, how: string): void {
    if (!text.startsWith(`version ${version} `)) {
      violations.push(`${how} ${name}@${version} served ${JSON.stringify(text.slice(0, 40))}`);
    }
  }
}
