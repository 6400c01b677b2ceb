import { useMemo, useState } from "preact/hooks";
import { marksOf } from "./marks.ts";
import { changedWords, type DiffHunk, type DiffLine, pairedLines, parseUnified } from "./unified.ts";

/** Rows that are drawn at once; the rest on demand. */
const MOST_ROWS = 2000;
const LONGEST_LINE = 5000;

/** A unified diff as a table. Signs and words tell what colour tells, so that it reads the same without. */
export function DiffTable({ unified, label }: { readonly unified: string; readonly label: string }) {
  const hunks = useMemo(() => parseUnified(unified), [unified]);
  const [isWhole, setWhole] = useState(false);
  const total = hunks.reduce((sum, { lines }) => sum + lines.length, 0);
  let left = isWhole ? Number.POSITIVE_INFINITY : MOST_ROWS;
  return (
    <>
      <section class="diff-box" aria-label={label}>
        <table class="diff">
          <thead class="visually-hidden">
            <tr>
              <th scope="col">Line before</th>
              <th scope="col">Line after</th>
              <th scope="col">Change</th>
              <th scope="col">Text</th>
            </tr>
          </thead>
          {hunks.map((hunk, i) => {
            const lines = hunk.lines.slice(0, Math.max(0, left));
            left -= hunk.lines.length;
            return lines.length === 0 ? null : (
              <Hunk key={`${hunk.beforeStart} ${hunk.afterStart}`} hunk={hunk} lines={lines} isFirst={i === 0} />
            );
          })}
        </table>
      </section>
      {total > MOST_ROWS && !isWhole && (
        <p class="more">
          {MOST_ROWS} of {total} lines are shown.{" "}
          <button type="button" onClick={() => setWhole(true)}>
            Show all
          </button>
        </p>
      )}
    </>
  );
}

function Hunk(props: { readonly hunk: DiffHunk; readonly lines: readonly DiffLine[]; readonly isFirst: boolean }) {
  const { hunk, lines, isFirst } = props;
  const pairs = useMemo(() => pairedLines(lines), [lines]);
  const isGap = !isFirst || hunk.beforeStart > 1;
  return (
    <tbody>
      {isGap && (
        <tr class="gap">
          <td colSpan={4}>
            <span class="visually-hidden">unchanged lines are left out</span>
            <span aria-hidden="true">⋯</span>
          </td>
        </tr>
      )}
      {lines.map((line) => (
        <Line key={`${line.before ?? ""} ${line.after ?? ""}`} line={line} other={pairs.get(line)} />
      ))}
    </tbody>
  );
}

const SIGNS = { same: ["", ""], added: ["+", "added"], removed: ["−", "removed"] } as const;

function Line({ line, other }: { readonly line: DiffLine; readonly other: DiffLine | undefined }) {
  const [sign, word] = SIGNS[line.kind];
  const isLong = line.text.length > LONGEST_LINE;
  const pieces = useMemo(
    () => (other === undefined || isLong ? [{ text: line.text, changed: false }] : changedWords(line.text, other.text)),
    [line.text, other, isLong],
  );
  return (
    <tr class={line.kind}>
      <td class="line">{line.before}</td>
      <td class="line">{line.after}</td>
      <td class="sign">
        <span aria-hidden="true">{sign}</span>
        <span class="visually-hidden">{word}</span>
      </td>
      <td class="code">
        {pieces.map(({ text, changed }, i) => {
          const key = `${i} ${text.length}`;
          const shown = isLong ? text : <Visible text={text} />;
          if (!changed) return <span key={key}>{shown}</span>;
          return line.kind === "added" ? <ins key={key}>{shown}</ins> : <del key={key}>{shown}</del>;
        })}
        {line.noNewline === true && <span class="faint"> no line end here</span>}
      </td>
    </tr>
  );
}

/** What hides in a change is what it is looked at for. */
function Visible({ text }: { readonly text: string }) {
  const parts = marksOf(text.replace(/\r$/, "␍"));
  return (
    <>
      {parts.map((mark, i) =>
        mark.kind === "invisible" ? (
          <span key={`${i} ${mark.shown}`} class="invisible">
            {mark.shown}
          </span>
        ) : (
          mark.text
        ),
      )}
    </>
  );
}
