import { RegistryError, show } from "../errors.ts";
import type { PromptRegistry } from "../registry.ts";
import { checkPositionals, parseLine, usageError } from "./args.ts";
import { type Command, type Context, GLOBAL_OPTIONS, type Options, type Parsed } from "./command.ts";
import { exitCodeOf } from "./exit.ts";
import { openHost } from "./host.ts";
import { Interruption, type Io } from "./io.ts";
import { nearest } from "./nearest.ts";
import { COMMANDS, visibleCommands } from "./table.ts";
import { Terminal } from "./terminal.ts";

/**
 * Runs one command line.
 *
 * @param io the world outside; default: this process
 * @returns the exit code
 */
export async function main(argv: readonly string[], io?: Io): Promise<number> {
  if (io !== undefined) return run(argv, io);
  const host = openHost();
  try {
    return await host.settle(await run(argv, host.io));
  } finally {
    host.close();
  }
}

interface Line {
  /** `undefined`: none was given. */
  readonly name: string | undefined;
  readonly rest: readonly string[];
  /** `--version` stood before any command. */
  readonly version: boolean;
}

const LEADING = {
  ...GLOBAL_OPTIONS,
  version: { type: "boolean", short: "V", help: "show the version" },
} as const satisfies Options;

/** Finds the command; what stood before it belongs to it, too. */
function findCommand(argv: readonly string[]): Line {
  const before: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === "--storage" && i + 1 < argv.length) {
      before.push(word, argv[++i] as string);
    } else if (word.startsWith("-") && word.length > 1 && word !== "--") {
      before.push(word);
    } else {
      // Names a wrong option as that, and not as a part of the command.
      parseLine(before, LEADING);
      return { name: word, rest: [...before, ...argv.slice(i + 1)], version: before.some(isVersionFlag) };
    }
  }
  const { values } = parseLine(before, LEADING);
  return { name: undefined, rest: before, version: values.version === true };
}

function isVersionFlag(word: string): boolean {
  return word === "--version" || word === "-V";
}

/** Asked before anything is parsed, so that even a wrong line is answered in the form that was asked for. */
function hasFlag(argv: readonly string[], ...flags: string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).some((word) => flags.includes(word));
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  const json = hasFlag(argv, "--json");
  const terminal = new Terminal(io, {
    quiet: hasFlag(argv, "--quiet", "-q"),
    color: !hasFlag(argv, "--no-color"),
  });
  let opened: Promise<PromptRegistry> | undefined;
  let known: string | undefined;
  try {
    const line = findCommand(argv);
    if (line.version) return await printVersion(terminal, json);
    const { name } = line;
    if (name === undefined) return await overview(terminal, line.rest, json);
    const command = await loadCommand(name);
    known = name;
    // What is completed is no command line yet.
    const raw = name === "__complete";
    if (!raw && hasFlag(line.rest, "--help", "-h")) return await commandHelp(terminal, json, name, command);
    const args: Parsed = raw
      ? { values: {}, positionals: argv.slice(argv.indexOf(name) + 1) }
      : parseLine(line.rest, { ...GLOBAL_OPTIONS, ...command.options });
    if (!raw) checkPositionals(command, args.positionals);
    const storage = args.values.storage as string | undefined;
    const context: Context = {
      io,
      terminal,
      signal: io.signal,
      json,
      storage,
      registry() {
        opened ??= openFor(io, storage);
        return opened;
      },
    };
    terminal.startProgress(command.busy ?? "working");
    return (await command.run(context, args)) ?? 0;
  } catch (error) {
    return await fail(error, { io, terminal, json, command: known, registry: opened });
  } finally {
    terminal.stopProgress();
    // What went wrong was told already; a close that fails after it has nothing to add.
    if (opened !== undefined) await opened.then((r) => r.close()).catch(() => {});
  }
}

async function openFor(io: Io, storage: string | undefined): Promise<PromptRegistry> {
  if (io.open !== undefined) return io.open(storage);
  const { openRegistry } = await import("../config.ts");
  const user = io.env.LOGNAME ?? io.env.USER ?? io.env.USERNAME;
  const defaultAuthor = user === undefined || user === "" ? {} : { defaultAuthor: user };
  return openRegistry(storage === undefined ? {} : { storage }, {
    ...{ cwd: io.cwd, env: io.env, signal: io.signal, defaultPolicy: true },
    ...defaultAuthor,
  });
}

async function loadCommand(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry !== undefined) return (await entry.load()).command;
  const near = nearest(name, visibleCommands());
  throw usageError(`unknown command ${show(name)}${near === undefined ? "" : `; did you mean ${near}?`}`);
}

async function printVersion(terminal: Terminal, json: boolean): Promise<number> {
  const { packageVersion } = await import("./help.ts");
  const version = await packageVersion();
  if (json) terminal.json({ version });
  else terminal.out(`${version}\n`);
  return 0;
}

async function overview(terminal: Terminal, rest: readonly string[], json: boolean): Promise<number> {
  const { overviewText, printHelp } = await import("./help.ts");
  if (hasFlag(rest, "--help", "-h")) {
    printHelp(terminal, json, overviewText);
    return 0;
  }
  if (terminal.interactive && !json) terminal.help(overviewText((_, text) => text));
  throw usageError("no command; `prompt-registry --help` lists them");
}

async function commandHelp(terminal: Terminal, json: boolean, name: string, command: Command): Promise<number> {
  const { commandText, printHelp } = await import("./help.ts");
  printHelp(terminal, json, (paint) => commandText(name, command, paint));
  return 0;
}

interface Failed {
  readonly io: Io;
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly command: string | undefined;
  readonly registry: Promise<PromptRegistry> | undefined;
}

async function fail(thrown: unknown, { io, terminal, json, command, registry }: Failed): Promise<number> {
  const interrupted = io.signal.aborted && io.signal.reason instanceof Interruption ? io.signal.reason : undefined;
  const error = asRegistryError(thrown);
  if (interrupted !== undefined && (error.code === "ABORTED" || error.code === "INTERNAL")) {
    if (interrupted.exitCode !== 0) terminal.note("interrupted");
    return interrupted.exitCode;
  }
  let suggestion: string | undefined;
  if (error.code === "NOT_FOUND" && registry !== undefined) {
    const { suggestionFor } = await import("./suggest.ts");
    suggestion = await suggestionFor(error, registry, io.signal);
  }
  if (json) {
    const body = { ...error.toJSON(), ...(suggestion === undefined ? {} : { suggestion }) };
    terminal.errorJson({ error: body });
  } else {
    const wrongUsage = error.context.field === "arguments" && command !== undefined;
    const more = wrongUsage ? ` (see \`prompt-registry ${command} --help\`)` : "";
    terminal.error(`${error.message}${suggestion === undefined ? "" : `; did you mean ${suggestion}?`}${more}`);
    if (error.code === "INTERNAL" && thrown instanceof Error && io.env.DEBUG) io.stderr.write(`${thrown.stack}\n`);
  }
  return exitCodeOf(error.code);
}

function asRegistryError(thrown: unknown): RegistryError {
  if (thrown instanceof RegistryError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new RegistryError("INTERNAL", `${message.split("\n", 1)[0]} (this is a bug; DEBUG=1 shows where)`, {
    cause: thrown,
  });
}
