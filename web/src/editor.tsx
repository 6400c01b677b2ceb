import { useEffect, useState } from "preact/hooks";
import { EditorForm } from "./editor-form.tsx";
import { asFailure } from "./failure.ts";
import { may } from "./grants.ts";
import { type Draft, keptDraft } from "./kept.ts";
import { forField, lineEndOf } from "./line-ends.ts";
import { nameProblem } from "./names.ts";
import { Waiting } from "./parts.tsx";
import { type Session, useSession } from "./session.tsx";
import { useLoad } from "./use-load.ts";

export interface Beginning {
  readonly draft: Draft;
  /** The text that it is compared with; `""` for a new prompt. */
  readonly baseText: string;
  readonly isKept: boolean;
}

const EMPTY: Draft = {
  text: "",
  expect: "none",
  lineEnd: "\n",
  bump: "patch",
  version: "",
  message: "",
  labels: [],
};

/** The key of the draft of a prompt that has no name yet. */
const UNNAMED = "";

/** A prompt that does not exist yet. */
export function NewPrompt(props: { readonly name: string }) {
  const [kept] = useState(() => keptDraft(UNNAMED));
  const [name, setName] = useState(props.name);
  const problem = name === "" ? undefined : nameProblem(name);
  return (
    <>
      <h1 tabIndex={-1}>New prompt</h1>
      <EditorForm
        name={problem === undefined ? name : ""}
        draftKey={UNNAMED}
        beginning={{ draft: kept ?? EMPTY, baseText: "", isKept: kept !== undefined }}
      >
        <label for="new-name">Name</label>
        <input
          id="new-name"
          class="mono"
          value={name}
          maxLength={200}
          placeholder="support/triage"
          autoComplete="off"
          spellcheck={false}
          required
          aria-describedby="new-name-problem"
          onInput={(event) => setName(event.currentTarget.value.trim())}
        />
        <p id="new-name-problem" class="problem">
          {problem}
        </p>
      </EditorForm>
    </>
  );
}

/** A new version of a prompt. */
export function Editor({ name, selector }: { readonly name: string; readonly selector: string | undefined }) {
  const session = useSession();
  const [beginning, setBeginning] = useState<Beginning>();
  const loaded = useLoad(
    `beginning ${name} ${selector ?? ""}`,
    (signal) => begin(session, name, selector, signal),
    // What somebody writes on is not exchanged beneath it.
    () => false,
  );
  const { value, at } = loaded;
  const { cache } = session;
  useEffect(() => {
    if (value !== undefined) setBeginning((old) => old ?? value);
    // The next time it begins with what is there then.
    return () => void cache.delete(`beginning ${name} ${selector ?? ""}`);
  }, [value, at, cache, name, selector]);
  if (beginning === undefined) return <Waiting of={loaded}>{() => null}</Waiting>;
  return <EditorForm name={name} draftKey={name} beginning={beginning} />;
}

async function begin({ api, service }: Session, name: string, selector: string | undefined, signal: AbortSignal) {
  const kept = keptDraft(name);
  if (kept !== undefined) {
    const baseText = kept.base === undefined ? "" : (await api.document(name, kept.base, false, signal)).text;
    return { draft: kept, baseText, isKept: true };
  }
  const empty = { draft: EMPTY, baseText: "", isKept: false };
  if (!may(service.principal, "read", name)) return empty;
  try {
    const head = await api.head(name, signal);
    const from = selector ?? (head.latest === undefined ? undefined : "latest");
    const expect = head.latest ?? "none";
    if (from === undefined) return { ...empty, draft: { ...EMPTY, expect } };
    const { text, version } = await api.document(name, from, false, signal);
    const draft: Draft = { ...EMPTY, text: forField(text), base: version, expect, lineEnd: lineEndOf(text) };
    return { draft, baseText: text, isKept: false };
  } catch (error) {
    if (asFailure(error).problem?.code === "NOT_FOUND") return empty;
    throw error;
  }
}
