import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { Dialog } from "./dialog.tsx";
import { FailureNote } from "./parts.tsx";
import { doAndSee, useAction } from "./use-action.ts";

/** One question, a reason, and a button that says what it does. */
export function Confirm(props: {
  readonly title: string;
  readonly button: string;
  /** The label of the field; without it no reason is asked for. */
  readonly reason?: string;
  readonly isReasonRequired?: boolean;
  readonly work: (reason: string | undefined) => Promise<unknown>;
  /** Whether it was done, asked where the answer was lost. */
  readonly isDone: (reason: string | undefined) => Promise<boolean>;
  readonly onDone: () => void;
  readonly onClose: () => void;
  readonly isReady?: boolean;
  readonly wide?: boolean;
  readonly onFailure?: () => void;
  readonly children?: ComponentChildren;
}) {
  const { title, button, reason, isReasonRequired = false, work, isDone, onDone, onClose, children } = props;
  const { isReady = true, wide = false, onFailure } = props;
  const id = useId();
  const [text, setText] = useState("");
  const { isBusy, failure, run } = useAction();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!isReady) return;
    const given = text.trim() === "" ? undefined : text.trim();
    const done = await run(() =>
      doAndSee(
        () => work(given),
        () => isDone(given),
      ),
    );
    if (done) onDone();
    else onFailure?.();
  };
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form class="stack" onSubmit={submit}>
        {children}
        {reason !== undefined && (
          <>
            <label for={id}>{reason}</label>
            <input
              id={id}
              value={text}
              maxLength={1000}
              required={isReasonRequired}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </>
        )}
        {failure !== undefined && (
          <FailureNote failure={failure} isAnswer>
            {failure.outcome === "unknown" && (
              <p>It was looked for several times and is not there. Trying again does no harm: it is done once.</p>
            )}
          </FailureNote>
        )}
        <div class="row end">
          <button type="button" onClick={(event) => event.currentTarget.closest("dialog")?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={isBusy || !isReady}>
            {isBusy ? "Working…" : button}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
