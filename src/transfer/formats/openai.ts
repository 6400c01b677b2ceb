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
  nameFor,
  noteFor,
  readRecords,
  timeFor,
  versionFor,
} from "./records.ts";
import { invalidText, namespaced, readParts, splitNamespace, withFrontMatter } from "./text.ts";

const LISTS = ["data", "prompts"];
/** Where the text of a prompt may stand: in the dashboard's JSON, and in requests that have it inline. */
const CONTENT = ["messages", "input", "instructions", "prompt"] as const;
const PINNED = ["is_default", "default", "pinned", "is_pinned"] as const;
const ELSEWHERE: ReadonlySet<string> = new Set([
  "id",
  "prompt_id",
  "name",
  "version",
  "object",
  "is_default",
  ...PINNED,
]);

/** A prompt with its versions inside becomes one entry a version; a reference to a prompt is unwrapped. */
function flatten(entry: Json): Json[] {
  const { versions, default_version, ...shared } = entry;
  if (Array.isArray(versions)) {
    return versions.filter(isObject).map((version) => ({
      ...shared,
      ...version,
      id: shared.id ?? version.id,
      ...(default_version !== undefined && String(version.version) === String(default_version)
        ? { is_default: true }
        : {}),
    }));
  }
  // A request that refers to a prompt: {"prompt": {"id": "pmpt_…", "version": "1", "variables": {…}}}.
  if (isObject(entry.prompt) && typeof (entry.prompt.id ?? entry.prompt.prompt_id) === "string") return [entry.prompt];
  return [entry];
}

function importOne(entry: Json, context: ImportContext, lost: string[]): ImportedPrompt | undefined {
  const id = entry.id ?? entry.prompt_id;
  const original = typeof entry.name === "string" && entry.name !== "" ? entry.name : id;
  if (typeof original !== "string" || original === "") throw invalidText("OpenAI prompt", "it has neither id nor name");
  const what = `OpenAI prompt ${show(original)}`;
  const field = CONTENT.find((key) => typeof entry[key] === "string" || Array.isArray(entry[key]));
  if (field === undefined) {
    lost.push(`${original}: only a reference, without content; export the prompt itself from the dashboard`);
    return undefined;
  }
  const version = entry.version === undefined || entry.version === null ? undefined : versionFor(entry.version);
  if (entry.version !== undefined && entry.version !== null && version === undefined) {
    throw invalidText(what, `version ${show(entry.version)} is none`);
  }
  const content = entry[field];
  const name = nameFor(original, context);
  const createdAt = timeFor(entry.created_at, "s");
  const author = noteFor(entry.created_by, "author");
  const message = noteFor(entry.description, "message");
  const elsewhere = new Set([...ELSEWHERE, field]);
  if (createdAt !== undefined && Date.parse(createdAt) / 1000 === entry.created_at) elsewhere.add("created_at");
  if (author !== undefined) elsewhere.add("created_by");
  if (message !== undefined) elsewhere.add("description");
  for (const [key, value] of Object.entries(entry)) if (value === null) elsewhere.add(key);
  const { text, dropped } = withFrontMatter(
    {
      ...(typeof id === "string" && id !== name ? { "openai.id": id } : {}),
      ...(typeof entry.name === "string" && entry.name !== name ? { "openai.name": entry.name } : {}),
      "openai.body": field,
      ...(typeof content === "string" ? {} : { "openai.type": "chat" }),
      ...namespaced("openai", entry, elsewhere),
    },
    typeof content === "string" ? content : encodeMessages(content as unknown[]),
  );
  const ref = version === undefined ? name : `${name}@${version}`;
  for (const key of dropped) lost.push(`${ref}: ${key} does not fit into front matter`);
  return {
    name,
    ...(version === undefined ? { bump: context.bump ?? "minor" } : { version }),
    text,
    labels: PINNED.some((key) => entry[key] === true) ? ["production"] : [],
    ...(author === undefined ? {} : { author }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(message === undefined ? {} : { message }),
  };
}

function exportOne(prompt: ExportablePrompt, version: number, lost: string[]): Json {
  const { metadata, body } = readParts(prompt.text);
  const { own, plain, foreign } = splitNamespace(metadata, "openai");
  const { id, name, body: field, type, ...rest } = own;
  const ref = `${prompt.name}@${prompt.version}`;
  const { model, ...more } = plain;
  for (const key of [...Object.keys(more), ...foreign])
    lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  const labels = (prompt.labels ?? []).filter((label) => label !== "production");
  for (const label of labels) lost.push(`${ref}: the label ${label} has no place; only a default version`);
  const decoded = decodeMessages(body);
  const isText = field === undefined ? decoded === undefined : type !== "chat";
  const key = typeof field === "string" ? field : isText ? "instructions" : "messages";
  return {
    object: "prompt",
    ...(id === undefined ? {} : { id }),
    name: name ?? prompt.name,
    version: String(version),
    ...(prompt.labels?.includes("production") ? { is_default: true } : {}),
    ...(model === undefined ? {} : { model }),
    ...rest,
    [key]: isText ? body : (decoded ?? []),
    ...(prompt.createdAt === undefined || rest.created_at !== undefined
      ? {}
      : { created_at: Date.parse(prompt.createdAt) / 1000 }),
    ...(prompt.author === undefined ? {} : { created_by: prompt.author }),
    ...(prompt.message === undefined ? {} : { description: prompt.message }),
  };
}

/**
 * OpenAI prompt objects, as JSON pasted from the dashboard or written by a script: one, a list, or with `versions`
 * inside. The text is in `messages`, `input`, `instructions` or `prompt`.
 *
 * Version n becomes n.0.0; the default version is labelled `production`. Model, tools, text format and variables are kept
 * in front matter below `openai.`. A reference (`{"id": "pmpt_…", "version": "1"}`) has no content and is told.
 */
export const openai: PromptFormat = {
  name: "openai",
  title: "OpenAI prompt objects (JSON)",
  detect(text) {
    try {
      return readRecords(text, "", LISTS)
        .flatMap(flatten)
        .some((e) => e.object === "prompt" || /^pmpt_/.test(String(e.id ?? e.prompt_id ?? "")));
    } catch {
      return false;
    }
  },
  import(text, context = {}): ImportResult {
    const lost: string[] = [];
    const entries = readRecords(text, "OpenAI prompts", LISTS).flatMap(flatten);
    const prompts = entries.flatMap((entry) => importOne(entry, context, lost) ?? []);
    return { prompts: finishImport(prompts, "OpenAI prompts"), lost };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const numbers = integerVersions(prompts, lost);
    const entries = [...numbers].map(([prompt, version]) => exportOne(prompt, version, lost));
    return { files: [{ path: "openai-prompts.json", text: `${JSON.stringify(entries, null, 2)}\n` }], lost };
  },
};
