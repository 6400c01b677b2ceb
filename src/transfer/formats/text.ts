import { CORE_SCHEMA, dump } from "js-yaml";
import { RegistryError } from "../../errors.ts";
import { splitFrontMatter } from "../../frontmatter.ts";
import { type JsonValue, type Metadata, parseFrontMatter } from "../../yaml.ts";

const DUMP = { schema: CORE_SCHEMA, noRefs: true, lineWidth: -1, noCompatMode: true } as const;

export function dumpYaml(value: unknown): string {
  return dump(value, DUMP);
}

export interface WithFrontMatter {
  readonly text: string;
  /** Keys that front matter can't hold as they are. */
  readonly dropped: readonly string[];
}

/**
 * A text with these fields as front matter. Each is written so that reading gives the same value back; what can't be
 * (too deep, too many, a forbidden key) is dropped and named.
 */
export function withFrontMatter(fields: Readonly<Record<string, unknown>>, body: string): WithFrontMatter {
  const dropped: string[] = [];
  const lines: { readonly key: string; readonly yaml: string }[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const yaml = fieldYaml(key, value);
    if (yaml === undefined) dropped.push(key);
    else lines.push({ key, yaml });
  }
  // Each fits for itself; together they may be too many. The largest goes first.
  while (!isValid(lines.map((line) => line.yaml).join(""))) {
    const largest = lines.reduce((a, b) => (b.yaml.length > a.yaml.length ? b : a));
    lines.splice(lines.indexOf(largest), 1);
    dropped.push(largest.key);
  }
  const block = lines.map((line) => line.yaml).join("");
  const text = `---\n${block}---\n${body}`;
  const bare = block === "" && !/^\ufeff?---/.test(body);
  return { text: bare ? body : text, dropped };
}

function isValid(yaml: string): boolean {
  try {
    parseFrontMatter(yaml);
    return true;
  } catch {
    return false;
  }
}

function fieldYaml(key: string, value: unknown): string | undefined {
  const wanted = JSON.stringify({ [key]: value });
  const tries = [() => dumpYaml({ [key]: value }), () => `${JSON.stringify(key)}: ${JSON.stringify(value)}\n`];
  for (const make of tries) {
    try {
      const yaml = make();
      if (JSON.stringify(parseFrontMatter(yaml)) === wanted) return yaml;
    } catch {
      // The next way of writing it may do.
    }
  }
  return undefined;
}

export interface PromptParts {
  readonly metadata: Metadata;
  readonly body: string;
  /** The author wrote a block, if only an empty one. */
  readonly hasFrontMatter: boolean;
}

/** @throws RegistryError INVALID with line and column */
export function readParts(text: string): PromptParts {
  const split = splitFrontMatter(text);
  if (split === "none") return { metadata: {}, body: text, hasFrontMatter: false };
  return {
    metadata: parseFrontMatter(text.slice(split.blockStart, split.blockEnd)),
    body: text.slice(split.bodyStart),
    hasFrontMatter: true,
  };
}

export interface Namespaced {
  /** The keys `ns.key`, by `key`. */
  readonly own: Readonly<Record<string, JsonValue>>;
  /** Keys without a dot: the prompt's own. */
  readonly plain: Readonly<Record<string, JsonValue>>;
  /** Keys of other namespaces. */
  readonly foreign: readonly string[];
}

export function splitNamespace(metadata: Metadata, namespace: string): Namespaced {
  const own: Record<string, JsonValue> = Object.create(null);
  const plain: Record<string, JsonValue> = Object.create(null);
  const foreign: string[] = [];
  for (const [key, value] of Object.entries(metadata)) {
    if (key.startsWith(`${namespace}.`)) own[key.slice(namespace.length + 1)] = value;
    else if (/^[a-z][a-z0-9]*\./.test(key)) foreign.push(key);
    else plain[key] = value;
  }
  return { own, plain, foreign };
}

/** Keys of a foreign object under a namespace, but those that are kept elsewhere. */
export function namespaced(
  namespace: string,
  object: Readonly<Record<string, unknown>>,
  elsewhere: ReadonlySet<string>,
): Record<string, unknown> {
  const fields: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) {
    if (!elsewhere.has(key) && value !== undefined) fields[`${namespace}.${key}`] = value;
  }
  return fields;
}

export function invalidText(what: string, problem: string, cause?: unknown): RegistryError {
  return new RegistryError("INVALID", `${what}: ${problem}`, {
    field: "text",
    ...(cause === undefined ? {} : { cause }),
  });
}
