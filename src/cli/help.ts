import { readFile } from "node:fs/promises";
import { type Command, GLOBAL_OPTIONS, type Options } from "./command.ts";
import { EXIT_CODES } from "./exit.ts";
import { COMMANDS, type Entry, visibleCommands } from "./table.ts";
import type { Paint, Terminal } from "./terminal.ts";

export async function packageVersion(): Promise<string> {
  // The same two steps up from src/cli and from dist/cli.
  const manifest: unknown = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { version: string }).version;
}

/** Help as the result: for a program that wants JSON, as one string. */
export function printHelp(terminal: Terminal, json: boolean, text: (paint: Paint) => string): void {
  if (json) terminal.json(text((_, plain) => plain));
  else terminal.out(text(terminal.paint));
}

export function overviewText(paint: Paint): string {
  const names = visibleCommands();
  const width = Math.max(...names.map((n) => n.length));
  const groups = [...new Set(names.map((n) => COMMANDS[n]?.group))];
  const lines = [
    "A registry for versioned prompts.",
    "",
    `${paint("bold", "Usage:")} prompt-registry COMMAND [arguments] [options]`,
    "",
    "A SELECTOR is NAME (latest), NAME@1.2.0, NAME@^1.2 (the highest version in a range) or NAME@LABEL.",
  ];
  for (const group of groups) {
    lines.push("", paint("bold", `${group}:`));
    for (const name of names) {
      const { group: own, summary } = COMMANDS[name] as Entry;
      if (own === group) lines.push(`  ${paint("cyan", name)}${" ".repeat(width - name.length)}  ${summary}`);
    }
  }
  lines.push("", paint("bold", "Options of every command:"), ...optionLines(GLOBAL_OPTIONS));
  lines.push("      --version      show the version of this program");
  lines.push(
    "",
    "The result, and nothing else, goes to stdout; messages, progress and errors go to stderr.",
    "Tables have a heading on a terminal, and are fields between tabs elsewhere.",
    "",
    paint("bold", "Exit codes:"),
  );
  for (const [code, meaning] of EXIT_CODES) {
    lines.push(`  ${String(code).padStart(3)}  ${meaning.replaceAll("\n", `\n${" ".repeat(7)}`)}`);
  }
  lines.push("", "`prompt-registry help COMMAND` shows the options of a command, with examples.");
  return `${lines.join("\n")}\n`;
}

export function commandText(name: string, command: Command, paint: Paint): string {
  const usage = command.usage.map((u) => `prompt-registry ${name}${u === "" ? "" : ` ${u}`} [options]`);
  const lines = [
    `${COMMANDS[name]?.summary ?? ""}.`,
    "",
    `${paint("bold", "Usage:")} ${usage.join("\n       ")}`,
    ...(command.details === undefined ? [] : ["", ...command.details]),
  ];
  if (Object.keys(command.options).length > 0) {
    lines.push("", paint("bold", "Options:"), ...optionLines(command.options));
  }
  lines.push("", paint("bold", "Options of every command:"), ...optionLines(GLOBAL_OPTIONS));
  if (command.examples.length > 0) {
    lines.push("", paint("bold", "Examples:"));
    for (const [line, what] of command.examples) {
      lines.push(`  ${paint("dim", `# ${what}`)}`, `  ${line}`);
    }
  }
  lines.push("", "Exit codes: 0 done, 1 findings, 2 usage, 3 not found, 4 conflict, 5 damaged, 6 not allowed,");
  lines.push("7 temporary, 8 configuration, 70 bug, 130 interrupted; `prompt-registry --help` says more.");
  return `${lines.join("\n")}\n`;
}

function optionLines(options: Options): string[] {
  const rows = Object.entries(options).map(([name, spec]) => {
    const value = spec.type === "boolean" ? "" : ` ${spec.value ?? spec.choices?.join("|") ?? "VALUE"}`;
    const left = `${spec.short === undefined ? "    " : `-${spec.short}, `}--${name}${value}`;
    return [left, `${spec.help}${spec.multiple ? " (may be given more than once)" : ""}`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`);
}
