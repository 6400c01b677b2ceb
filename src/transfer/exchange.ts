import { sealDocument } from "../document.ts";
import { type RegistryError, throwIfAborted } from "../errors.ts";
import { parseName } from "../names.ts";
import type { Allowance } from "../policy/types.ts";
import type { StoreRequest } from "../registry/request.ts";
import { PromptRegistry } from "../registry.ts";
import { parseVersion } from "../semver.ts";
import type { ExportablePrompt, ExportResult, ImportedPrompt, PromptFormat } from "./formats/format.ts";
import { freshly } from "./fresh.ts";
import { isOwnFault } from "./own-fault.ts";

export interface ImportOptions {
  /** Move the labels that the other side has. Default `false`: an import moves no pointers. */
  readonly labels?: boolean | undefined;
  /** For prompts that name no author. */
  readonly author?: string | undefined;
  /** For prompts that have no message. */
  readonly message?: string | undefined;
  /** Store in spite of these rules of the registry's policy. */
  readonly allow?: Allowance | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each version. */
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number; readonly name: string }) => void)
    | undefined;
}

export interface ImportOutcome {
  readonly name: string;
  /** Absent where it failed before one was chosen. */
  readonly version?: string;
  readonly status: "created" | "unchanged" | "failed";
  readonly error?: RegistryError;
}

/**
 * Stores what a format read, one after the other, lowest versions first. The same again is `unchanged`; a version that is
 * there with another text, or a text that is not allowed, has `failed` and the others go on.
 *
 * A prompt that brings a version and a time is sealed with that time and its author, so its history is the original one.
 *
 * @throws RegistryError what the storage has to say, where that is no fault of one prompt
 * @example
 * const { prompts, lost } = langfuse.import(await readFile("export.json", "utf8"));
 * const outcomes = await importPrompts(registry, prompts);
 */
export async function importPrompts(
  registry: PromptRegistry,
  prompts: readonly ImportedPrompt[],
  options: ImportOptions = {},
): Promise<ImportOutcome[]> {
  const outcomes: ImportOutcome[] = [];
  const how = options.signal === undefined ? {} : { signal: options.signal };
  for (const prompt of prompts) {
    throwIfAborted(options.signal, "import");
    try {
      const { name, version, status } = await registry.storePrompt(requestOf(prompt, options), how);
      outcomes.push({ name, version, status });
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      const version = prompt.version === undefined ? {} : { version: prompt.version };
      outcomes.push({ name: prompt.name, ...version, status: "failed", error });
    }
    options.onProgress?.({ done: outcomes.length, total: prompts.length, name: prompt.name });
  }
  return outcomes;
}

function requestOf(prompt: ImportedPrompt, options: ImportOptions): StoreRequest {
  const { name, version, bump, text, createdAt } = prompt;
  const author = prompt.author ?? options.author;
  const message = prompt.message ?? options.message;
  const labels = options.labels === true && prompt.labels.length > 0 ? { labels: prompt.labels } : {};
  const allow = options.allow === undefined ? {} : { allow: options.allow };
  if (version !== undefined && createdAt !== undefined) {
    const sealed = sealDocument({
      name: parseName(name),
      version: parseVersion(version),
      text,
      author,
      createdAt,
      message,
    });
    return { name, text: sealed.text, ...labels, ...allow };
  }
  return {
    ...{ name, text, ...labels, ...allow },
    ...(version === undefined ? { bump: bump ?? "minor" } : { version }),
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { message }),
  };
}

export interface ExportOptions {
  /** Only names that start with this. */
  readonly prefix?: string | undefined;
  /** Only these. */
  readonly names?: readonly string[] | undefined;
  /** `all` or only what `latest` selects. Default `latest`. */
  readonly versions?: "latest" | "all" | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads prompts and writes them in a format. Everything is held: use `prefix` or `names` on a very large registry.
 *
 * @returns the files and, line by line, what the format can't say
 * @throws RegistryError NOT_FOUND for one of `names`; what the storage has to say
 * @example
 * const { files, lost } = await exportPrompts(registry, langfuse, { versions: "all" });
 */
export async function exportPrompts(
  from: PromptRegistry,
  format: PromptFormat,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const registry = new PromptRegistry(freshly(from.driver));
  const prompts: ExportablePrompt[] = [];
  const how = options.signal === undefined ? {} : { signal: options.signal };
  const status = new Set<string>();
  for await (const name of namesOf(registry, options)) {
    const refs =
      options.versions === "all"
        ? (await registry.listVersions(name, how).all()).map((e) => `${name}@${e.version}`)
        : [name];
    for (let i = 0; i < refs.length; i += 64) {
      for (const prompt of await registry.getPrompts(refs.slice(i, i + 64), { ...how, status: true })) {
        const { version, text, labels, author, createdAt, message } = prompt;
        prompts.push({
          ...{ name: prompt.name, version, text },
          ...(labels === undefined ? {} : { labels }),
          ...(author === undefined ? {} : { author }),
          ...(createdAt === undefined ? {} : { createdAt }),
          ...(message === undefined ? {} : { message }),
        });
        if (prompt.yanked !== undefined) status.add(`${prompt.ref}: no place for its yank`);
        if (prompt.deprecated !== undefined) status.add(`${prompt.name}: no place for its deprecation`);
      }
    }
  }
  const result = format.export(prompts);
  return { files: result.files, lost: [...result.lost, ...status] };
}

async function* namesOf(registry: PromptRegistry, options: ExportOptions): AsyncGenerator<string, void, undefined> {
  if (options.names !== undefined) yield* options.names;
  else {
    const { prefix, signal } = options;
    const list = {
      include: "heads" as const,
      ...(prefix === undefined ? {} : { prefix }),
      ...(signal === undefined ? {} : { signal }),
    };
    // With everything yanked there is no latest to export.
    for await (const entry of registry.listPrompts(list))
      if (options.versions === "all" || entry.head?.latest !== undefined) yield entry.name;
  }
}
