import { useMemo } from "preact/hooks";
import { DiffTable } from "./diff-table.tsx";
import { VariableChanges } from "./diff-view.tsx";
import { splitFrontMatter } from "./front-matter.ts";
import { localDiff } from "./local-diff.ts";
import { variablesOf } from "./marks.ts";

export function Changes(props: { readonly before: string; readonly after: string; readonly base: string | undefined }) {
  const { before, after, base } = props;
  const unified = useMemo(() => localDiff(before, after), [before, after]);
  const [added, removed] = useMemo(() => {
    const [old, now] = [before, after].map((text) => new Set(variablesOf(splitFrontMatter(text).body)));
    return [[...(now ?? [])].filter((v) => !old?.has(v)), [...(old ?? [])].filter((v) => !now?.has(v))];
  }, [before, after]);
  if (unified === "") return <p class="empty">Nothing is changed{base === undefined ? "" : ` from ${base}`}.</p>;
  return (
    <>
      <VariableChanges added={added ?? []} removed={removed ?? []} />
      {unified === undefined ? (
        <p class="note">Too much differs to compare it here. Once it is published the server compares it.</p>
      ) : (
        <DiffTable unified={unified} label="Your changes" />
      )}
    </>
  );
}
