import { type Digest, isDigest } from "../document.ts";
import { RegistryError, show } from "../errors.ts";
import { compareNames, formatSelector, isName, type PromptName, parseSelector, type Selector } from "../names.ts";
import { isVersion, type Version } from "../semver.ts";

/** What a project asks for: `prompts.json`. */
export interface PromptsFile {
  /** By name: a version (`1.2.0`), a range (`^1.2`), a label (`production`) or `latest`. */
  readonly prompts: ReadonlyMap<PromptName, Selector>;
}

export interface LockedPrompt {
  /** What `prompts.json` asked for when this was locked. */
  readonly selector: string;
  readonly version: Version;
  /** Of the stored document; for one without seal, of its canonical seal. */
  readonly digest: Digest;
}

/** What a project gets: `prompts.lock.json`. */
export interface Lockfile {
  readonly prompts: ReadonlyMap<PromptName, LockedPrompt>;
}

export const PROMPTS_FILE = "prompts.json";
export const LOCK_FILE = "prompts.lock.json";
export const LOCKFILE_VERSION = 1;
const MAX_BYTES = 16 * 2 ** 20;

/**
 * Reads a `prompts.json`: `{"prompts": {"support/triage": "^1.2", "greet": "production"}}`, and `$schema` if you like.
 *
 * @param where how messages call the file; default `prompts.json`
 * @throws RegistryError INVALID, naming every problem at once
 * @example
 * parsePromptsFile('{"prompts":{"greet":"^1"}}').prompts.get(parseName("greet")); // { kind: "range", range: "^1" }
 */
export function parsePromptsFile(text: string, where: string = PROMPTS_FILE): PromptsFile {
  const json = parseObject(text, where);
  const issues = unknownKeys(json, ["prompts", "$schema"]);
  const prompts = new Map<PromptName, Selector>();
  for (const [name, selector] of entriesOf(json.prompts, where)) {
    if (!isName(name)) issues.push(`${show(name)} is not a name`);
    else if (typeof selector !== "string")
      issues.push(`${name}: write a version, a range, a label or latest as a text`);
    else {
      try {
        prompts.set(name, parseSelector(selector));
      } catch (error) {
        issues.push(`${name}: ${(error as Error).message}`);
      }
    }
  }
  refuse(where, issues);
  return { prompts: sorted(prompts) };
}

/** The text of a `prompts.json`, names in byte order. */
export function formatPromptsFile(file: PromptsFile): string {
  const prompts = Object.fromEntries([...sorted(file.prompts)].map(([name, s]) => [name, formatSelector(s)]));
  return `${JSON.stringify({ prompts }, null, 2)}\n`;
}

/**
 * Reads a `prompts.lock.json`.
 *
 * @throws RegistryError INVALID, naming every problem at once; UNSUPPORTED for a `lockfileVersion` above 1
 * @example
 * const lock = parseLockfile(await readFile("prompts.lock.json", "utf8"));
 */
export function parseLockfile(text: string, where: string = LOCK_FILE): Lockfile {
  const json = parseObject(text, where);
  const { lockfileVersion } = json;
  if (typeof lockfileVersion === "number" && lockfileVersion > LOCKFILE_VERSION) {
    throw new RegistryError("UNSUPPORTED", `${where} has lockfileVersion ${lockfileVersion}; update prompt-registry`);
  }
  const issues = unknownKeys(json, ["lockfileVersion", "prompts", "$schema"]);
  if (lockfileVersion !== LOCKFILE_VERSION) issues.push(`lockfileVersion must be ${LOCKFILE_VERSION}`);
  const prompts = new Map<PromptName, LockedPrompt>();
  for (const [name, value] of entriesOf(json.prompts, where)) {
    const { selector, version, digest, ...rest } = (
      typeof value === "object" && value !== null ? value : {}
    ) as Partial<Record<string, unknown>>;
    if (!isName(name)) issues.push(`${show(name)} is not a name`);
    else if (typeof version !== "string" || !isVersion(version))
      issues.push(`${name}: version ${show(version)} is none`);
    else if (!isDigest(digest)) issues.push(`${name}: digest ${show(digest)} is not sha256: and 64 hex digits`);
    else if (typeof selector !== "string" || !isSelector(selector))
      issues.push(`${name}: selector ${show(selector)} is none`);
    else if (Object.keys(rest).length > 0)
      issues.push(
        `${name}: unknown ${Object.keys(rest)
          .map((k) => show(k))
          .join(", ")}`,
      );
    else prompts.set(name, { selector, version, digest });
  }
  refuse(where, issues);
  return { prompts: sorted(prompts) };
}

/** The text of a `prompts.lock.json`; the same lock gives the same bytes. */
export function formatLockfile(lock: Lockfile): string {
  const prompts = Object.fromEntries(
    [...sorted(lock.prompts)].map(([name, { selector, version, digest }]) => [name, { selector, version, digest }]),
  );
  return `${JSON.stringify({ lockfileVersion: LOCKFILE_VERSION, prompts }, null, 2)}\n`;
}

function isSelector(text: string): boolean {
  try {
    parseSelector(text);
    return true;
  } catch {
    return false;
  }
}

function sorted<T>(map: ReadonlyMap<PromptName, T>): Map<PromptName, T> {
  return new Map([...map].sort(([a], [b]) => compareNames(a, b)));
}

function parseObject(text: string, where: string): Record<string, unknown> {
  if (text.length > MAX_BYTES) throw new RegistryError("INVALID", `${where} is larger than ${MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (cause) {
    throw new RegistryError("INVALID", `${where} is not JSON: ${(cause as Error).message}`, { path: where, cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new RegistryError("INVALID", `${where} must hold an object`, { path: where });
}

function entriesOf(prompts: unknown, where: string): [string, unknown][] {
  if (typeof prompts === "object" && prompts !== null && !Array.isArray(prompts)) return Object.entries(prompts);
  throw new RegistryError("INVALID", `${where} must have prompts: an object by name`, {
    path: where,
    field: "prompts",
  });
}

function unknownKeys(json: Record<string, unknown>, known: readonly string[]): string[] {
  return Object.keys(json)
    .filter((key) => !known.includes(key))
    .map((key) => `unknown key ${show(key)}`);
}

function refuse(where: string, issues: readonly string[]): void {
  if (issues.length === 0) return;
  const more = issues.length > 10 ? `; and ${issues.length - 10} more` : "";
  throw new RegistryError("INVALID", `${where}: ${issues.slice(0, 10).join("; ")}${more}`, { path: where, issues });
}
