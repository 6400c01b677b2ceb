import { useEffect, useId, useState } from "preact/hooks";
import { Confirm } from "./confirm.tsx";
import { Preview } from "./diff-view.tsx";
import { asFailure } from "./failure.ts";
import { may } from "./grants.ts";
import { labelProblem } from "./names.ts";
import { FailureNote, Time } from "./parts.tsx";
import { useSession } from "./session.tsx";
import type { HistoryEntry, PromptDocument } from "./types.ts";
import { useLoad } from "./use-load.ts";
import { describeEntry } from "./words.ts";

/** Where a label is now, as the store itself says, and who put it there. */
interface Standing {
  readonly document: PromptDocument | undefined;
  readonly entry: HistoryEntry | undefined;
}

/** Shows what is live, what will be, and the difference; moves the label only if it is still where it was seen. */
export function MoveLabel(props: {
  readonly name: string;
  readonly label?: string;
  readonly version?: string;
  readonly onClose: () => void;
}) {
  const { name, onClose } = props;
  const { api, service, changed, announce } = useSession();
  const id = useId();
  const [label, setLabel] = useState(props.label ?? "");
  const [chosen, setChosen] = useState(props.version);
  const [wasLost, setLost] = useState(false);
  const versions = useLoad(
    `versions ${name} 100`,
    (signal) => api.versions(name, undefined, 100, signal),
    (other) => other === name,
  );
  const head = useLoad(
    `head ${name}`,
    (signal) => api.head(name, signal),
    (other) => other === name,
  );
  const problem = label === "" ? undefined : labelProblem(label);
  const isNamed = label !== "" && problem === undefined;
  // Typing a name must not ask the server for each letter.
  const asked = useSettled(isNamed ? label : "");
  const standing = useLoad<Standing>(
    `standing ${name} ${asked}`,
    async (signal) => {
      if (asked === "") return { document: undefined, entry: undefined };
      const [document, history] = await Promise.all([
        api.document(name, asked, true, signal).catch((error: unknown) => {
          const failure = asFailure(error);
          if (failure.problem?.code === "NOT_FOUND" && failure.status === 404) return undefined;
          throw error;
        }),
        api.history(name, undefined, 100, signal).catch(() => ({ items: [] })),
      ]);
      return { document, entry: history.items.find((entry) => entry.label === asked) };
    },
    (other) => other === name,
  );
  const isSeen = isNamed && asked === label && standing.value !== undefined && standing.failure === undefined;
  const now = isSeen ? standing.value?.document : undefined;
  const entry = isSeen ? standing.value?.entry : undefined;
  const usable = (versions.value?.items ?? []).filter((v) => v.removed !== true && v.yanked === undefined);
  const version = chosen ?? [head.value?.latest, usable[0]?.version].find((v) => v !== undefined && v !== now?.version);
  const isSame = now !== undefined && now.version === version;
  const mayMove = may(service.principal, "promote", name, label);
  const known = Object.keys(head.value?.head.labels ?? {}).sort();
  return (
    <Confirm
      wide
      title={props.label === undefined ? "Set a label" : `Move ${props.label}`}
      button={
        !isSeen || version === undefined
          ? "Move"
          : now === undefined
            ? `Put ${label} on ${version}`
            : `Move ${label} to ${version}`
      }
      reason="Why (optional)"
      isReady={isSeen && version !== undefined && !isSame && mayMove}
      work={(reason) => api.moveLabel(name, label, version ?? "", now?.digest, reason)}
      isDone={async () => (await api.head(name)).head.labels[label] === version}
      onDone={() => {
        changed(name);
        announce(`${label} is on ${version} now.`);
        onClose();
      }}
      onFailure={() => {
        // Somebody else may have been faster: what is live now is read again before the next attempt.
        setLost(true);
        standing.reload();
        head.reload();
      }}
      onClose={onClose}
    >
      {props.label === undefined && (
        <>
          <label for={`${id}-label`}>Label</label>
          <input
            id={`${id}-label`}
            class="mono"
            list={`${id}-known`}
            value={label}
            maxLength={64}
            autoComplete="off"
            spellcheck={false}
            required
            aria-describedby={`${id}-problem`}
            onInput={(event) => setLabel(event.currentTarget.value.trim())}
          />
          <datalist id={`${id}-known`}>
            {known.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
          <p id={`${id}-problem`} class="problem">
            {problem ?? (isNamed && !mayMove ? `You may not move ${label} of this prompt.` : "")}
          </p>
        </>
      )}
      <label for={`${id}-version`}>To version</label>
      <select id={`${id}-version`} value={version ?? ""} onChange={(event) => setChosen(event.currentTarget.value)}>
        {version !== undefined && !usable.some((v) => v.version === version) && <option>{version}</option>}
        {usable.map((v) => (
          <option key={v.version} value={v.version}>
            {v.version}
            {v.version === now?.version ? " (there now)" : ""}
          </option>
        ))}
      </select>
      {standing.failure !== undefined && <FailureNote failure={standing.failure} />}
      {isSeen && version !== undefined && (
        <>
          <dl class="now">
            <dt>Now</dt>
            <dd>
              {now === undefined ? (
                <>{label} is not set</>
              ) : (
                <>
                  {label} is on <strong class="num">{now.version}</strong>
                </>
              )}
              {entry !== undefined && (
                <span class={wasLost ? "" : "faint"}>
                  : {entry.by ?? "somebody"} {wasLost ? describeEntry(entry) : "put it there"}, <Time at={entry.at} />
                </span>
              )}
            </dd>
            <dt>Then</dt>
            <dd>
              {isSame ? (
                "the same; nothing to do"
              ) : (
                <>
                  {label} is on <strong class="num">{version}</strong>, for everybody who asks for{" "}
                  <code>
                    {name}@{label}
                  </code>
                </>
              )}
            </dd>
          </dl>
          {now !== undefined && !isSame && <Preview name={name} from={now.version} to={version} />}
        </>
      )}
    </Confirm>
  );
}

function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 250);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
