import { useId, useRef, useState } from "preact/hooks";
import { Confirm } from "./confirm.tsx";
import { Preview } from "./diff-view.tsx";
import { useSession } from "./session.tsx";
import type { HeadState } from "./types.ts";
import { newKey } from "./use-action.ts";
import { useLoad } from "./use-load.ts";

export type SimpleAction =
  | { readonly kind: "unlabel"; readonly label: string; readonly version: string }
  | { readonly kind: "rollback" | "unpin"; readonly state: HeadState }
  | { readonly kind: "yank" | "unyank"; readonly version: string }
  | { readonly kind: "deprecate" | "undeprecate" };

interface Of {
  readonly name: string;
  readonly onClose: () => void;
}

export function Change({ name, action, onClose }: Of & { readonly action: SimpleAction }) {
  switch (action.kind) {
    case "unlabel":
      return <RemoveLabel {...{ name, onClose }} label={action.label} version={action.version} />;
    case "rollback":
      return <Rollback {...{ name, onClose }} state={action.state} />;
    case "unpin":
      return <Unpin {...{ name, onClose }} state={action.state} />;
    case "yank":
    case "unyank":
      return <Yank {...{ name, onClose }} version={action.version} isYank={action.kind === "yank"} />;
    default:
      return <Deprecate {...{ name, onClose }} isMark={action.kind === "deprecate"} />;
  }
}

/** What all of them end with: what is shown is read again, and it is said that it was done. */
function useDone(name: string, onClose: () => void) {
  const { changed, announce } = useSession();
  return (text: string) => {
    changed(name);
    announce(text);
    onClose();
  };
}

function RemoveLabel({ name, label, version, onClose }: Of & { readonly label: string; readonly version: string }) {
  const { api } = useSession();
  const done = useDone(name, onClose);
  return (
    <Confirm
      title={`Remove ${label}`}
      button={`Remove ${label}`}
      reason="Why (optional)"
      work={async (reason) => {
        const { digest } = await api.document(name, version, true);
        await api.removeLabel(name, label, digest, reason);
      }}
      isDone={async () => (await api.head(name)).head.labels[label] === undefined}
      onDone={() => done(`${label} was removed.`)}
      onClose={onClose}
    >
      <p>
        {label} is on <strong class="num">{version}</strong>. Whoever asks for{" "}
        <code>
          {name}@{label}
        </code>{" "}
        gets an error from then on, never another version.
      </p>
    </Confirm>
  );
}

function Rollback({ name, state, onClose }: Of & { readonly state: HeadState }) {
  const { api } = useSession();
  const done = useDone(name, onClose);
  const id = useId();
  const key = useRef(newKey());
  // As it was when the dialog opened: what is compared must not move under the reader.
  const [latest] = useState(state.latest);
  const versions = useLoad(
    `versions ${name} 100`,
    (signal) => api.versions(name, undefined, 100, signal),
    (changed) => changed === name,
  );
  const items = versions.value?.items ?? [];
  const usable = items.filter((v) => v.removed !== true && v.yanked === undefined && v.version !== latest);
  const below = items.findIndex((v) => v.version === latest);
  const next = usable.find((v) => items.indexOf(v) > below)?.version;
  const [chosen, setChosen] = useState<string>();
  const to = chosen ?? next;
  return (
    <Confirm
      wide
      title="Roll latest back"
      button={to === undefined ? "Roll back" : `Roll back to ${to}`}
      reason="Why (optional)"
      isReady={to !== undefined}
      work={(reason) => api.rollback(name, to ?? "", `${key.current}-${to}`, reason)}
      isDone={async () => (await api.head(name)).head.pin === to}
      onDone={() => done(`latest was rolled back to ${to}.`)}
      onClose={onClose}
    >
      <p>
        latest is <strong class="num">{latest}</strong> now. It is pinned to the version you choose and stays there,
        whatever is published, until it is unpinned.
      </p>
      <div class="row">
        <label for={id}>To</label>
        <select id={id} value={to ?? ""} onChange={(event) => setChosen(event.currentTarget.value)}>
          {to === undefined && <option value="">–</option>}
          {usable.map(({ version }) => (
            <option key={version}>{version}</option>
          ))}
        </select>
      </div>
      {versions.value !== undefined && usable.length === 0 && <p class="note">There is no other version to go to.</p>}
      {to !== undefined && latest !== undefined && <Preview name={name} from={latest} to={to} />}
    </Confirm>
  );
}

function Unpin({ name, state, onClose }: Of & { readonly state: HeadState }) {
  const { api } = useSession();
  const done = useDone(name, onClose);
  return (
    <Confirm
      title="Unpin latest"
      button="Unpin latest"
      reason="Why (optional)"
      work={(reason) => api.unpin(name, reason)}
      isDone={async () => (await api.head(name)).head.pin === undefined}
      onDone={() => done("latest follows the highest version again.")}
      onClose={onClose}
    >
      <p>
        latest is pinned to <strong class="num">{state.head.pin}</strong>. Unpinned, it goes to the highest stable
        version that is not yanked, at once, and follows what is published.
      </p>
    </Confirm>
  );
}

function Yank({ name, version, isYank, onClose }: Of & { readonly version: string; readonly isYank: boolean }) {
  const { api } = useSession();
  const done = useDone(name, onClose);
  return (
    <Confirm
      title={isYank ? `Yank ${version}` : `Lift the yank of ${version}`}
      button={isYank ? `Yank ${version}` : "Lift the yank"}
      reason={isYank ? "Why" : "Why (optional)"}
      isReasonRequired={isYank}
      work={(reason) => api.yank(name, version, isYank, reason)}
      isDone={async () => ((await api.head(name)).head.yanked[version] !== undefined) === isYank}
      onDone={() => done(isYank ? `${version} was yanked.` : `The yank of ${version} was lifted.`)}
      onClose={onClose}
    >
      <p>
        {isYank
          ? "latest and ranges pass it over from then on. Whoever asks for exactly this version, or for a label that is on it, still gets it and is told. A yank can be lifted."
          : "latest and ranges may select it again."}
      </p>
    </Confirm>
  );
}

function Deprecate({ name, isMark, onClose }: Of & { readonly isMark: boolean }) {
  const { api } = useSession();
  const done = useDone(name, onClose);
  return (
    <Confirm
      title={isMark ? `Deprecate ${name}` : `Lift the deprecation of ${name}`}
      button={isMark ? "Deprecate" : "Lift it"}
      {...(isMark ? { reason: "What to use instead", isReasonRequired: true } : {})}
      work={(reason) => api.deprecate(name, isMark ? (reason ?? "") : undefined)}
      isDone={async () => ((await api.head(name)).head.deprecated !== undefined) === isMark}
      onDone={() => done(isMark ? `${name} is deprecated.` : "The deprecation was lifted.")}
      onClose={onClose}
    >
      <p>
        {isMark
          ? "All versions stay readable. Whoever reads the prompt is told what you write here."
          : "Readers are not told any more."}
      </p>
    </Confirm>
  );
}
