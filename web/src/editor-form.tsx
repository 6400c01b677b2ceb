import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { TextOf } from "./document-view.tsx";
import type { Beginning } from "./editor.tsx";
import { Changes } from "./editor-changes.tsx";
import { may } from "./grants.ts";
import { type Draft, keepDraft } from "./kept.ts";
import { fromField } from "./line-ends.ts";
import { bumped, isVersion } from "./names.ts";
import { PublishPanel } from "./publish-panel.tsx";
import { useSession } from "./session.tsx";
import { useLoad } from "./use-load.ts";
import { bytes, utf8Length } from "./words.ts";

const TABS = ["Write", "Changes", "Preview"] as const;

export function EditorForm(props: {
  /** `""` as long as none is chosen. */
  readonly name: string;
  readonly draftKey: string;
  readonly beginning: Beginning;
  readonly children?: ComponentChildren;
}) {
  const { name, draftKey, beginning, children } = props;
  const { baseText } = beginning;
  const { api, service, announce } = useSession();
  const [draft, setDraft] = useState(beginning.draft);
  const [tab, setTab] = useState<(typeof TABS)[number]>("Write");
  const [isKeptFresh, setKeptFresh] = useState(true);
  const [isLocked, setLocked] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const text = useMemo(() => fromField(draft.text, draft.lineEnd), [draft.text, draft.lineEnd]);
  const isChanged = text !== baseText;
  const mayRead = may(service.principal, "read", name);
  const highest = useLoad(
    `highest ${name}`,
    async (signal) => {
      if (name === "" || !mayRead) return { version: undefined };
      const page = await api.versions(name, undefined, 1, signal);
      return { version: page.items[0]?.version };
    },
    (changed) => changed === name,
  );
  const isAbsent = highest.failure?.problem?.code === "NOT_FOUND";
  const isKnown = isAbsent || highest.value !== undefined;
  const version = draft.bump === "exact" ? draft.version : isKnown ? bumped(highest.value?.version, draft.bump) : "";
  // A page full of text needs no second scroll bar, and a line of it no page.
  const [rows] = useState(() => Math.min(22, Math.max(10, draft.text.split("\n").length + 2)));
  const size = useMemo(() => utf8Length(text), [text]);
  const isTooLong = size > service.limits.documentBytes;

  const isDone = useRef(false);
  const newest = useRef({ draft, isChanged });
  newest.current = { draft, isChanged };
  useEffect(() => {
    const save = () => setKeptFresh(keepDraft(draftKey, isChanged && !isDone.current ? draft : undefined));
    const timer = setTimeout(save, 300);
    return () => clearTimeout(timer);
  }, [draft, isChanged, draftKey]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (newest.current.isChanged && !isDone.current) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => {
      removeEventListener("beforeunload", warn);
      if (!newest.current.isChanged || isDone.current) return;
      keepDraft(draftKey, newest.current.draft);
      announce("Your draft is kept in this tab until you publish or discard it.");
    };
  }, [draftKey, announce]);

  const change = (part: Partial<Draft>) => setDraft((old) => ({ ...old, ...part }));
  const goTo = (line: number, column: number) => {
    setTab("Write");
    requestAnimationFrame(() => select(field.current, line, column));
  };
  return (
    <div class="editor">
      {beginning.isKept && (
        <p class="note">
          This is your draft from before; it is not published.{" "}
          <button
            type="button"
            class="link"
            disabled={isLocked}
            onClick={() => {
              keepDraft(draftKey, undefined);
              isDone.current = true;
              location.reload();
            }}
          >
            Discard it
          </button>
        </p>
      )}
      {!isKeptFresh && (
        <p class="note" role="status">
          This browser does not keep drafts; copy your text before you leave.
        </p>
      )}
      {children}
      <div class="toolbar">
        <fieldset class="segmented">
          <legend class="visually-hidden">Editor view</legend>
          {TABS.map((one) => (
            <label key={one}>
              <input type="radio" name="editor-view" checked={tab === one} onChange={() => setTab(one)} />
              <span>{one}</span>
            </label>
          ))}
        </fieldset>
        <span class="grow" />
        <span class={isTooLong ? "problem" : "faint"}>
          {draft.base === undefined ? "new text" : `started from ${draft.base}`} · {bytes(size)}
          {isTooLong && `, more than the ${bytes(service.limits.documentBytes)} that are allowed`}
        </span>
      </div>
      {draft.lineEnd === "mixed" && (
        <p class="note">The line ends of this text are mixed. What is published from here has LF everywhere.</p>
      )}
      <textarea
        ref={field}
        class="text"
        aria-label="Text of the prompt"
        hidden={tab !== "Write"}
        value={draft.text}
        readOnly={isLocked}
        spellcheck={false}
        rows={rows}
        placeholder={"---\nmodel: small\n---\nSort this ticket: {{ticket}}"}
        onInput={(event) => change({ text: event.currentTarget.value })}
      />
      {tab === "Changes" && <Changes before={baseText} after={text} base={draft.base} />}
      {tab === "Preview" && <TextOf text={text} isRendered />}
      <PublishPanel
        {...{ name, version, text, draft, change, goTo, highest }}
        isReady={name !== "" && isVersion(version) && (isChanged || draft.base === undefined) && !isTooLong}
        why={
          name === ""
            ? "Name the prompt first."
            : !isKnown
              ? "The version is being worked out…"
              : !isVersion(version)
                ? "Write a version such as 1.2.0."
                : !isChanged && draft.base !== undefined
                  ? `The text is that of ${draft.base}; there is nothing to publish.`
                  : undefined
        }
        onLock={setLocked}
        onPublished={() => {
          isDone.current = true;
          keepDraft(draftKey, undefined);
        }}
      />
    </div>
  );
}

/** Puts the cursor where a finding is. */
function select(field: HTMLTextAreaElement | null, line: number, column: number): void {
  if (field === null) return;
  const lines = field.value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + Math.max(0, column - 1);
  field.focus();
  field.setSelectionRange(at, at);
  const height = Number.parseFloat(getComputedStyle(field).lineHeight) || 20;
  field.scrollTop = Math.max(0, (line - 4) * height);
}
