import { CORE_SCHEMA, load } from "js-yaml";
import { MAX_TEXT_BYTES } from "../../document.ts";
import { show } from "../../errors.ts";
import { encodeMessages, messagesOf } from "./chat.ts";
import type { ExportablePrompt, ExportResult, ImportContext, ImportResult, PromptFormat } from "./format.ts";
import { highestOnly, isObject, type Json, nameFor } from "./records.ts";
import { dumpYaml, invalidText, namespaced, readParts, splitNamespace, withFrontMatter } from "./text.ts";

const FORBIDDEN: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype", "<<"]);
const MAX_NODES = 100_000;
const ENDING = /\.prompt\.ya?ml$/i;
/** Settings of a model as front matter of a prompt may have them, and as the format calls them. */
const PARAMETERS: Readonly<Record<string, string>> = {
  temperature: "temperature",
  topP: "topP",
  top_p: "topP",
  maxTokens: "maxTokens",
  max_tokens: "maxTokens",
};

function parseYaml(text: string, what: string): Json {
  if (Buffer.byteLength(text) > MAX_TEXT_BYTES) throw invalidText(what, `larger than ${MAX_TEXT_BYTES} bytes`);
  let value: unknown;
  try {
    value = load(text, {
      schema: CORE_SCHEMA,
      onWarning(warning) {
        throw warning;
      },
    });
  } catch (cause) {
    throw invalidText(
      what,
      `not YAML as it is allowed here: ${String((cause as Error).message).split("\n", 1)[0]}`,
      cause,
    );
  }
  if (!isObject(value)) throw invalidText(what, "must be a mapping with messages");
  checkNodes(value, what);
  return value;
}

/** An alias makes one object stand at two places; a few of them can mean billions of values. */
function checkNodes(root: unknown, what: string): void {
  const seen = new Set<unknown>();
  const open: unknown[] = [root];
  for (let count = 0; open.length > 0; count++) {
    const value = open.pop();
    if (count > MAX_NODES) throw invalidText(what, `more than ${MAX_NODES} values`);
    if (typeof value === "number" && !Number.isFinite(value)) throw invalidText(what, ".inf and .nan are no JSON");
    if (typeof value !== "object" || value === null) continue;
    if (seen.has(value)) throw invalidText(what, "aliases (*) are not allowed");
    seen.add(value);
    for (const [key, child] of Object.entries(value)) {
      if (FORBIDDEN.has(key)) throw invalidText(what, `the key ${show(key)} is not allowed`);
      open.push(child);
    }
  }
}

function exportOne(prompt: ExportablePrompt, lost: string[]): string {
  const { metadata, body } = readParts(prompt.text);
  const { own, plain, foreign } = splitNamespace(metadata, "github");
  const ref = `${prompt.name}@${prompt.version}`;
  const parameters: Record<string, unknown> = {};
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(plain)) {
    const parameter = PARAMETERS[key];
    if (key === "name" || key === "description" || key === "model" || key === "modelParameters") fields[key] = value;
    else if (parameter !== undefined) parameters[parameter] = value;
    else lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  }
  for (const key of foreign) lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  if (Object.keys(parameters).length > 0) fields.modelParameters ??= parameters;
  const { name, description, model, modelParameters, responseFormat, jsonSchema, ...rest } = { ...fields, ...own };
  const ordered: Record<string, unknown> = {
    ...{ name: name ?? prompt.name, description, model, modelParameters, responseFormat, jsonSchema },
    messages: messagesOf(body),
    ...rest,
  };
  return dumpYaml(Object.fromEntries(Object.entries(ordered).filter(([, value]) => value !== undefined)));
}

/**
 * GitHub Models `.prompt.yml`, which LangWatch uses, too: one prompt a file, named by its path.
 *
 * The messages become the body (`user:` lines); everything else is kept in front matter below `github.`. The format has
 * no versions: an import bumps, an export takes the highest.
 */
export const githubModels: PromptFormat = {
  name: "github",
  title: "GitHub Models .prompt.yml",
  detect(text, path = "") {
    if (ENDING.test(path)) return true;
    return /^messages:[ \t]*$/m.test(text) && /^[ \t]*-[ \t]+(?:role|content):/m.test(text) && !text.startsWith("---");
  },
  import(text, context: ImportContext = {}): ImportResult {
    const what = context.path ?? ".prompt.yml";
    const entry = parseYaml(text, what);
    const { messages } = entry;
    if (!Array.isArray(messages)) throw invalidText(what, "messages must be a list of role and content");
    const fromPath = context.path?.replace(ENDING, "").replace(/\.ya?ml$/i, "");
    const raw = fromPath !== undefined && fromPath !== "" ? fromPath : entry.name;
    if (context.name === undefined && (typeof raw !== "string" || raw === ""))
      throw invalidText(what, "give it a name");
    const name = nameFor(String(raw), context);
    const keep = new Set(["messages", ...(entry.name === name ? ["name"] : [])]);
    const result = withFrontMatter(namespaced("github", entry, keep), encodeMessages(messages as unknown[]));
    const lost = result.dropped.map((key) => `${name}: ${key} does not fit into front matter`);
    if (/^[ \t]*#/m.test(text)) lost.push(`${name}: comments of the YAML`);
    return { prompts: [{ name, bump: context.bump ?? "minor", text: result.text, labels: [] }], lost };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const files = highestOnly(prompts, lost).map((prompt) => {
      toldElsewhere(prompt, lost, ["version", "labels", "author", "createdAt", "message"]);
      return { path: `${prompt.name}.prompt.yml`, text: exportOne(prompt, lost) };
    });
    return { files, lost };
  },
};

/** Tells which of a prompt's own facts the format has no place for. */
export function toldElsewhere(
  prompt: ExportablePrompt,
  lost: string[],
  facts: readonly ("version" | "labels" | "author" | "createdAt" | "message")[],
): void {
  const there = facts.filter((fact) => {
    const value = prompt[fact];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
  if (there.length > 0) lost.push(`${prompt.name}@${prompt.version}: no place for ${there.join(", ")}`);
}
