import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure } from "./failure.ts";
import { ago, clock, exact } from "./time.ts";
import type { Loaded } from "./use-load.ts";

export function Time({ at }: { readonly at: string | undefined }) {
  if (at === undefined) return <span class="faint">unknown</span>;
  return (
    <time dateTime={at} title={exact(at)}>
      {ago(at)}
    </time>
  );
}

export function Badge({ children, tone = "plain" }: { readonly children: ComponentChildren; readonly tone?: string }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** The server's sentences begin in lower case and end in nothing. */
function sentence(text: string): string {
  const start = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}

/** What went wrong, beside what caused it. */
export function FailureNote(props: {
  readonly failure: Failure;
  /** Of what somebody has just asked for, so that it must be seen. */
  readonly isAnswer?: boolean;
  readonly children?: ComponentChildren;
}) {
  const { failure, isAnswer = false, children } = props;
  const { problem, retryAfter } = failure;
  const { issues, line, column } = problem?.context ?? {};
  // A policy's findings stand in the detail as well, cut short: they are shown once, whole.
  const detail = failure.isPolicy && issues !== undefined ? "" : sentence(failure.message);
  const note = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isAnswer) note.current?.scrollIntoView({ block: "nearest" });
  }, [isAnswer]);
  return (
    <div ref={note} class="note failure" role="alert">
      <p>
        <strong>{failure.title}.</strong> {detail}
        {line !== undefined && issues === undefined && !failure.message.includes(`line ${line}`) && (
          <>
            {" "}
            (line {line}
            {column !== undefined && `, column ${column}`})
          </>
        )}
      </p>
      {issues !== undefined && (
        <ul>
          {issues.map((issue) => (
            <li key={issue}>{issue}</li>
          ))}
        </ul>
      )}
      {retryAfter !== undefined && (
        <p>
          Try again in {retryAfter} {retryAfter === 1 ? "second" : "seconds"}.
        </p>
      )}
      {children}
      {problem?.requestId !== undefined && <p class="request-id">request {problem.requestId}</p>}
    </div>
  );
}

/** Everything that a loaded thing may be instead of itself. */
export function Waiting<T>({
  of,
  children,
}: {
  readonly of: Loaded<T>;
  readonly children: (value: T) => ComponentChildren;
}) {
  const { value, failure, at, isSlow, reload } = of;
  if (value === undefined) {
    if (failure !== undefined) {
      return (
        <FailureNote failure={failure}>
          {failure.isOutage && (
            <button type="button" onClick={reload}>
              Try again
            </button>
          )}
        </FailureNote>
      );
    }
    return isSlow ? (
      <p class="loading" role="status">
        Loading…
      </p>
    ) : (
      <p class="loading" />
    );
  }
  return (
    <>
      {failure !== undefined && (
        <div class="note outage" role="status">
          <p>
            <strong>{failure.title}.</strong> What is shown here was read at {at === undefined ? "?" : clock(at)} and
            may be old. It is tried again by itself.{" "}
            <button type="button" class="link" onClick={reload}>
              Try now
            </button>
          </p>
        </div>
      )}
      {children(value)}
    </>
  );
}

export function CopyButton({
  text,
  what,
  children,
}: {
  readonly text: string | (() => string);
  readonly what: string;
  readonly children?: ComponentChildren;
}) {
  const [state, setState] = useState<"" | "Copied" | "Not copied">("");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (event: Event) => {
    const near = event.currentTarget as HTMLElement;
    const done = await copyText(typeof text === "string" ? text : text(), near);
    setState(done ? "Copied" : "Not copied");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState(""), 1800);
  };
  return (
    <>
      <button type="button" class="small" onClick={copy}>
        {state || children || (
          <>
            Copy<span class="visually-hidden"> {what}</span>
          </>
        )}
      </button>
      <span class="visually-hidden" role="status">
        {state}
      </span>
    </>
  );
}

/** The clipboard is there only over https and on this machine; a registry inside a network often has neither. */
async function copyText(text: string, near: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    // Inside a modal dialog nothing outside of it can be selected.
    (near.closest("dialog") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    near.focus();
    return done;
  }
}

export function More({ shown, onMore }: { readonly shown: boolean; readonly onMore: () => void }) {
  return shown ? (
    <p class="more">
      <button type="button" onClick={onMore}>
        More
      </button>
    </p>
  ) : null;
}
