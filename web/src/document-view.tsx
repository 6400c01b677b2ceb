import type { ComponentChild } from "preact";
import { useMemo, useState } from "preact/hooks";
import { splitFrontMatter } from "./front-matter.ts";
import { LabelsPanel } from "./labels-panel.tsx";
import { go } from "./location.ts";
import { renderMarkdown } from "./markdown.ts";
import { marksOf, variablesOf } from "./marks.ts";
import { isVersion } from "./names.ts";
import { Badge, CopyButton, Time, Waiting } from "./parts.tsx";
import { RawLink } from "./raw-link.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { HeadState, PromptDocument } from "./types.ts";
import { useLoad } from "./use-load.ts";
import { bytes, count, utf8Length } from "./words.ts";

/** Beyond these a browser is busy for longer than people wait. Characters. */
const MOST_MARKED = 200 * 1024;
const MOST_RENDERED = 64 * 1024;

interface Shown {
  readonly name: string;
  readonly state: HeadState;
  readonly selector: string;
}

export function DocumentView({ name, state, selector }: Shown) {
  const { api } = useSession();
  const [isRendered, setRendered] = useState(false);
  const isNothing = selector === "latest" && state.latest === undefined;
  const loaded = useLoad(
    `document ${name} ${selector}`,
    async (signal) => (isNothing ? null : await api.document(name, selector, false, signal)),
    (changed) => changed === name,
  );
  return (
    <div class="columns">
      <section aria-label="Text" class="document">
        <div class="toolbar">
          <SelectorBox name={name} state={state} selector={selector} />
          <ViewChoice isRendered={isRendered} onChange={setRendered} />
          <span class="grow" />
          {loaded.value != null && (
            <>
              <CopyButton text={loaded.value.text} what="the text">
                Copy text
              </CopyButton>
              <RawLink document={loaded.value} />
            </>
          )}
        </div>
        <Waiting of={loaded}>
          {(document) =>
            document === null ? null : (
              <>
                <Warnings document={document} selector={selector} />
                <TextOf text={document.text} isRendered={isRendered} />
              </>
            )
          }
        </Waiting>
      </section>
      <aside aria-label="About this prompt">
        <LabelsPanel name={name} state={state} />
        {loaded.value != null && <Facts document={loaded.value} selector={selector} />}
      </aside>
    </div>
  );
}

function SelectorBox({ name, state, selector }: Shown) {
  const { api } = useSession();
  const versions = useLoad(
    `versions ${name} 100`,
    (signal) => api.versions(name, undefined, 100, signal),
    (changed) => changed === name,
  );
  const labels = Object.keys(state.head.labels).sort();
  const items = versions.value?.items ?? [];
  const isListed = selector === "latest" || labels.includes(selector) || items.some((v) => v.version === selector);
  return (
    <label class="selector">
      <span>Show</span>
      <select
        value={selector}
        onChange={(event) => {
          const wanted = event.currentTarget.value;
          go(promptRoute(name, "text", wanted === "latest" ? {} : { selector: wanted }));
        }}
      >
        <option value="latest">latest {state.latest === undefined ? "" : `(${state.latest})`}</option>
        {labels.length > 0 && (
          <optgroup label="Labels">
            {labels.map((label) => (
              <option key={label} value={label}>
                {label} ({state.head.labels[label]})
              </option>
            ))}
          </optgroup>
        )}
        <optgroup label="Versions">
          {!isListed && <option value={selector}>{selector}</option>}
          {items.map(({ version, yanked, removed }) => (
            <option key={version} value={version} disabled={removed === true}>
              {version}
              {removed === true ? " (removed)" : yanked === undefined ? "" : " (yanked)"}
            </option>
          ))}
        </optgroup>
      </select>
    </label>
  );
}

function ViewChoice(props: { readonly isRendered: boolean; readonly onChange: (isRendered: boolean) => void }) {
  const { isRendered, onChange } = props;
  return (
    <fieldset class="segmented">
      <legend class="visually-hidden">View</legend>
      {[false, true].map((rendered) => (
        <label key={String(rendered)}>
          <input type="radio" name="view" checked={isRendered === rendered} onChange={() => onChange(rendered)} />
          <span>{rendered ? "Rendered" : "Text"}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Warnings({ document, selector }: { readonly document: PromptDocument; readonly selector: string }) {
  const { yanked, stale, sealed, version } = document;
  return (
    <>
      {yanked !== undefined && (
        <p class="note">
          <Badge tone="warn">yanked</Badge> {version} was taken out of latest and of ranges
          {yanked.by !== undefined && ` by ${yanked.by}`}, <Time at={yanked.at} />
          {yanked.reason === undefined ? "." : `: ${yanked.reason}.`}
          {!isVersion(selector) && ` The label ${selector} is still on it.`}
        </p>
      )}
      {stale === true && (
        <p class="note">
          <Badge tone="warn">stale</Badge> The server could not ask its storage; this is what it remembers.
        </p>
      )}
      {!sealed && (
        <p class="note">
          <Badge tone="warn">unsealed</Badge> This file was put into the storage by hand; nothing vouches for its bytes.
        </p>
      )}
    </>
  );
}

/** A text as it is, or as Markdown; also of what is not published yet. */
export function TextOf({ text, isRendered }: { readonly text: string; readonly isRendered: boolean }) {
  const { frontMatter, body } = useMemo(() => splitFrontMatter(text), [text]);
  const isTooLong = isRendered ? body.length > MOST_RENDERED : body.length > MOST_MARKED;
  return (
    <>
      {isTooLong && (
        <p class="note">
          {isRendered
            ? `This text is longer than ${bytes(MOST_RENDERED)}, so it is not rendered. The plain text:`
            : `This text is longer than ${bytes(MOST_MARKED)}, so its variables are not marked.`}
        </p>
      )}
      {frontMatter !== undefined && (
        <details class="front-matter" open={frontMatter.length < 2000}>
          <summary>Front matter</summary>
          <pre class="text">{frontMatter}</pre>
        </details>
      )}
      {body === "" ? (
        <p class="empty">The text is empty.</p>
      ) : isRendered && !isTooLong ? (
        <Rendered body={body} />
      ) : (
        <pre class="text body">{isTooLong ? body : <Marked text={body} />}</pre>
      )}
    </>
  );
}

function Rendered({ body }: { readonly body: string }): ComponentChild {
  const rendered = useMemo((): ComponentChild => {
    try {
      return renderMarkdown(body);
    } catch {
      return <p class="note">This text can’t be rendered. Look at it as text.</p>;
    }
  }, [body]);
  return rendered;
}

function Marked({ text }: { readonly text: string }) {
  const marks = useMemo(() => marksOf(text), [text]);
  return (
    <>
      {marks.map((mark, i) => {
        if (mark.kind === "text") return mark.text;
        const key = `${i} ${mark.text}`;
        return mark.kind === "variable" ? (
          <mark key={key} class="variable">
            {mark.text}
          </mark>
        ) : (
          <span key={key} class="invisible" title="A character that shows nothing of itself">
            {mark.shown}
          </span>
        );
      })}
    </>
  );
}

function Facts({ document, selector }: { readonly document: PromptDocument; readonly selector: string }) {
  const { name, version, author, createdAt, message, digest, labels = [], text } = document;
  const { body } = useMemo(() => splitFrontMatter(text), [text]);
  const isShort = body.length <= MOST_MARKED;
  const variables = useMemo(() => (isShort ? variablesOf(body) : []), [body, isShort]);
  const ref = selector === "latest" ? name : `${name}@${selector}`;
  const code = `getPrompt("${ref}")`;
  const command = `prompt-registry get ${ref}`;
  const size = useMemo(() => utf8Length(text), [text]);
  return (
    <>
      <section class="panel">
        <h2>Version {version}</h2>
        <dl>
          <dt>Author</dt>
          <dd>{author ?? <span class="faint">not said</span>}</dd>
          <dt>Published</dt>
          <dd>
            <Time at={createdAt} />
          </dd>
          {message !== undefined && (
            <>
              <dt>Message</dt>
              <dd class="message">{message}</dd>
            </>
          )}
          {labels.length > 0 && (
            <>
              <dt>Labels</dt>
              <dd>{labels.join(", ")}</dd>
            </>
          )}
          <dt>Variables</dt>
          <dd>
            {!isShort ? (
              <span class="faint">not looked for in a text of this length</span>
            ) : variables.length === 0 ? (
              <span class="faint">none</span>
            ) : (
              variables.map((variable) => (
                <code key={variable} class="variable">
                  {variable}
                </code>
              ))
            )}
          </dd>
          <dt>Size</dt>
          <dd>
            {bytes(size)}, {count(text.split("\n").length - (text.endsWith("\n") ? 1 : 0), "line")}
          </dd>
          <dt>Digest</dt>
          <dd class="digest">
            <code title={digest}>{digest.slice(0, 19)}…</code> <CopyButton text={digest} what="the digest" />
          </dd>
        </dl>
      </section>
      <section class="panel">
        <h2>Use it</h2>
        {[
          [code, "the call"],
          [command, "the command"],
        ].map(([snippet = "", what = ""]) => (
          <div key={what} class="snippet">
            <pre>{snippet}</pre>
            <CopyButton text={snippet} what={what} />
          </div>
        ))}
      </section>
    </>
  );
}
