import { canonicalSeal, isSealed, openStored, readSeal, sealDocument } from "../../document.ts";
import { RegistryError } from "../../errors.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import type { ExportResult, ImportResult, PromptFormat } from "./format.ts";
import { toldElsewhere } from "./github-models.ts";
import { highestOnly, nameFor, versionFor } from "./records.ts";
import { invalidText, readParts } from "./text.ts";

const ENDING = /\.prompt$/i;
const PARTIAL = /(^|\/)_([^/]+)$/;
const PARTIAL_NAME = /(^|\/)([^/]+)\.partial$/;

/**
 * Dotprompt files: `dir/name[.variant].prompt`, partials `_name.prompt`.
 *
 * The text is taken as it is. A variant stays in the name (`greet.formal`); the partial `_header` is called
 * `header.partial`. An export is the sealed document, whose `registry.*` lines a Dotprompt parser keeps as extension
 * fields, so name, version, author, time and message come back with it.
 */
export const dotprompt: PromptFormat = {
  name: "dotprompt",
  title: "Dotprompt files (.prompt)",
  detect(_text, path = "") {
    return ENDING.test(path);
  },
  import(text, context = {}): ImportResult {
    const what = context.path ?? ".prompt";
    if (isSealed(text)) {
      const sealed = readSeal(text);
      const opened = openStored(text, sealed);
      const { author, createdAt, message } = opened;
      return {
        prompts: [
          {
            ...{ name: sealed.name, version: sealed.version, labels: [] },
            text: opened.kind === "document" ? opened.text : text,
            ...(author === undefined ? {} : { author }),
            ...(createdAt === undefined ? {} : { createdAt }),
            ...(message === undefined ? {} : { message }),
          },
        ],
        lost: [],
      };
    }
    const { metadata } = readParts(text);
    if (Object.keys(metadata).some((key) => key.startsWith("registry."))) {
      throw invalidText(what, "its registry.* lines are of a sealed document that was edited; remove them");
    }
    const fromPath = context.path?.replace(ENDING, "").replace(PARTIAL, "$1$2.partial");
    const raw = fromPath !== undefined && fromPath !== "" ? fromPath : metadata.name;
    if (context.name === undefined && (typeof raw !== "string" || raw === ""))
      throw invalidText(what, "give it a name");
    const name = nameFor(String(raw), context);
    const version = versionFor(metadata.version);
    const lost =
      metadata.version !== undefined && version === undefined
        ? [
            `${name}: its version ${JSON.stringify(metadata.version)} is no semantic version; it stays in the front matter`,
          ]
        : [];
    return {
      prompts: [
        { name, ...(version === undefined ? { bump: context.bump ?? "minor" } : { version }), text, labels: [] },
      ],
      lost,
    };
  },
  export(prompts): ExportResult {
    const lost: string[] = [];
    const files = highestOnly(prompts, lost).map((prompt) => {
      toldElsewhere(prompt, lost, ["labels"]);
      const input = { ...prompt, name: parseName(prompt.name), version: parseVersion(prompt.version) };
      const { createdAt } = prompt;
      const sealed = createdAt === undefined ? canonicalSeal(input) : sealDocument({ ...input, createdAt });
      if (createdAt === undefined) toldElsewhere(prompt, lost, ["author", "message"]);
      return { path: `${prompt.name.replace(PARTIAL_NAME, "$1_$2")}.prompt`, text: sealed.text };
    });
    const twice = files.find((file, i) => files.findIndex((f) => f.path === file.path) !== i);
    if (twice !== undefined)
      throw new RegistryError("INVALID", `two prompts would be ${twice.path}`, { path: twice.path });
    return { files, lost };
  },
};
