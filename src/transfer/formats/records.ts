import { MAX_AUTHOR, MAX_MESSAGE } from "../../document.ts";
import { RegistryError, show } from "../../errors.ts";
import { isLabel, isName, parseName } from "../../names.ts";
import { compareVersions, parseVersion, type Version } from "../../semver.ts";
import type { ExportablePrompt, ImportContext, ImportedPrompt } from "./format.ts";
import { invalidText } from "./text.ts";

export type Json = Readonly<Record<string, unknown>>;

const MAX_BYTES = 256 * 2 ** 20;
const MAX_DEPTH = 64;

/**
 * The objects in a JSON text: an array, one object, an object with a list under one of `lists`, or one object a line.
 *
 * @throws RegistryError INVALID
 */
export function readRecords(text: string, what: string, lists: readonly string[]): Json[] {
  if (text.length > MAX_BYTES) throw invalidText(what, `larger than ${MAX_BYTES} bytes; split it`);
  const plain = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  let values: unknown[];
  try {
    const value: unknown = JSON.parse(plain);
    values = Array.isArray(value) ? value : [value];
    const [only] = values;
    if (values.length === 1 && isObject(only)) {
      const list = lists.map((key) => (Object.hasOwn(only, key) ? only[key] : undefined)).find(Array.isArray);
      if (list !== undefined) values = list;
    }
  } catch (cause) {
    values = readLines(plain, what, cause);
  }
  return values.map((value, i) => {
    if (!isObject(value)) throw invalidText(what, `entry ${i + 1} is not an object`);
    checkDepth(value, what, i);
    return value;
  });
}

function readLines(text: string, what: string, cause: unknown): unknown[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length < 2) throw invalidText(what, `not JSON: ${(cause as Error).message}`, cause);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (error) {
      throw invalidText(what, `not JSON, neither as a whole nor in line ${i + 1}: ${(error as Error).message}`, error);
    }
  });
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkDepth(value: unknown, what: string, index: number): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw invalidText(what, `entry ${index + 1} is nested deeper than ${MAX_DEPTH} levels`);
    level = level.flatMap((v) => (typeof v === "object" && v !== null ? Object.values(v) : []));
  }
}

/** A name of the registry for a foreign one. */
export function nameFor(raw: string, context: ImportContext): string {
  const { prefix = "" } = context;
  const before = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`;
  if (context.name !== undefined) return parseName(context.name);
  const whole = before + raw;
  if (isName(whole)) return whole;
  return parseName(
    before +
      raw
        .split("/")
        .map(slug)
        .filter((s) => s !== "")
        .join("/"),
  );
}

function slug(segment: string): string {
  const plain = segment
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/\.(?=(?:md|json)$)/, "-")
    .slice(0, 64)
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return plain === "" || isName(plain) ? plain : `prompt-${plain}`.slice(0, 64).replace(/[^a-z0-9]+$/, "");
}

/** `3`, `"3"` and `3.0` are 3.0.0; a semantic version stays; anything else is none. */
export function versionFor(value: unknown): Version | undefined {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value.trim() : "";
  if (/^[1-9]\d{0,14}$/.test(text)) return parseVersion(`${text}.0.0`);
  try {
    return parseVersion(text);
  } catch {
    return undefined;
  }
}

/** UTC with milliseconds, of ISO text or a number in `unit`; `undefined` where it is no time. */
export function timeFor(value: unknown, unit: "ms" | "s" = "ms"): string | undefined {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  const ms =
    typeof number === "number"
      ? number * (unit === "s" ? 1000 : 1)
      : typeof number === "string"
        ? Date.parse(number)
        : Number.NaN;
  if (!Number.isFinite(ms)) return undefined;
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return undefined;
  const text = date.toISOString();
  return /^\d{4}-/.test(text) ? text : undefined;
}

/** What may stand as author or message; `undefined` where it can't, so that it is kept in the front matter. */
export function noteFor(value: unknown, kind: "author" | "message"): string | undefined {
  const max = kind === "author" ? MAX_AUTHOR : MAX_MESSAGE;
  if (typeof value !== "string" || value === "" || value.length > max) return undefined;
  return /\0|\p{Surrogate}/u.test(value) ? undefined : value;
}

/** Labels that the registry takes; others are told. `latest` moves by itself on both sides. */
export function labelsFor(values: unknown, name: string, lost: string[]): string[] {
  if (!Array.isArray(values)) return [];
  const labels: string[] = [];
  for (const value of values as unknown[]) {
    if (value === "latest") continue;
    if (typeof value === "string" && isLabel(value)) labels.push(value);
    else lost.push(`${name}: the label ${show(value)} can't be a label here`);
  }
  return labels;
}

/** Refuses two prompts that would become one, and sorts: lower versions first, as they came. */
export function finishImport(prompts: readonly ImportedPrompt[], what: string): ImportedPrompt[] {
  const seen = new Set<string>();
  for (const { name, version } of prompts) {
    const key = `${name}@${version ?? ""}`;
    if (seen.has(key)) throw invalidText(what, `two entries are ${key.replace(/@$/, "")}; rename or remove one`);
    seen.add(key);
  }
  return [...prompts].sort(
    (a, b) =>
      (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) ||
      (a.version === undefined || b.version === undefined
        ? 0
        : compareVersions(a.version as Version, b.version as Version)),
  );
}

/** Versions as the integers of formats that only have those: n.0.0 is n; else they are numbered, and that is told. */
export function integerVersions(prompts: readonly ExportablePrompt[], lost: string[]): Map<ExportablePrompt, number> {
  const numbers = new Map<ExportablePrompt, number>();
  for (const [name, all] of byName(prompts)) {
    const own = all.map((p) => /^([1-9]\d*)\.0\.0$/.exec(p.version)?.[1]);
    if (own.every((n) => n !== undefined)) {
      for (const [i, prompt] of all.entries()) numbers.set(prompt, Number(own[i]));
      continue;
    }
    for (const [i, prompt] of all.entries()) numbers.set(prompt, i + 1);
    const map = all.map((p, i) => `${p.version} as ${i + 1}`).join(", ");
    lost.push(`${name}: versions are integers there, so they are numbered anew: ${map}`);
  }
  return numbers;
}

/** Grouped by name, ascending versions. */
export function byName(prompts: readonly ExportablePrompt[]): Map<string, ExportablePrompt[]> {
  const groups = new Map<string, ExportablePrompt[]>();
  for (const prompt of prompts) {
    const group = groups.get(prompt.name);
    if (group === undefined) groups.set(prompt.name, [prompt]);
    else group.push(prompt);
  }
  for (const group of groups.values())
    group.sort((a, b) => compareVersions(parseVersion(a.version), parseVersion(b.version)));
  return groups;
}

/** The highest of each name, for formats of one file a prompt; the others are told. */
export function highestOnly(prompts: readonly ExportablePrompt[], lost: string[]): ExportablePrompt[] {
  return [...byName(prompts)].map(([name, all]) => {
    const highest = all.at(-1) as ExportablePrompt;
    if (all.length > 1) {
      const others = all.slice(0, -1).map((p) => p.version);
      lost.push(`${name}: a file holds one version, ${highest.version}; left out: ${others.join(", ")}`);
    }
    return highest;
  });
}

export function requireString(value: unknown, what: string, field: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new RegistryError("INVALID", `${what}: ${field} must be a text`, { field: "text" });
}
