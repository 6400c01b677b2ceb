import type { PromptRegistry } from "../registry.ts";
import type { Io } from "./io.ts";
import type { Terminal } from "./terminal.ts";

export interface OptionSpec {
  readonly type: "boolean" | "string";
  readonly short?: string;
  readonly multiple?: true;
  /** What stands for the value in help. */
  readonly value?: string;
  readonly help: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** What shells complete the value with. */
  readonly complete?: ArgumentKind;
}

export type Options = Readonly<Record<string, OptionSpec>>;

export type Values<O extends Options> = {
  readonly [K in keyof O]?: O[K]["type"] extends "boolean"
    ? boolean
    : O[K] extends { readonly multiple: true }
      ? readonly string[]
      : string;
};

/** What an argument is, for completion. */
export type ArgumentKind = "name" | "selector" | "version" | "label" | "file" | "folder" | "command" | "word";

export interface ArgumentSpec {
  /** As help and errors call it. */
  readonly name: string;
  readonly kind: ArgumentKind;
  readonly optional?: true;
  readonly choices?: readonly string[];
}

export interface Args<O extends Options> {
  readonly values: Values<O>;
  readonly positionals: readonly string[];
}

export interface CommandSpec<O extends Options> {
  /** Arguments as help shows them, one line a form. */
  readonly usage: readonly string[];
  readonly details?: readonly string[];
  readonly arguments: readonly ArgumentSpec[];
  readonly options: O;
  /** Whole command lines, each with what it does. */
  readonly examples: readonly (readonly [string, string])[];
  /** What the command is doing, for the progress line. */
  readonly busy?: string;
  /** @returns the exit code; nothing means 0 */
  run(context: Context, args: Args<O>): Promise<number | undefined>;
}

/** A command line, split and checked. */
export interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface Command extends Omit<CommandSpec<Options>, "run"> {
  run(context: Context, args: Parsed): Promise<number | undefined>;
}

/** Infers the options, so that `run` sees each value under its own type. */
export function defineCommand<const O extends Options>(command: CommandSpec<O>): Command {
  return command as unknown as Command;
}

/** What a command works with. */
export interface Context {
  readonly io: Io;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly json: boolean;
  /** What `--storage` said. */
  readonly storage: string | undefined;
  /** Opened when first asked for. */
  registry(): Promise<PromptRegistry>;
}

/** Options that every command has. */
export const GLOBAL_OPTIONS = {
  storage: {
    type: "string",
    value: "URL",
    help: "where the prompts are; default: PROMPT_REGISTRY_STORAGE, the configuration file, or file:.",
  },
  json: { type: "boolean", help: "print the result as JSON (and an error as JSON on stderr)" },
  quiet: { type: "boolean", short: "q", help: "no hints, warnings or progress" },
  "no-color": { type: "boolean", help: "no colour; so does NO_COLOR" },
  help: { type: "boolean", short: "h", help: "show help" },
} as const satisfies Options;

/** Options of commands that change something. */
export const AUTHOR = { type: "string", value: "NAME", help: "who makes the change" } as const satisfies OptionSpec;
export const MESSAGE = {
  type: "string",
  short: "m",
  value: "TEXT",
  help: "why; it goes into the log",
} as const satisfies OptionSpec;
