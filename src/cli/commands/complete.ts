import { parsePrefix } from "../../names.ts";
import type { PromptRegistry } from "../../registry.ts";
import { type ArgumentKind, type Context, defineCommand, GLOBAL_OPTIONS, type Options } from "../command.ts";
import { requireHead, versionsOf } from "../lookup.ts";
import { COMMANDS, visibleCommands } from "../table.ts";

const MAX_NAMES = 1000;
/** Nobody waits longer for a Tab. */
const PATIENCE = 2000;

/**
 * What the completion scripts call: `__complete WORD… CURRENT` with the words after the program's name. Answers one
 * candidate a line, with what it is after a tab; or `:file` or `:folder`, which a shell completes better itself.
 */
export const command = defineCommand({
  usage: ["WORD..."],
  arguments: [],
  options: {},
  examples: [],
  async run(context, { positionals }) {
    const words = positionals[0] === "--" ? positionals.slice(1) : positionals;
    // A completion that fails offers nothing; a message would end up in the middle of a line that is being typed.
    const lines = await candidates(context, words.slice(0, -1), words.at(-1) ?? "").catch(() => []);
    context.terminal.out(lines.map(([word, what]) => `${word}${what === "" ? "" : `\t${what}`}\n`).join(""));
    return undefined;
  },
});

type Candidate = readonly [word: string, what: string];

async function candidates(context: Context, before: readonly string[], current: string): Promise<Candidate[]> {
  const { name, index } = commandOf(before);
  const command =
    name === undefined || !Object.hasOwn(COMMANDS, name) ? undefined : (await COMMANDS[name]?.load())?.command;
  if (name !== undefined && command === undefined) return [];
  const options: Options = { ...GLOBAL_OPTIONS, ...command?.options };
  const last = before.at(-1);
  const open = last?.startsWith("--") && !last.includes("=") ? options[last.slice(2)] : undefined;
  if (open?.type === "string" && (index === undefined || before.length - 1 > index || last === "--storage")) {
    if (open.choices !== undefined) return startingWith(current, open.choices);
    return open.complete === undefined ? [] : ofKind(context, open.complete, current, before, index);
  }
  if (current.startsWith("-")) {
    const all = Object.entries(options).map(([option, spec]): Candidate => [`--${option}`, spec.help]);
    return all.filter(([word]) => word.startsWith(current));
  }
  if (command === undefined || index === undefined) {
    const all = visibleCommands().map((word): Candidate => [word, COMMANDS[word]?.summary ?? ""]);
    return all.filter(([word]) => word.startsWith(current));
  }
  const given = positionalsOf(before.slice(index + 1), options);
  const argument = command.arguments[given.length];
  if (argument === undefined) return [];
  if (argument.choices !== undefined) return startingWith(current, argument.choices);
  return ofKind(context, argument.kind, current, before, index);
}

function commandOf(words: readonly string[]): { readonly name?: string; readonly index?: number } {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "--storage") i++;
    else if (!word.startsWith("-")) return { name: word, index: i };
  }
  return {};
}

function positionalsOf(words: readonly string[], options: Options): string[] {
  const found: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const short = Object.entries(options).find(
      ([, spec]) => spec.short !== undefined && word === `-${spec.short}`,
    )?.[0];
    const spec = options[word.startsWith("--") ? word.slice(2) : (short ?? "")];
    if (spec?.type === "string") i++;
    else if (!word.startsWith("-") || word === "-") found.push(word);
  }
  return found;
}

function startingWith(current: string, words: readonly string[]): Candidate[] {
  return words.filter((word) => word.startsWith(current)).map((word) => [word, ""]);
}

async function ofKind(
  context: Context,
  kind: ArgumentKind,
  current: string,
  before: readonly string[],
  index: number | undefined,
): Promise<Candidate[]> {
  if (kind === "file" || kind === "folder") return [[`:${kind}`, ""]];
  if (kind === "command")
    return visibleCommands()
      .filter((w) => w.startsWith(current))
      .map((w) => [w, COMMANDS[w]?.summary ?? ""]);
  if (kind === "word") return [];
  const registry = await openFor(context, before);
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(PATIENCE)]);
  try {
    const first = index === undefined ? undefined : before.slice(index + 1).find((word) => !word.startsWith("-"));
    if (kind === "version" || kind === "label") {
      const name = first?.split("@", 1)[0];
      if (name === undefined) return [];
      return startingWith(current, await pointsOf(registry, name, kind, signal));
    }
    const at = current.indexOf("@");
    if (kind === "selector" && at >= 0) {
      const name = current.slice(0, at);
      const points = await pointsOf(
        registry,
        name === "" ? ((first ?? "").split("@", 1)[0] as string) : name,
        "selector",
        signal,
      );
      return startingWith(
        current,
        points.map((point) => `${name}@${point}`),
      );
    }
    return await namesFrom(registry, current, signal);
  } finally {
    await registry.close();
  }
}

/** The storage that the line being completed names. */
async function openFor({ io }: Context, words: readonly string[]): Promise<PromptRegistry> {
  const at = words.indexOf("--storage");
  const storage = at >= 0 ? words[at + 1] : words.find((w) => w.startsWith("--storage="))?.slice("--storage=".length);
  if (io.open !== undefined) return io.open(storage);
  const { openRegistry } = await import("../../config.ts");
  return openRegistry(storage === undefined ? {} : { storage }, { cwd: io.cwd, env: io.env, signal: io.signal });
}

async function namesFrom(registry: PromptRegistry, prefix: string, signal: AbortSignal): Promise<Candidate[]> {
  const { items } = await registry.listPrompts({ prefix: parsePrefix(prefix), limit: MAX_NAMES, signal });
  return items.map(({ name }) => [name, ""]);
}

async function pointsOf(
  registry: PromptRegistry,
  name: string,
  kind: "version" | "label" | "selector",
  signal: AbortSignal,
): Promise<string[]> {
  const { head } = await requireHead(registry, name, signal);
  const labels = Object.keys(head.labels).sort();
  if (kind === "label") return labels;
  const versions = (await versionsOf(registry, name, { signal })).map((entry) => entry.version as string);
  return kind === "version" ? [...versions, ...labels] : [...labels, "latest", ...versions];
}
