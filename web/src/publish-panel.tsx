import { useEffect, useId, useState } from "preact/hooks";
import { may, mayPromoteSome } from "./grants.ts";
import type { Draft } from "./kept.ts";
import { go } from "./location.ts";
import { type Bump, bumped, labelProblem } from "./names.ts";
import { PublishFailure } from "./publish-failure.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { StoreResult } from "./types.ts";
import { doAndSee, useAction } from "./use-action.ts";
import { type Loaded, useLoad } from "./use-load.ts";

interface Request {
  readonly version: string;
  readonly text: string;
  readonly query: { readonly message?: string; readonly labels?: string; readonly expect?: string };
}

export interface PublishProps {
  readonly name: string;
  readonly version: string;
  readonly text: string;
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
  readonly goTo: (line: number, column: number) => void;
  readonly highest: Loaded<{ readonly version: string | undefined }>;
  readonly isReady: boolean;
  /** Why it is not ready. */
  readonly why: string | undefined;
  /** While nobody knows what became of a request, it must stay as it was sent. */
  readonly onLock: (isLocked: boolean) => void;
  readonly onPublished: () => void;
}

const FIRST: readonly (readonly [Bump, string])[] = [["patch", "where every prompt begins"]];
const BUMPS: readonly (readonly [Bump, string])[] = [
  ["patch", "wording"],
  ["minor", "new optional variables"],
  ["major", "variables that callers must give change"],
];

export function PublishPanel(props: PublishProps) {
  const { name, version, text, draft, change, goTo, highest, isReady, why, onLock, onPublished } = props;
  const { api, service, changed, announce } = useSession();
  const { principal } = service;
  const id = useId();
  const action = useAction();
  const [sent, setSent] = useState<Request>();
  const isAbsent = highest.failure?.problem?.code === "NOT_FOUND";
  const isFirst = isAbsent || (highest.value !== undefined && highest.value.version === undefined);
  const isUnknown = action.failure?.outcome === "unknown" && sent !== undefined;
  const isLocked = action.isBusy || isUnknown;
  useEffect(() => onLock(isLocked), [isLocked, onLock]);

  const labelFault = draft.labels.map(labelProblem).find((problem) => problem !== undefined);
  const publish = async (again?: Request) => {
    const { message, labels, expect } = draft;
    const request: Request = again ?? {
      version,
      text,
      query: {
        ...(message.trim() === "" ? {} : { message: message.trim() }),
        ...(labels.length === 0 ? {} : { labels: labels.join(",") }),
        ...(may(principal, "read", name) ? { expect } : {}),
      },
    };
    setSent(request);
    let result: StoreResult | undefined;
    const done = await action.run(() =>
      doAndSee(
        async () => {
          result = await api.publish(name, request.version, request.text, request.query);
        },
        async () => {
          const document = await api.document(name, request.version, true);
          if (document.text !== request.text) return false;
          const head = await api.head(name);
          return labels.every((label) => head.head.labels[label] === request.version);
        },
      ),
    );
    if (!done) return highest.reload();
    onPublished();
    changed(name);
    announce(saidOf(name, request.version, result));
    go(promptRoute(name, "text", { selector: request.version }));
  };

  return (
    <form
      class="publish"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !isLocked && labelFault === undefined) void publish();
      }}
    >
      <fieldset disabled={isLocked} class="bumps">
        <legend>Version</legend>
        {(isFirst ? FIRST : BUMPS).map(([bump, when]) => (
          <label key={bump} title={when}>
            <input
              type="radio"
              name={`${id}-bump`}
              checked={isFirst ? draft.bump !== "exact" : draft.bump === bump}
              onChange={() => change({ bump })}
              aria-describedby={`${id}-${bump}`}
            />
            {isFirst ? "first" : bump} <span class="num">{bumped(highest.value?.version, bump)}</span>
            <span id={`${id}-${bump}`} class="visually-hidden">
              {when}
            </span>
          </label>
        ))}
        <label>
          <input
            type="radio"
            name={`${id}-bump`}
            checked={draft.bump === "exact"}
            onChange={() => change({ bump: "exact", version: draft.version || version })}
          />
          exactly
        </label>
        {draft.bump === "exact" && (
          <input
            class="num version"
            aria-label="Version"
            value={draft.version}
            maxLength={64}
            spellcheck={false}
            onInput={(event) => change({ version: event.currentTarget.value.trim() })}
          />
        )}
      </fieldset>
      <div>
        <label for={`${id}-message`}>Message</label>
        <input
          id={`${id}-message`}
          value={draft.message}
          maxLength={1000}
          disabled={isLocked}
          placeholder="what changed, and why"
          onInput={(event) => change({ message: event.currentTarget.value })}
        />
      </div>
      {mayPromoteSome(principal, name) && (
        <LabelChoice
          name={name}
          version={version}
          labels={draft.labels}
          disabled={isLocked}
          onChange={(labels) => change({ labels })}
        />
      )}
      {labelFault !== undefined && <p class="problem">{labelFault}</p>}
      {action.failure !== undefined && sent !== undefined && (
        <PublishFailure
          {...{ name, draft, goTo }}
          failure={action.failure}
          version={sent.version}
          onAgain={() => void publish(sent)}
          onForget={action.forget}
          onRebase={(expect) => {
            change({ expect });
            action.forget();
          }}
        />
      )}
      <div class="row end">
        {why !== undefined && <span class="faint">{why}</span>}
        <button type="submit" class="primary" disabled={!isReady || isLocked || labelFault !== undefined}>
          {action.isBusy ? "Publishing…" : `Publish ${isReady ? version : ""}`}
        </button>
      </div>
    </form>
  );
}

function saidOf(name: string, version: string, result: StoreResult | undefined): string {
  const was = result?.status === "unchanged" ? "was there already" : "is published";
  const pinned = result?.pinned === true ? ` latest stays pinned to ${result.latest}.` : "";
  return [`${name} ${version} ${was}.${pinned}`, ...(result?.warnings ?? [])].join(" ");
}

function LabelChoice(props: {
  readonly name: string;
  readonly version: string;
  readonly labels: readonly string[];
  readonly disabled: boolean;
  readonly onChange: (labels: readonly string[]) => void;
}) {
  const { name, version, labels, disabled, onChange } = props;
  const { api, service } = useSession();
  const id = useId();
  const head = useLoad(
    `labels ${name}`,
    async (signal) => {
      if (name === "" || !may(service.principal, "read", name)) return {};
      return (await api.head(name, signal)).head.labels;
    },
    (changed) => changed === name,
  );
  const there = head.value ?? {};
  const known = Object.keys(there).sort();
  const others = labels.filter((label) => !known.includes(label));
  const [typed, setTyped] = useState(others.join(", "));
  const set = (chosen: readonly string[], other: string) => {
    const named = other.split(/[\s,]+/).filter((label) => label !== "");
    onChange([...new Set([...chosen, ...named])]);
  };
  const chosen = labels.filter((label) => known.includes(label));
  const moved = chosen.filter((label) => there[label] !== version);
  return (
    <fieldset class="label-choice" disabled={disabled}>
      <legend>Labels to put on it</legend>
      {known.map((label) => (
        <label key={label}>
          <input
            type="checkbox"
            checked={labels.includes(label)}
            disabled={!may(service.principal, "promote", name, label)}
            onChange={(event) =>
              set(event.currentTarget.checked ? [...chosen, label] : chosen.filter((one) => one !== label), typed)
            }
          />
          {label} <span class="faint num">{there[label]}</span>
        </label>
      ))}
      <label for={id} class="visually-hidden">
        Other labels
      </label>
      <input
        id={id}
        value={typed}
        placeholder={known.length === 0 ? "labels, such as staging" : "other labels"}
        spellcheck={false}
        autoComplete="off"
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          set(chosen, event.currentTarget.value);
        }}
      />
      {moved.length > 0 && (
        <p class="note">
          Moves {moved.map((label) => `${label} from ${there[label]} to ${version}`).join(", ")}, for everybody who asks
          for it.
        </p>
      )}
    </fieldset>
  );
}
