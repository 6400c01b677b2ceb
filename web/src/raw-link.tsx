import { useState } from "preact/hooks";
import { asFailure, type Failure } from "./failure.ts";
import { FailureNote } from "./parts.tsx";
import { BASE, useSession } from "./session.tsx";
import type { PromptDocument } from "./types.ts";

/**
 * The stored document with its seal. Without a token an ordinary link does; with one the page fetches it and saves it as
 * a file, since a link sends no token.
 */
export function RawLink({ document: { name, version } }: { readonly document: PromptDocument }) {
  const { api, isSignedIn } = useSession();
  const [failure, setFailure] = useState<Failure>();
  const href = `${BASE.pathname}/prompts/${name}/-/versions/${version}`;
  const save = async (event: Event) => {
    if (!isSignedIn) return;
    event.preventDefault();
    try {
      const url = URL.createObjectURL(await api.raw(name, version));
      const link = document.createElement("a");
      link.href = url;
      link.download = `${name.replaceAll("/", ".")}.v${version}.md`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      setFailure(undefined);
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <>
      <a class="button small" href={href} onClick={save} title="The stored document, with its seal">
        Raw
      </a>
      {failure !== undefined && <FailureNote failure={failure} />}
    </>
  );
}
