import { show } from "../../errors.ts";
import type { JsonObject, JsonValue } from "../../yaml.ts";
import { decodeMessages } from "./chat.ts";
import type { ExportablePrompt, ExportResult, ImportResult, PromptFormat } from "./format.ts";
import { toldElsewhere } from "./github-models.ts";
import { highestOnly, isObject, nameFor, noteFor, versionFor } from "./records.ts";
import { dumpYaml, invalidText, readParts, splitNamespace } from "./text.ts";

const ENDING = /\.prompty$/i;
const KNOWN = ["name", "displayName", "description", "metadata", "model", "inputs", "outputs", "tools", "template"];
/** How Prompty itself finds a message: any case, spaces, attributes in brackets. */
const LOOSE = /^[ \t]*(?:system|user|assistant|developer)(?:\[[^\]]*\])?[ \t]*:[ \t]*$/i;

/** Whether front matter is Prompty's already: then a text goes out as it is. */
function isPrompty(metadata: JsonObject): boolean {
  if (typeof metadata.name !== "string") return false;
  const marks = ["template", "inputs", "model", "metadata"].map((key) => metadata[key]);
  return marks.some((value) => typeof value === "object" && value !== null);
}

function exportOne(prompt: ExportablePrompt, lost: string[]): string {
  const { metadata, body } = readParts(prompt.text);
  const ref = `${prompt.name}@${prompt.version}`;
  if (isPrompty(metadata)) {
    const own = isObject(metadata.metadata) ? versionFor(metadata.metadata.version) : undefined;
    const facts = own === prompt.version ? [] : (["version"] as const);
    toldElsewhere(prompt, lost, [...facts, "labels", "createdAt", "message"]);
    return prompt.text;
  }
  toldElsewhere(prompt, lost, ["labels", "createdAt", "message"]);
  const { plain } = splitNamespace(metadata, "prompty");
  const fields: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(metadata)) {
    if (KNOWN.includes(key) && Object.hasOwn(plain, key)) fields[key] = value;
    else lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  }
  const about = {
    ...(prompt.author === undefined ? {} : { authors: [prompt.author] }),
    version: prompt.version,
  };
  const { name, ...rest } = fields;
  const matter = {
    name: name ?? prompt.name,
    ...rest,
    metadata: { ...about, ...(isObject(fields.metadata) ? fields.metadata : {}) },
    template: fields.template ?? { format: { kind: "mustache" }, parser: { kind: "prompty" } },
  };
  const chat = decodeMessages(body);
  const ambiguous = chat === undefined && body.split("\n").some((line) => LOOSE.test(line));
  if (ambiguous) lost.push(`${ref}: a line such as "user:" in its text starts a message there`);
  if (chat?.some((message) => typeof message.content !== "string")) {
    lost.push(`${ref}: messages that are more than a role and a text stay lines of JSON`);
  }
  return `---\n${dumpYaml(matter)}---\n${body}`;
}

/**
 * Prompty v2: YAML front matter and a body with `system:`, `user:` and `assistant:` lines, one prompt a file.
 *
 * The text is taken as it is; `${env:…}` and `${file:…}` stay what they are written as. The version is that of its
 * `metadata`, else the import bumps.
 */
export const prompty: PromptFormat = {
  name: "prompty",
  title: "Prompty v2 (.prompty)",
  detect(text, path = "") {
    if (ENDING.test(path)) return true;
    if (path !== "") return false;
    try {
      return isPrompty(readParts(text).metadata);
    } catch {
      return false;
    }
  },
  import(text, context = {}): ImportResult {
    const what = context.path ?? ".prompty";
    const { metadata, hasFrontMatter } = readParts(text);
    if (!hasFrontMatter) throw invalidText(what, "a Prompty file starts with front matter");
    const fromPath = context.path?.replace(ENDING, "");
    const raw = fromPath !== undefined && fromPath !== "" ? fromPath : metadata.name;
    if (context.name === undefined && (typeof raw !== "string" || raw === ""))
      throw invalidText(what, "give it a name");
    const name = nameFor(String(raw), context);
    const about = isObject(metadata.metadata) ? metadata.metadata : {};
    const version = versionFor(about.version);
    const authors = Array.isArray(about.authors) ? about.authors : [];
    const author = noteFor(authors.join(", "), "author");
    const lost: string[] = [];
    if (about.version !== undefined && version === undefined) {
      lost.push(`${name}: its version ${show(about.version)} is no semantic version; it stays in the front matter`);
    }
    return {
      prompts: [
        {
          name,
          ...(version === undefined ? { bump: context.bump ?? "minor" } : { version }),
          ...{ text, labels: [] },
          ...(author === undefined ? {} : { author }),
        },
      ],
      lost,
    };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const files = highestOnly(prompts, lost).map((prompt) => ({
      path: `${prompt.name}.prompty`,
      text: exportOne(prompt, lost),
    }));
    return { files, lost };
  },
};
