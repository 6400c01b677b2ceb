import { RegistryError, show } from "./errors.ts";

export type TemplateValue = string | number | boolean | bigint;
/** Read for its own enumerable properties only. */
export type TemplateValues = Readonly<Record<string, TemplateValue>>;

export interface CompiledTemplate {
  /** In order of first appearance, each once. Frozen. */
  readonly variables: readonly string[];
  /** @throws RegistryError INVALID (`field: "values"`, all problems in `issues`) */
  render(values: TemplateValues): string;
}

// Sticky and without alternatives, so that a body is read once from left to right.
const PLACEHOLDER = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_-]*)[ \t]*\}\}/y;
// Words of Handlebars (https://handlebarsjs.com), which Dotprompt uses; and names that would reach into a prototype
// wherever the values come from another program.
const INERT: ReadonlySet<string> = new Set([
  ...["else", "this", "true", "false", "null", "undefined"],
  ...["__proto__", "constructor", "prototype"],
]);
const MAX_LISTED = 10;

/**
 * Splits a body into text and variables, once. A variable is `{{name}}`: letters, digits, `_` and `-`, not starting with
 * a digit or `-`, with optional spaces or tabs inside the braces. Everything else in braces stays text: `{{#if x}}`,
 * `{{a.b}}`, `{{{raw}}}`, `{{else}}`, `{{constructor}}`, calls. Nothing is ever evaluated, and a value is put in as it is:
 * braces in it are not read again.
 *
 * @example
 * const template = compileTemplate("Answer {{ customer }} in {{language}}.");
 * template.variables; // ["customer", "language"]
 * template.render({ customer: "Ada", language: "French" }); // "Answer Ada in French."
 */
export function compileTemplate(body: string): CompiledTemplate {
  // Text at even places, variable names at odd ones.
  const parts: string[] = [];
  const variables = new Set<string>();
  let textStart = 0;
  for (let at = body.indexOf("{{"); at >= 0; ) {
    PLACEHOLDER.lastIndex = at;
    const match = body[at + 2] === "{" ? null : PLACEHOLDER.exec(body);
    const name = match?.[1];
    let next = at + 2;
    // A longer run of braces is passed over whole: `{{{x}}}` is no `{` and a variable.
    while (body[next] === "{") next++;
    if (name !== undefined && !INERT.has(name)) {
      next = PLACEHOLDER.lastIndex;
      parts.push(body.slice(textStart, at), name);
      variables.add(name);
      textStart = next;
    }
    at = body.indexOf("{{", next);
  }
  const tail = body.slice(textStart);
  const names = Object.freeze([...variables]);
  const slots: ReadonlyMap<string, number> = new Map(names.map((name, i) => [name, i]));
  const fixed = parts.filter((_, i) => i % 2 === 0);
  const order = parts.filter((_, i) => i % 2 === 1).map((name) => slots.get(name) as number);
  return Object.freeze({
    variables: names,
    render(values: TemplateValues): string {
      const texts = readPlain(slots, values) ?? readValues(variables, values);
      let result = "";
      for (let i = 0; i < order.length; i++) {
        result += (fixed[i] as string) + (texts[order[i] as number] as string);
      }
      return result + tail;
    },
  });
}

/**
 * The names of the variables of a body, in order of first appearance; see {@link compileTemplate}.
 *
 * @example
 * templateVariables("{{a}} {{b}} {{a}}"); // ["a", "b"]
 */
export function templateVariables(body: string): readonly string[] {
  return compileTemplate(body).variables;
}

/**
 * Puts values in the place of variables; see {@link compileTemplate}, which pays off for more than one rendering.
 *
 * @throws RegistryError INVALID (`field: "values"`) that lists every missing, unknown or unfit value
 * @example
 * renderTemplate("Hello {{name}}", { name: "Ada" }); // "Hello Ada"
 */
export function renderTemplate(body: string, values: TemplateValues): string {
  return compileTemplate(body).render(values);
}

// `for … in` with this very call is what V8 turns into a walk over the fields; Object.hasOwn is not.
const isOwn = Object.prototype.hasOwnProperty;

/** The texts by slot when there is nothing to complain of; else `undefined`, and {@link readValues} finds the words. */
function readPlain(slots: ReadonlyMap<string, number>, values: TemplateValues): readonly string[] | undefined {
  if (typeof values !== "object" || values === null) return undefined;
  const texts = new Array<string>(slots.size);
  let found = 0;
  for (const name in values) {
    if (!isOwn.call(values, name)) continue;
    const value: unknown = values[name];
    if (value === undefined) continue;
    const slot = slots.get(name);
    if (slot === undefined || !isValue(value)) return undefined;
    texts[slot] = typeof value === "string" ? value : String(value);
    found++;
  }
  return found === slots.size ? texts : undefined;
}

/** The texts in the order of the variables, or an error that names all problems at once. */
function readValues(variables: ReadonlySet<string>, values: TemplateValues): readonly string[] {
  if (typeof values !== "object" || values === null) {
    throw new RegistryError("INVALID", "values must be an object that holds a value for each variable", {
      field: "values",
    });
  }
  const texts = new Map<string, string>();
  const unknown: string[] = [];
  const unfit: string[] = [];
  for (const [name, value] of Object.entries<unknown>(values)) {
    // A caller who spreads an optional argument gives `undefined` and means nothing.
    if (value === undefined) continue;
    if (!variables.has(name)) unknown.push(name);
    else if (isValue(value)) texts.set(name, String(value));
    else unfit.push(name);
  }
  const missing = [...variables].filter((name) => !texts.has(name) && !unfit.includes(name));
  const issues = [
    ...missing.map((name) => `missing: ${show(name)}`),
    ...unknown.map((name) => `unknown: ${show(name)}`),
    ...unfit.map((name) => `not a string, number, boolean or bigint: ${show(name)}`),
  ];
  if (issues.length === 0) return [...variables].map((name) => texts.get(name) as string);
  const more = issues.length > MAX_LISTED ? `; and ${issues.length - MAX_LISTED} more` : "";
  throw new RegistryError(
    "INVALID",
    `values don't fit the template: ${issues.slice(0, MAX_LISTED).join("; ")}${more}`,
    {
      field: "values",
      issues,
    },
  );
}

function isValue(value: unknown): value is TemplateValue {
  const type = typeof value;
  return type === "string" || type === "number" || type === "boolean" || type === "bigint";
}
