import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

/** A modal dialog of the browser: it keeps focus inside, closes with Escape, and gives focus back to where it was. */
export function Dialog({
  title,
  onClose,
  wide = false,
  children,
}: {
  readonly title: ComponentChildren;
  /** Called once, however it was closed. */
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const opener = document.activeElement;
    element?.showModal();
    // Not the button that closes it, which comes first: one is here to fill in or to confirm.
    element?.querySelector<HTMLElement>("form :is(input, select, textarea)")?.focus();
    return () => {
      element?.close();
      // What opened it may be gone with what was changed.
      requestAnimationFrame(() => {
        if (document.querySelector("dialog[open]") !== null) return;
        const target = opener?.isConnected && opener !== document.body ? opener : document.querySelector("h1");
        (target as HTMLElement | null)?.focus({ preventScroll: true });
      });
    };
  }, []);
  return (
    <dialog ref={dialog} class={wide ? "wide" : ""} aria-labelledby={id} onClose={onClose}>
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="close" aria-label="Close" onClick={() => dialog.current?.close()}>
          ×
        </button>
      </div>
      {children}
    </dialog>
  );
}
