import { DiffTable } from "./diff-table.tsx";
import { go } from "./location.ts";
import { Waiting } from "./parts.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { Comparison, HeadState } from "./types.ts";
import { useLoad } from "./use-load.ts";
import { list } from "./words.ts";

interface Ends {
  readonly name: string;
  readonly state: HeadState;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export function DiffView({ name, state, from, to }: Ends) {
  const { api } = useSession();
  const versions = useLoad(
    `versions ${name} 100`,
    (signal) => api.versions(name, undefined, 100, signal),
    (changed) => changed === name,
  );
  const there = (versions.value?.items ?? []).filter((v) => v.removed !== true).map((v) => v.version);
  const right = to ?? (state.latest === undefined ? there[0] : "latest");
  // What is live against what will be is the question most often asked.
  const [label] = ["production", ...Object.keys(state.head.labels)].filter((l) => state.head.labels[l] !== undefined);
  const rightVersion = right === "latest" ? state.latest : (state.head.labels[right ?? ""] ?? right);
  const isLabelElsewhere = label !== undefined && state.head.labels[label] !== rightVersion;
  const left = from ?? (isLabelElsewhere ? label : there[there.indexOf(rightVersion ?? "") + 1]);
  const options = ["latest", ...Object.keys(state.head.labels).sort(), ...there];
  const show = (one: string | undefined, other: string | undefined) =>
    go(
      promptRoute(name, "diff", {
        ...(one === undefined ? {} : { from: one }),
        ...(other === undefined ? {} : { to: other }),
      }),
    );
  return (
    <>
      <div class="ends">
        <End word="From" value={left} options={options} state={state} onChange={(value) => show(value, right)} />
        <button type="button" class="small" onClick={() => show(right, left)} disabled={left === undefined}>
          Swap
        </button>
        <End word="To" value={right} options={options} state={state} onChange={(value) => show(left, value)} />
      </div>
      {left === undefined || right === undefined ? (
        versions.value !== undefined && <p class="empty">There is only one version, so there is nothing to compare.</p>
      ) : (
        <Compared name={name} from={left} to={right} />
      )}
    </>
  );
}

function End(props: {
  readonly word: string;
  readonly value: string | undefined;
  readonly options: readonly string[];
  readonly state: HeadState;
  readonly onChange: (value: string) => void;
}) {
  const { word, value, options, state, onChange } = props;
  const versionOf = (option: string) => (option === "latest" ? state.latest : state.head.labels[option]);
  return (
    <label>
      <span>{word}</span>
      <select value={value ?? ""} onChange={(event) => onChange(event.currentTarget.value)}>
        {(value === undefined || !options.includes(value)) && <option value={value ?? ""}>{value ?? "–"}</option>}
        {options.map((option) => {
          const version = versionOf(option);
          return (
            <option key={option} value={option}>
              {option}
              {version === undefined ? "" : ` (${version})`}
            </option>
          );
        })}
      </select>
    </label>
  );
}

/** The server's comparison of two selectors. */
export function Compared({ name, from, to }: { readonly name: string; readonly from: string; readonly to: string }) {
  const { api } = useSession();
  const loaded = useLoad(
    `diff ${name} ${from} ${to}`,
    (signal) => api.diff(name, from, to, signal),
    (changed) => changed === name,
  );
  return <Waiting of={loaded}>{(comparison) => <Comparing comparison={comparison} />}</Waiting>;
}

/** The same in a dialog, with a scroll bar of its own. */
export function Preview({ name, from, to }: { readonly name: string; readonly from: string; readonly to: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard, and not all browsers see to it
    <div class="preview" tabIndex={0}>
      <Compared name={name} from={from} to={to} />
    </div>
  );
}

function Comparing({ comparison }: { readonly comparison: Comparison }) {
  const { from, to, identical, unified, added, removed, coarse, tooLarge } = comparison;
  if (identical) {
    return (
      <p class="empty">
        {from.version === to.version ? `Both are ${from.version}.` : "Both have the same text, byte for byte."}
      </p>
    );
  }
  return (
    <>
      <VariableChanges added={added} removed={removed} />
      {coarse === true && (
        <p class="note">Too much differs to say which lines; all from the first difference to the last is shown.</p>
      )}
      {tooLarge === true || unified === undefined ? (
        <p class="note">The difference is longer than 1 MiB and is not shown.</p>
      ) : (
        <DiffTable unified={unified} label={`Changes from ${from.version} to ${to.version}`} />
      )}
    </>
  );
}

export function VariableChanges(props: { readonly added: readonly string[]; readonly removed: readonly string[] }) {
  const { added, removed } = props;
  if (added.length + removed.length === 0) return <p class="faint">The variables are the same.</p>;
  return (
    <p class="variable-changes">
      {added.length > 0 && (
        <span>
          <strong>+ new {added.length === 1 ? "variable" : "variables"}</strong> <code>{list(added)}</code>
        </span>
      )}
      {removed.length > 0 && (
        <span>
          <strong>− gone</strong> <code>{list(removed)}</code>
        </span>
      )}
    </p>
  );
}
