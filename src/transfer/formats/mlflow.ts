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

const LISTS = ["prompts", "prompt_versions", "model_versions"];
const MUTABLE = ["last_updated_timestamp"];
const ELSEWHERE: ReadonlySet<string> = new Set(["name", "version", "template", "aliases", ...MUTABLE]);
/** Tags in which the model registry of MLflow keeps a prompt. */
const TAG = { text: "mlflow.prompt.text", is: "mlflow.prompt.is_prompt" } as const;

/** A prompt as the REST interface of the model registry answers it: a model version with the text in a tag. */
function unwrap(entry: Json): Json {
  const { tags } = entry;
  const record = Array.isArray(tags)
    ? Object.fromEntries(tags.filter(isObject).map((t) => [String(t.key), t.value]))
    : isObject(tags)
      ? tags
      : {};
  if (entry.template !== undefined || typeof record[TAG.text] !== "string")
    return Array.isArray(tags) ? { ...entry, tags: record } : entry;
  const { [TAG.text]: text, [TAG.is]: _, ...rest } = record;
  const { description, ...fields } = entry;
  let template: unknown = text;
  if (rest._mlflow_prompt_type === "chat") {
    try {
      template = JSON.parse(text as string);
    } catch {
      // Kept as the text that it is.
    }
  }
  return { ...fields, template, tags: rest, ...(description === undefined ? {} : { commit_message: description }) };
}

function importOne(raw: Json, context: ImportContext, lost: string[]): ImportedPrompt {
  const entry = unwrap(raw);
  const original = requireString(entry.name, "MLflow prompt", "name");
  const what = `MLflow prompt ${show(original)}`;
  const { template, tags } = entry;
  if (typeof template !== "string" && !Array.isArray(template))
    throw invalidText(what, "template must be a text or a list of messages");
  const version = entry.version === undefined ? undefined : versionFor(entry.version);
  if (entry.version !== undefined && version === undefined)
    throw invalidText(what, `version ${show(entry.version)} is none`);
  // Unity Catalog names are catalog.schema.name, which is a fine name here, too.
  const name = nameFor(original, context);
  const createdAt = timeFor(entry.creation_timestamp);
  const author = noteFor(entry.user_id, "author");
  const message = noteFor(entry.commit_message, "message");
  const elsewhere = new Set(ELSEWHERE);
  if (isObject(tags) && Object.keys(tags).length === 0) elsewhere.add("tags");
  if (typeof entry.creation_timestamp === "number" && createdAt !== undefined) elsewhere.add("creation_timestamp");
  if (author !== undefined) elsewhere.add("user_id");
  if (message !== undefined) elsewhere.add("commit_message");
  for (const [key, value] of Object.entries(entry)) if (value === null) elsewhere.add(key);
  const { text, dropped } = withFrontMatter(
    {
      ...(name === original ? {} : { "mlflow.name": original }),
      "mlflow.type": typeof template === "string" ? "text" : "chat",
      ...namespaced("mlflow", entry, elsewhere),
    },
    typeof template === "string" ? template : encodeMessages(template as unknown[]),
  );
  const ref = version === undefined ? name : `${name}@${version}`;
  for (const key of dropped) lost.push(`${ref}: ${key} does not fit into front matter`);
  for (const key of MUTABLE)
    if (entry[key] !== undefined && entry[key] !== null) lost.push(`${ref}: ${key} changes on the other side`);
  const { aliases } = entry;
  const names = Array.isArray(aliases) ? (aliases as unknown[]).map((a) => (isObject(a) ? a.alias : a)) : aliases;
  return {
    name,
    ...(version === undefined ? { bump: context.bump ?? "minor" } : { version }),
    text,
    labels: labelsFor(isObject(names) ? Object.keys(names) : names, ref, lost),
    ...(author === undefined ? {} : { author }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(message === undefined ? {} : { message }),
  };
}

function exportOne(prompt: ExportablePrompt, version: number, lost: string[]): Json {
  const { metadata, body } = readParts(prompt.text);
  const { own, plain, foreign } = splitNamespace(metadata, "mlflow");
  const { name, type, model_config, ...rest } = own;
  const messages = type === "text" ? undefined : type === "chat" ? (decodeMessages(body) ?? []) : decodeMessages(body);
  const ref = `${prompt.name}@${prompt.version}`;
  const config = model_config ?? (Object.keys(plain).length === 0 ? undefined : plain);
  const keep = model_config === undefined ? [] : Object.keys(plain);
  for (const key of [...keep, ...foreign]) lost.push(`${ref}: ${show(key)} of the front matter has no place`);
  if (name === undefined && prompt.name.includes("/"))
    lost.push(`${ref}: names there have no "/"; it is written as "."`);
  return {
    ...rest,
    name: name ?? prompt.name.replaceAll("/", "."),
    version,
    template: messages ?? body,
    ...(config === undefined ? {} : { model_config: config }),
    tags: own.tags ?? {},
    aliases: [...(prompt.labels ?? [])],
    ...(prompt.message === undefined ? {} : { commit_message: prompt.message }),
    ...(prompt.createdAt === undefined ? {} : { creation_timestamp: Date.parse(prompt.createdAt) }),
    ...(prompt.author === undefined ? {} : { user_id: prompt.author }),
  };
}

/**
 * MLflow: prompt versions as JSON (one, a list, `{"prompts": […]}`), also as its model registry answers them.
 *
 * Version n becomes n.0.0, aliases become labels. Tags, `response_format` and `model_config` are kept in front matter
 * below `mlflow.`.
 */
export const mlflow: PromptFormat = {
  name: "mlflow",
  title: "MLflow prompt (JSON)",
  detect(text) {
    try {
      return readRecords(text, "", LISTS).some((e) => typeof e.name === "string" && unwrap(e).template !== undefined);
    } catch {
      return false;
    }
  },
  import(text, context = {}): ImportResult {
    const lost: string[] = [];
    const entries = readRecords(text, "MLflow prompts", LISTS);
    return {
      prompts: finishImport(
        entries.map((e) => importOne(e, context, lost)),
        "MLflow prompts",
      ),
      lost,
    };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const numbers = integerVersions(prompts, lost);
    const entries = [...numbers].map(([prompt, version]) => exportOne(prompt, version, lost));
    return { files: [{ path: "mlflow-prompts.json", text: `${JSON.stringify(entries, null, 2)}\n` }], lost };
  },
};
