import { canonicalSeal, type Digest, openDocument } from "../document.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import { formatSelector, type PromptName, type Selector } from "../names.ts";
import type { Prompt } from "../registry/prompt.ts";
import { PromptRegistry } from "../registry.ts";
import { maxSatisfying, type Version } from "../semver.ts";
import { freshly } from "../transfer/fresh.ts";
import type { LockedPrompt, Lockfile, PromptsFile } from "./files.ts";

/** One way in which files, lock and registry disagree. */
export interface Drift {
  readonly name: PromptName;
  /**
   * - `unlocked`: asked for, and not in the lock
   * - `unwanted`: in the lock, and no longer asked for
   * - `selector`: asked for by another selector than the lock was made for
   * - `unsatisfied`: the locked version is not what the version or range asks for
   * - `missing`: the registry does not have the locked version any more
   * - `digest`: the registry has other bytes than were locked
   * - `damaged`: the registry's bytes are damaged
   */
  readonly kind: "unlocked" | "unwanted" | "selector" | "unsatisfied" | "missing" | "digest" | "damaged";
  readonly detail: string;
}

export interface ResolvedPrompt {
  readonly name: PromptName;
  readonly locked: LockedPrompt;
  /** The text to materialize: as it is stored, or its canonical seal. */
  readonly text: string;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Prompts read in one go. */
const BATCH = 64;

/** Reads the exact versions of a lock and holds each against its digest. */
export async function readLocked(
  registry: PromptRegistry,
  lock: Lockfile,
  options: LockOptions,
): Promise<{ readonly found: ResolvedPrompt[]; readonly drift: Drift[] }> {
  const found: ResolvedPrompt[] = [];
  const drift: Drift[] = [];
  const all = [...lock.prompts];
  for (let i = 0; i < all.length; i += BATCH) {
    const part = all.slice(i, i + BATCH);
    const read = await Promise.allSettled(
      part.map(([name, locked]) => readVersion(registry, name, locked.version, options)),
    );
    for (const [j, [name, locked]] of part.entries()) {
      const result = read[j] as PromiseSettledResult<{ text: string; digest: Digest }>;
      if (result.status === "fulfilled") {
        const { text, digest } = result.value;
        if (digest === locked.digest) found.push({ name, locked, text });
        else {
          const detail = `${name}@${locked.version} was locked with ${locked.digest}; the registry has ${digest}`;
          drift.push({ name, kind: "digest", detail });
        }
        continue;
      }
      const error: unknown = result.reason;
      if (isRegistryError(error, "NOT_FOUND")) drift.push({ name, kind: "missing", detail: error.message });
      else if (isRegistryError(error, "CORRUPT")) drift.push({ name, kind: "damaged", detail: error.message });
      else throw error;
    }
  }
  return { found, drift };
}

/** The stored text of one version, verified. */
export async function readVersion(
  registry: PromptRegistry,
  name: PromptName,
  version: Version,
  options: LockOptions,
): Promise<{ readonly text: string; readonly digest: Digest }> {
  const op = options.signal === undefined ? {} : { signal: options.signal };
  const [answer] = await freshly(registry.driver).read([{ name, selector: { kind: "version", version } }], op);
  if (answer?.status !== "found") {
    const why = answer?.status === "removed" ? "was removed" : "is not in the registry";
    throw new RegistryError("NOT_FOUND", `${name}@${version} ${why}`, { name, version });
  }
  const opened = openDocument(answer.document.text, { name, version });
  const text = opened.sealed ? answer.document.text : canonicalSeal({ name, version, text: opened.text }).text;
  return { text, digest: opened.digest };
}

/**
 * The same registry without what a cache remembers or a fallback has: what is locked stays, and so must not be taken from
 * there. A document that a cache has is still not sent again; only its revision is asked for.
 */
export function askingNow(registry: PromptRegistry): PromptRegistry {
  return new PromptRegistry(freshly(registry.driver));
}

/** What a selector selects now, and the bytes of it. */
export async function resolveNow(
  registry: PromptRegistry,
  name: PromptName,
  selector: Selector,
  options: LockOptions,
): Promise<ResolvedPrompt> {
  const prompt: Prompt = await askingNow(registry).getPrompt(`${name}@${formatSelector(selector)}`, options);
  const { text, digest } = await readVersion(registry, name, prompt.version, options);
  return { name, locked: { selector: formatSelector(selector), version: prompt.version, digest }, text };
}

/** How `prompts.json` and the lock disagree, without asking the registry. */
export function fileDrift(wanted: PromptsFile, lock: Lockfile): Drift[] {
  const drift: Drift[] = [];
  for (const [name, selector] of wanted.prompts) {
    const locked = lock.prompts.get(name);
    const asked = formatSelector(selector);
    if (locked === undefined) {
      drift.push({ name, kind: "unlocked", detail: `${name} (${asked}) is not in the lockfile` });
    } else if (locked.selector !== asked) {
      drift.push({
        name,
        kind: "selector",
        detail: `${name} is asked for as ${asked}, and locked as ${locked.selector}`,
      });
    } else if (!satisfies(selector, locked.version)) {
      drift.push({
        name,
        kind: "unsatisfied",
        detail: `${name} is locked to ${locked.version}, which is not ${asked}`,
      });
    }
  }
  for (const name of lock.prompts.keys()) {
    if (!wanted.prompts.has(name)) {
      drift.push({ name, kind: "unwanted", detail: `${name} is in the lockfile, and not asked for` });
    }
  }
  return drift;
}

/** Labels and `latest` move: any version may have been theirs when it was locked. */
function satisfies(selector: Selector, version: Version): boolean {
  if (selector.kind === "version") return selector.version === version;
  return selector.kind !== "range" || maxSatisfying([version], selector.range) === version;
}
