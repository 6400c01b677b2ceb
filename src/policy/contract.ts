/** What a prompt asks of its callers: its variables. A version promises by its number that they still fit. */
import { show } from "../errors.ts";
import type { Metadata } from "../yaml.ts";

export interface Variable {
  readonly required: boolean;
  /** A canonical spelling of its type; absent where nothing is said. */
  readonly type?: string;
  /** The only values, where they are listed. */
  readonly values?: readonly string[];
}

export type Contract = ReadonlyMap<string, Variable>;

/** A kind of version number step: what a change needs, or what a number promises. */
export type Step = "major" | "minor" | "patch" | "none";

export interface NeededBump {
  /** `none`: the texts are the same. */
  readonly bump: Step;
  /** One line each; empty for wording alone. */
  readonly reasons: readonly string[];
}

/**
 * The variables of a prompt: those of `input.schema` (Picoschema or JSON Schema), and those `{{variables}}` of the body
 * that the schema does not name, which are required. A variable with a value in `input.default` is optional.
 *
 * @param metadata its front matter
 * @param variables of the body, as `compileTemplate` finds them
 */
export function readContract(metadata: Metadata, variables: readonly string[]): Contract {
  const contract = new Map<string, Variable>();
  const input = record(metadata.input);
  const schema = record(input?.schema);
  if (schema !== undefined) {
    for (const [name, variable] of isJsonSchema(schema) ? jsonSchema(schema) : picoschema(schema)) {
      contract.set(name, variable);
    }
  }
  for (const name of variables) if (!contract.has(name)) contract.set(name, { required: true });
  for (const name of Object.keys(record(input?.default) ?? {})) {
    const variable = contract.get(name);
    if (variable !== undefined) contract.set(name, { ...variable, required: false });
  }
  return contract;
}

/**
 * What a change of the variables needs. Removed, newly required, another type or fewer values: major, as a caller that
 * was right before is wrong now. A new optional one, no longer required, or more values: minor. Anything else: patch.
 */
export function neededBump(before: Contract, after: Contract, sameText = false): NeededBump {
  const major: string[] = [];
  const minor: string[] = [];
  for (const [name, old] of before) {
    const now = after.get(name);
    const it = `variable ${show(name, 64)}`;
    if (now === undefined) {
      major.push(`${it} is removed`);
      continue;
    }
    if (now.required && !old.required) major.push(`${it} is newly required`);
    if (!now.required && old.required) minor.push(`${it} is no longer required`);
    if (old.values !== undefined || now.values !== undefined) compareValues(it, old, now, major, minor);
    else if (old.type !== now.type) compareTypes(it, old, now, major, minor);
  }
  for (const [name, now] of after) {
    if (before.has(name)) continue;
    if (now.required) major.push(`variable ${show(name, 64)} is new and required`);
    else minor.push(`variable ${show(name, 64)} is new and optional`);
  }
  if (major.length > 0) return { bump: "major", reasons: major };
  if (minor.length > 0) return { bump: "minor", reasons: minor };
  return { bump: sameText ? "none" : "patch", reasons: [] };
}

function compareTypes(it: string, old: Variable, now: Variable, major: string[], minor: string[]): void {
  // To say nothing is to allow anything.
  if (now.type === undefined || now.type === ANY) minor.push(`${it} may now be anything`);
  else if (old.type === undefined) major.push(`${it} must now be ${show(now.type, 64)}`);
  else major.push(`${it} must now be ${show(now.type, 64)}, not ${show(old.type, 64)}`);
}

function compareValues(it: string, old: Variable, now: Variable, major: string[], minor: string[]): void {
  if (now.values === undefined) {
    if (now.type === undefined || now.type === ANY) minor.push(`${it} may now be anything`);
    else major.push(`${it} must now be ${show(now.type, 64)}, not one of a list`);
    return;
  }
  if (old.values === undefined) {
    major.push(`${it} must now be one of a list`);
    return;
  }
  const allowed = new Set(now.values);
  const known = new Set(old.values);
  const gone = old.values.filter((value) => !allowed.has(value));
  const added = now.values.filter((value) => !known.has(value));
  if (gone.length > 0) major.push(`${it} may no longer be ${show(gone[0], 64)}`);
  else if (added.length > 0) minor.push(`${it} may now be ${show(added[0], 64)}`);
}

const ANY = "any";

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** As Dotprompt tells them apart: a schema that says what it is, or lists properties, is JSON Schema. */
function isJsonSchema(schema: Readonly<Record<string, unknown>>): boolean {
  return (
    "$schema" in schema ||
    record(schema.properties) !== undefined ||
    (typeof schema.type === "string" && JSON_TYPES.has(schema.type))
  );
}

const JSON_TYPES: ReadonlySet<string> = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

function* jsonSchema(schema: Readonly<Record<string, unknown>>): Generator<[string, Variable]> {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  for (const [name, of] of Object.entries(record(schema.properties) ?? {})) {
    const property = record(of);
    const values = Array.isArray(property?.enum) ? property.enum.map((value) => JSON.stringify(value)) : undefined;
    yield [
      name,
      {
        required: required.has(name) && property?.default === undefined,
        ...(property === undefined ? {} : { type: canonical(property) }),
        ...(values === undefined ? {} : { values }),
      },
    ];
  }
}

// `name?(array, what it is)`; https://google.github.io/dotprompt/reference/picoschema/
const PICO_KEY = /^([^?(]{1,200})(\?)?(?:\(([^,)]{0,40})(?:,[^\n]{0,2000})?\))?$/;

function* picoschema(schema: Readonly<Record<string, unknown>>): Generator<[string, Variable]> {
  for (const [key, of] of Object.entries(schema)) {
    const match = PICO_KEY.exec(key);
    // `(*)` lets any other variable in, and asks for none.
    if (match === null) continue;
    const [, name = "", optional, kind] = match;
    const isEnum = kind?.trim() === "enum" && Array.isArray(of);
    const type = kind === undefined ? picoType(of) : `${kind.trim()} ${isEnum ? "" : picoType(of)}`.trim();
    yield [
      name.trim(),
      {
        required: optional === undefined,
        type,
        ...(isEnum ? { values: (of as unknown[]).map((value) => JSON.stringify(value)) } : {}),
      },
    ];
  }
}

/** Without the description, which is wording. */
function picoType(of: unknown): string {
  if (typeof of === "string") return (of.split(",", 1)[0] as string).trim();
  const fields = record(of);
  if (fields === undefined) return ANY;
  const parts = [...picoschema(fields)].map(
    ([name, { required, type, values }]) => `${name}${required ? "" : "?"}: ${type ?? ""}${values?.join("|") ?? ""}`,
  );
  return `{${parts.sort().join("; ")}}`;
}

const WORDING: ReadonlySet<string> = new Set(["description", "title", "examples", "example", "default", "$comment"]);

/** The type as one line, without what is only said about it; keys in one order. */
function canonical(schema: unknown): string {
  if (Array.isArray(schema)) return `[${schema.map(canonical).join(", ")}]`;
  const fields = record(schema);
  if (fields === undefined) return JSON.stringify(schema) ?? "";
  const keys = Object.keys(fields).filter((key) => !WORDING.has(key));
  if (keys.length === 0) return ANY;
  if (keys.length === 1 && typeof fields.type === "string") return fields.type;
  return `{${keys
    .sort()
    .map((key) => `${key}: ${canonical(fields[key])}`)
    .join("; ")}}`;
}
