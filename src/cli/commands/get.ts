import { RegistryError } from "../../errors.ts";
import type { Prompt } from "../../registry/prompt.ts";
import type { PromptRegistry } from "../../registry.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: ["SELECTOR"],
  details: [
    "Prints the author's text as it was stored: no byte more, no byte less. With --raw, the whole stored document, which",
    "`push` and `restore` take as it is. Only on a terminal, characters that it would obey or hide are shown as escapes.",
    "That a version is yanked, or a prompt deprecated, is said on stderr.",
  ],
  arguments: [{ name: "SELECTOR", kind: "selector" }],
  options: { raw: { type: "boolean", help: "print the stored document, with its seal" } },
  examples: [
    ["prompt-registry get support/triage", "the latest version"],
    ["prompt-registry get support/triage@production > triage.md", "what is in production, into a file"],
    ["prompt-registry get 'support/triage@^1.2' --json", "the highest 1.x from 1.2.0, with all that is known of it"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    if (values.raw && context.json) throw usageError("--raw and --json exclude each other");
    const registry = await context.registry();
    const prompt = await registry.getPrompt(positionals[0] as string, { signal: context.signal });
    remark(context, prompt);
    if (context.json) context.terminal.json(prompt);
    else context.terminal.text(values.raw ? await storedText(registry, prompt, context.signal) : prompt.text);
    return undefined;
  },
});

async function storedText(registry: PromptRegistry, prompt: Prompt, signal: AbortSignal): Promise<string> {
  const { name, version } = prompt;
  const [answer] = await registry.driver.read([{ name, selector: { kind: "version", version } }], { signal });
  if (answer?.status === "found") return answer.document.text;
  throw new RegistryError("NOT_FOUND", `${prompt.ref} was removed in the meantime`, { name, version });
}

/** What somebody who uses this version should know. */
export function remark({ terminal }: Context, prompt: Prompt): void {
  if (prompt.deprecated !== undefined) terminal.warn(`${prompt.name} is deprecated: ${prompt.deprecated.message}`);
  if (prompt.yanked !== undefined) {
    const { reason } = prompt.yanked;
    terminal.warn(`${prompt.ref} is yanked${reason === undefined ? "" : `: ${reason}`}`);
  }
  if (!prompt.sealed)
    terminal.warn(`${prompt.ref} is not sealed: it was put there by hand, and nothing vouches for it`);
  if (prompt.stale) terminal.warn(`${prompt.ref} may be out of date: the storage could not be asked`);
}
