import { show } from "../../errors.ts";
import { decodeMessages, encodeMessages } from "./chat.ts";
import type {
  ExportablePrompt,
  ExportResult,
  ImportContext,
  ImportedPrompt,
  ImportResult,
  PromptFormat,
} from "./format.ts";
import {
  finishImport,
  integerVersions,
  isObject,
  type Json,
  labelsFor,
  nameFor,
  noteFor,
  readRecords,
  requireString,
  timeFor,
  versionFor,
} from "./records.ts";
import { invalidText, namespaced, readParts, splitNamespace, withFrontMatter } from "./text.ts";

/** Move with labels or edits of other versions, so no version can hold them for ever. */
const MUTABLE = ["updatedAt", "lastUpdatedAt", "lastConfig", "resolutionGraph", "isActive"];
const ELSEWHERE: ReadonlySet<string> = new Set([
  "name",
  "version",
  "prompt",
  "labels",
  "type",
  "config",
  "tags",
  ...MUTABLE,
]);

function importOne(entry: Json, context: ImportContext, lost: string[]): ImportedPrompt {
  const original = requireString(entry.name, "Langfuse prompt", "name");
  const what = `Langfuse prompt ${show(original)}`;
  const { prompt, config, tags } = entry;
  const version = entry.version === undefined ? undefined : versionFor(entry.version);
  if (entry.version !== undefined && version === undefined)
    throw invalidText(what, `version ${show(entry.version)} is none`);
  if (typeof prompt !== "string" && !Array.isArray(prompt)) {
    throw invalidText(
      what,
      "prompt must be a text or a list of messages (a list of names and versions has no texts: export the prompts)",
    );
  }
  const type = entry.type ?? (typeof prompt === "string" ? "text" : "chat");
  if ((type === "text") !== (typeof prompt === "string"))
    throw invalidText(what, `type ${show(type)} does not fit its prompt`);
  const name = nameFor(original, context);
  const createdAt = timeFor(entry.createdAt);
  const author = noteFor(entry.createdBy, "author");
  const message = noteFor(entry.commitMessage, "message");
  const elsewhere = new Set(ELSEWHERE);
  if (createdAt !== undefined && createdAt === entry.createdAt) elsewhere.add("createdAt");
  if (author !== undefined) elsewhere.add("createdBy");
  if (message !== undefined || entry.commitMessage === null) elsewhere.add("commitMessage");
  const { text, dropped } = withFrontMatter(
    {
      ...(name === original ? {} : { "langfuse.name": original }),
      "langfuse.type": type,
      ...(isObject(config) && Object.keys(config).length === 0 ? {} : { "langfuse.config": config }),
      ...(Array.isArray(tags) && tags.length === 0 ? {} : { "langfuse.tags": tags }),
      ...namespaced("langfuse", entry, elsewhere),
    },
    typeof prompt === "string" ? prompt : encodeMessages(prompt as unknown[]),
  );
  const ref = version === undefined ? name : `${name}@${version}`;
  for (const key of dropped) lost.push(`${ref}: ${key} does not fit into front matter`);
  for (const key of MUTABLE)
    if (entry[key] !== undefined && entry[key] !== null) lost.push(`${ref}: ${key} changes on the other side`);
  return {
    name,
    ...(version === undefined ? { bump: context.bump ?? "minor" } : { version }),
    text,
    labels: labelsFor(entry.labels, ref, lost),
    ...(author === undefined ? {} : { author }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(message === undefined ? {} : { message }),
  };
}

function exportOne(prompt: ExportablePrompt, version: number, lost: string[]): Json {
  const { metadata, body } = readParts(prompt.text);
  const { own, plain, foreign } = splitNamespace(metadata, "langfuse");
  const { name, type: given, config, tags, ...rest } = own;
  const messages =
    given === "text" ? undefined : given === "chat" ? (decodeMessages(body) ?? []) : decodeMessages(body);
  const ref = `${prompt.name}@${prompt.version}`;
  const keep = config === undefined ? [] : Object.keys(plain);
  for (const key of [...keep, ...foreign]) lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  return {
    ...rest,
    name: name ?? prompt.name,
    version,
    type: messages === undefined ? "text" : "chat",
    prompt: messages ?? body,
    // The one place for free settings; where the prompt brought none, its own front matter is that.
    config: config === undefined ? plain : config,
    labels: [...(prompt.labels ?? [])],
    tags: tags ?? [],
    commitMessage: prompt.message ?? own.commitMessage ?? null,
    ...(prompt.createdAt === undefined || own.createdAt !== undefined ? {} : { createdAt: prompt.createdAt }),
    ...(prompt.author === undefined ? {} : { createdBy: prompt.author }),
  };
}

/**
 * Langfuse: the JSON of its bulk export, of its API (one prompt, a list, `{"data": […]}`), or one object a line.
 *
 * Version n becomes n.0.0. Settings, tags and ids are kept in front matter below `langfuse.`; messages become lines
 * `user:`.
 */
export const langfuse: PromptFormat = {
  name: "langfuse",
  title: "Langfuse export (JSON)",
  detect(text) {
    try {
      return readRecords(text, "", ["data", "prompts"]).some(
        (e) =>
          "prompt" in e &&
          typeof e.name === "string" &&
          ("labels" in e || "config" in e || e.type === "chat" || e.type === "text"),
      );
    } catch {
      return false;
    }
  },
  import(text, context = {}): ImportResult {
    const lost: string[] = [];
    const entries = readRecords(text, "Langfuse export", ["data", "prompts"]);
    return {
      prompts: finishImport(
        entries.map((e) => importOne(e, context, lost)),
        "Langfuse export",
      ),
      lost,
    };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const numbers = integerVersions(prompts, lost);
    const entries = [...numbers].map(([prompt, version]) => exportOne(prompt, version, lost));
    return { files: [{ path: "langfuse-prompts.json", text: `${JSON.stringify(entries, null, 2)}\n` }], lost };
  },
};
