import { useId, useState } from "preact/hooks";
import { Dialog } from "./dialog.tsx";
import { asFailure, type Failure } from "./failure.ts";
import { FailureNote } from "./parts.tsx";
import type { Gate } from "./session.tsx";

export function SignIn({ gate }: { readonly gate: Gate }) {
  const id = useId();
  const [failure, setFailure] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const [isShown, setShown] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
    const token = field.value.trim();
    if (token === "" || isBusy) return;
    setBusy(true);
    setFailure(undefined);
    try {
      await gate.signIn(token);
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
      field.select();
    }
  };
  return (
    <form onSubmit={submit} class="stack">
      <p>
        {gate.token === undefined
          ? "This registry asks who you are. Paste an API token."
          : "Your token is not taken any more: it ended, or was revoked. Paste another one; what you wrote is still here."}
      </p>
      <label for={id}>API token</label>
      <div class="row">
        <input
          id={id}
          name="token"
          class="grow mono"
          {...(isShown ? { type: "text" as const } : { type: "password" as const })}
          autoComplete="off"
          spellcheck={false}
          placeholder="prg_…"
          required
          aria-describedby={`${id}-kept`}
        />
        <button type="button" onClick={() => setShown(!isShown)} aria-pressed={isShown}>
          {isShown ? "Hide" : "Show"}
        </button>
      </div>
      {failure !== undefined && <FailureNote failure={failure} />}
      <p id={`${id}-kept`} class="faint">
        It is kept in this tab only (session storage) until you close the tab or sign out, and sent to this server
        alone. Make one on the server: <code>prompt-registry token create NAME --scope read</code>
      </p>
      <div class="row end">
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
      </div>
    </form>
  );
}

export function SignInDialog({ gate }: { readonly gate: Gate }) {
  return (
    <Dialog title="Sign in" onClose={gate.cancel}>
      <SignIn gate={gate} />
    </Dialog>
  );
}
