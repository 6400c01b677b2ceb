import { RegistryError, show } from "../../errors.ts";
import { dotprompt } from "./dotprompt.ts";
import type { PromptFormat } from "./format.ts";
import { githubModels } from "./github-models.ts";
import { langfuse } from "./langfuse.ts";
import { mlflow } from "./mlflow.ts";
import { openai } from "./openai.ts";
import { prompty } from "./prompty.ts";

/** Every format, the more particular first. */
export const FORMATS: readonly PromptFormat[] = Object.freeze([
  dotprompt,
  prompty,
  githubModels,
  openai,
  langfuse,
  mlflow,
]);

/**
 * @throws RegistryError INVALID that lists the formats there are
 * @example
 * formatByName("langfuse").import(text).prompts;
 */
export function formatByName(name: string): PromptFormat {
  const format = FORMATS.find((f) => f.name === name);
  if (format !== undefined) return format;
  const known = FORMATS.map((f) => f.name).join(", ");
  throw new RegistryError("INVALID", `there is no format ${show(name)}; there are ${known}`, { field: "format" });
}

/** The format that a text is in, by its looks and its path; `undefined` when it is none. */
export function detectFormat(text: string, path?: string): PromptFormat | undefined {
  return FORMATS.find((format) => format.detect(text, path));
}
