import { parseArgs } from "node:util";
import { RegistryError, show } from "../errors.ts";
import type { Command, Options, Parsed } from "./command.ts";
import { nearest } from "./nearest.ts";

/** A command line that can't be understood. */
export function usageError(message: string): RegistryError {
  return new RegistryError("INVALID", message, { field: "arguments" });
}

/**
 * `node:util` splits the line; the rules are checked here, since its own messages know no near names.
 *
 * @throws RegistryError INVALID
 */
export function parseLine(argv: readonly string[], options: Options): Parsed {
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | boolean | string[]> = Object.create(null);
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const spec = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (spec === undefined) throw unknownOption(token.rawName, options);
    if (spec.type === "boolean") {
      if (token.value !== undefined) throw usageError(`${token.rawName} takes no value`);
      values[token.name] = true;
      continue;
    }
    const value = givenValue(token);
    if (spec.choices !== undefined && !spec.choices.includes(value)) {
      throw usageError(`${token.rawName} must be one of ${spec.choices.join(", ")}, not ${show(value)}`);
    }
    const before = values[token.name];
    if (spec.multiple) values[token.name] = [...(Array.isArray(before) ? before : []), value];
    else if (before !== undefined) throw usageError(`${token.rawName} is given twice`);
    else values[token.name] = value;
  }
  return { values, positionals };
}

function givenValue(token: {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}): string {
  const { rawName, value, inlineValue } = token;
  if (value === undefined) throw usageError(`${rawName} needs a value`);
  // `--label --json` is a value that was forgotten far more often than a label that starts with dashes.
  if (!inlineValue && value.length > 1 && value.startsWith("-")) {
    const hint = rawName.startsWith("--") ? `; if it is meant to be ${show(value)}, write ${rawName}=${value}` : "";
    throw usageError(`${rawName} needs a value${hint}`);
  }
  return value;
}

function unknownOption(rawName: string, options: Options): RegistryError {
  const near = rawName.startsWith("--") ? nearest(rawName.slice(2), Object.keys(options)) : undefined;
  return usageError(`unknown option ${show(rawName)}${near === undefined ? "" : `; did you mean --${near}?`}`);
}

/** Checks the number of arguments of a command. */
export function checkPositionals(command: Command, positionals: readonly string[]): void {
  const missing = command.arguments.filter((a, i) => !a.optional && positionals[i] === undefined);
  if (missing.length > 0) throw usageError(`missing ${missing.map((a) => a.name).join(" and ")}`);
  const extra = positionals[command.arguments.length];
  if (extra !== undefined) throw usageError(`unexpected argument ${show(extra)}`);
  command.arguments.forEach(({ choices, name }, i) => {
    const given = positionals[i];
    if (choices === undefined || given === undefined || choices.includes(given)) return;
    const near = nearest(given, choices);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw usageError(`${name} must be one of ${choices.join(", ")}, not ${show(given)}${hint}`);
  });
}
