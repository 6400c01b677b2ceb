import { parseName } from "../../names.ts";
import type { PromptRegistry } from "../../registry.ts";
import { parseVersion } from "../../semver.ts";
import { usageError } from "../args.ts";
import { changeOptions, nameAndVersion } from "../change.ts";
import { AUTHOR, type Context, defineCommand, MESSAGE } from "../command.ts";
import { readLine } from "../input.ts";
import { count } from "../layout.ts";
import { requireHead, versionsOf } from "../lookup.ts";

export const command = defineCommand({
  usage: ["NAME VERSION", "NAME"],
  details: [
    "The text is gone for ever; who stored and deleted it, when and why, is kept, and the version can't be used for another",
    "text. NAME alone deletes every version and label. A labelled or pinned version is refused: move the label first.",
    "To keep a version from being chosen, `yank` it instead. A sealed copy (`get --raw`) can be restored.",
  ],
  arguments: [
    { name: "NAME", kind: "selector" },
    { name: "VERSION", kind: "version", optional: true },
  ],
  options: { yes: { type: "boolean", short: "y", help: "do not ask" }, message: MESSAGE, author: AUTHOR },
  examples: [
    ["prompt-registry delete support/triage 1.0.0 -m 'personal data'", "one version"],
    ["prompt-registry delete support/triage --yes", "all of it, without a question"],
  ],
  busy: "deleting",
  async run(context, { values, positionals }) {
    const { name, version } = nameAndVersion(positionals);
    parseName(name);
    if (version !== undefined) parseVersion(version);
    if (!values.yes && (context.io.stdin.isTTY !== true || context.io.stderr.isTTY !== true)) {
      throw usageError("a deletion can't be undone: repeat it with --yes");
    }
    const registry = await context.registry();
    if (!values.yes && !(await confirmed(context, registry, name, version))) {
      context.terminal.note("nothing was deleted");
      return 2;
    }
    context.terminal.startProgress("deleting");
    const options = changeOptions(context, values);
    const result =
      version === undefined
        ? await registry.deletePrompt(name, options)
        : await registry.deleteVersion(name, version, options);
    if (context.json) context.terminal.json(result);
    else if (result.versions.length === 0)
      context.terminal.out(`${version === undefined ? name : `${name}@${version}`} unchanged\n`);
    else context.terminal.out(result.versions.map((v) => `${result.name}@${v} deleted\n`).join(""));
    return undefined;
  },
});

async function confirmed(
  context: Context,
  registry: PromptRegistry,
  name: string,
  version: string | undefined,
): Promise<boolean> {
  const { terminal, io, signal } = context;
  await requireHead(registry, name, signal);
  let what = `${name}@${version}`;
  if (version === undefined) {
    const versions = await versionsOf(registry, name, { signal });
    what = `${name} (${count(versions.length, "version")})`;
  }
  terminal.question(`Delete ${what} for ever? [y/N]`);
  return /^y(es)?$/i.test(await readLine(io.stdin, signal));
}
