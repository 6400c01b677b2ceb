import { clean, type Paint, type Style, type Terminal } from "./terminal.ts";

/** A cell: text, or text in a colour. */
export type Cell = string | readonly [Style, string];

/**
 * Rows for a person: aligned, with a heading. Rows for a program: fields between tabs, no heading. Foreign text is
 * escaped in both, so that a row stays a row.
 */
export function printRows(terminal: Terminal, heading: readonly string[], rows: readonly (readonly Cell[])[]): void {
  if (rows.length === 0) return;
  if (!terminal.interactive) {
    terminal.out(rows.map((row) => `${row.map((cell) => clean(plain(cell))).join("\t")}\n`).join(""));
    return;
  }
  const all: (readonly Cell[])[] = [heading.map((h): Cell => ["dim", h]), ...rows];
  const widths = heading.map((_, i) => Math.max(...all.map((row) => clean(plain(row[i] ?? "")).length)));
  terminal.out(all.map((row) => `${alignRow(row, widths, terminal.paint)}\n`).join(""));
}

function alignRow(row: readonly Cell[], widths: readonly number[], paint: Paint): string {
  const last = row.findLastIndex((cell) => plain(cell) !== "");
  return row
    .slice(0, last + 1)
    .map((cell, i) => {
      const text = clean(plain(cell));
      const shown = typeof cell === "string" ? text : paint(cell[0], text);
      return i === last ? shown : shown + " ".repeat((widths[i] ?? 0) - text.length);
    })
    .join("  ");
}

function plain(cell: Cell): string {
  return typeof cell === "string" ? cell : cell[1];
}

/** `2026-11-24T05:00:00.000Z` without what nobody reads. */
export function shortTime(time: string | undefined): string {
  return time === undefined ? "" : time.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
