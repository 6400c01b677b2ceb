import type { Failure } from "./failure.ts";
import { may } from "./grants.ts";
import type { Draft } from "./kept.ts";
import { FailureNote, Time, Waiting } from "./parts.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import { useLoad } from "./use-load.ts";

/** What can be done about a publication that was not made, or of which nobody knows. */
export function PublishFailure(props: {
  readonly name: string;
  readonly draft: Draft;
  readonly failure: Failure;
  readonly version: string;
  readonly goTo: (line: number, column: number) => void;
  readonly onAgain: () => void;
  readonly onForget: () => void;
  readonly onRebase: (expect: string) => void;
}) {
  const { name, draft, failure, version, goTo, onAgain, onForget, onRebase } = props;
  const code = failure.problem?.code;
  if (failure.outcome === "unknown") {
    return (
      <FailureNote failure={failure} isAnswer>
        <p>
          Nobody knows yet whether {version} was stored; it was looked for and is not there so far. Sending the same
          again does no harm: a version is written once.
        </p>
        <p class="row">
          <button type="button" class="primary" onClick={onAgain}>
            Send {version} again
          </button>
          <button type="button" onClick={onForget}>
            Go on editing
          </button>
        </p>
      </FailureNote>
    );
  }
  if (code === "CONFLICT") return <Conflict {...{ name, draft, failure, onRebase }} />;
  return (
    <FailureNote failure={failure} isAnswer>
      {code === "ALREADY_EXISTS" && (
        <p>
          {version} is taken by another text. <a href={promptRoute(name, "text", { selector: version })}>Look at it</a>.
          Your text is kept. If you chose a step, the version below is the next one already.
        </p>
      )}
      <Places issues={failure.problem?.context?.issues ?? []} goTo={goTo} />
    </FailureNote>
  );
}

/** The findings that name a place in the text, as ways to get there. */
function Places({
  issues,
  goTo,
}: {
  readonly issues: readonly string[];
  readonly goTo: (l: number, c: number) => void;
}) {
  const places = issues.flatMap((issue) => {
    const [, line, column] = /\bline (\d+), column (\d+)/.exec(issue) ?? [];
    return line === undefined || column === undefined ? [] : [{ line: Number(line), column: Number(column) }];
  });
  if (places.length === 0) return null;
  return (
    <p class="row">
      {places.slice(0, 10).map(({ line, column }) => (
        <button key={`${line} ${column}`} type="button" class="small" onClick={() => goTo(line, column)}>
          Go to line {line}
        </button>
      ))}
    </p>
  );
}

function Conflict(props: {
  readonly name: string;
  readonly draft: Draft;
  readonly failure: Failure;
  readonly onRebase: (expect: string) => void;
}) {
  const { name, draft, failure, onRebase } = props;
  const { api, service } = useSession();
  const mayRead = may(service.principal, "read", name);
  const loaded = useLoad(
    `conflict ${name}`,
    async (signal) => {
      if (!mayRead) return null;
      const [head, { items }] = await Promise.all([api.head(name, signal), api.history(name, undefined, 20, signal)]);
      const entry = items.find(({ action, to }) => action === "publish" && to === head.latest);
      return { latest: head.latest ?? "none", entry };
    },
    (changed) => changed === name,
  );
  return (
    <FailureNote failure={failure} isAnswer>
      <Waiting of={loaded}>
        {(now) =>
          now === null || now.latest === draft.expect ? null : (
            <>
              <p>
                When you started, latest was {draft.expect}. Now it is <strong class="num">{now.latest}</strong>
                {now.entry !== undefined && (
                  <>
                    , published by {now.entry.by ?? "somebody"} <Time at={now.entry.at} />
                    {now.entry.message !== undefined && ` (“${now.entry.message}”)`}
                  </>
                )}
                . Your text does not have what was changed there.
              </p>
              <p class="row">
                {draft.base !== undefined && now.latest !== "none" && (
                  <a class="button" href={promptRoute(name, "diff", { from: draft.base, to: now.latest })}>
                    What was changed
                  </a>
                )}
                <button type="button" onClick={() => onRebase(now.latest)}>
                  I know; let me publish over it
                </button>
              </p>
            </>
          )
        }
      </Waiting>
    </FailureNote>
  );
}
