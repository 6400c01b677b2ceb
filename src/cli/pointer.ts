import type { PointerResult } from "../registry/pointers.ts";
import type { Context } from "./command.ts";

/** One line about a change of a label, pin, yank or deprecation. */
export function reportPointer({ terminal, json }: Context, result: PointerResult, what: string): undefined {
  if (json) {
    terminal.json(result);
    return undefined;
  }
  const was = result.status === "changed" && result.from !== undefined ? ` (was ${result.from})` : "";
  terminal.out(`${result.name} ${what}${was}${result.status === "unchanged" ? " (unchanged)" : ""}\n`);
  return undefined;
}
