import type { HistoryEntry } from "./types.ts";

/** One entry of the history as a sentence without its subject: “moved production from 1.0.0 to 1.2.0”. */
export function describeEntry({ action, label, from, to }: HistoryEntry): string {
  const which = to ?? from ?? "";
  switch (action) {
    case "publish":
      return `published ${which}`;
    case "label":
      return from === undefined ? `put ${label} on ${to}` : `moved ${label} from ${from} to ${to}`;
    case "unlabel":
      return `removed ${label}${from === undefined ? "" : `, which was on ${from}`}`;
    case "rollback":
      return `rolled latest back${from === undefined ? "" : ` from ${from}`} to ${to}, and pinned it`;
    case "unpin":
      return `unpinned latest${to === undefined ? "" : `, now ${to}`}`;
    case "yank":
      return `yanked ${which}`;
    case "unyank":
      return `lifted the yank of ${which}`;
    case "deprecate":
      return "deprecated the prompt";
    case "undeprecate":
      return "lifted the deprecation";
    case "remove":
      return `removed the text of ${which}`;
    case "restore":
      return `restored ${which}`;
    default:
      return `${action} ${which}`.trim();
  }
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  return n < 1024 * 1024
    ? `${(n / 1024).toFixed(1).replace(/\.0$/, "")} KiB`
    : `${(n / 1024 / 1024).toFixed(2).replace(/\.?0+$/, "")} MiB`;
}

export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

export function list(words: readonly string[]): string {
  return new Intl.ListFormat("en").format(words);
}
