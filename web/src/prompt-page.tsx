import { useEffect, useState } from "preact/hooks";
import { Actions } from "./actions.tsx";
import { DiffView } from "./diff-view.tsx";
import { DocumentView } from "./document-view.tsx";
import { Editor } from "./editor.tsx";
import { may } from "./grants.ts";
import { HistoryView } from "./history-view.tsx";
import { keptDraft } from "./kept.ts";
import { Badge, Time, Waiting } from "./parts.tsx";
import { formatRoute, listRoute, promptRoute, type Route, type View } from "./route.ts";
import { useSession } from "./session.tsx";
import type { HeadState } from "./types.ts";
import { useLoad } from "./use-load.ts";
import { VersionsView } from "./versions-view.tsx";
import { describeEntry } from "./words.ts";

type PromptRoute = Route & { readonly page: "prompt" };

export function PromptPage({ route }: { readonly route: PromptRoute }) {
  const { name, view } = route;
  const { api, service } = useSession();
  const head = useLoad(
    `head ${name}`,
    (signal) => api.head(name, signal),
    (changed) => changed === name,
  );
  useNews(name);
  const isAbsent = head.failure?.problem?.code === "NOT_FOUND";
  return (
    <Actions name={name}>
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>
            <Name name={name} />
          </h1>
          {head.value !== undefined && <States state={head.value} />}
        </div>
      </div>
      <Tabs route={route} />
      {view === "new" ? (
        // What somebody types is not taken away by what the head says meanwhile.
        <Editor key={name} name={name} selector={route.selector} />
      ) : isAbsent ? (
        <div class="empty">
          <p>
            There is no prompt <code>{name}</code>, or you may not read it.
          </p>
          <p>
            <a href={listRoute()}>All prompts</a>
            {may(service.principal, "write", name) && (
              <>
                {" · "}
                <a href={formatRoute({ page: "create", name })}>Write it</a>
              </>
            )}
          </p>
        </div>
      ) : (
        <Waiting of={head}>{(state) => <Panel route={route} state={state} />}</Waiting>
      )}
    </Actions>
  );
}

function Panel({ route, state }: { readonly route: PromptRoute; readonly state: HeadState }) {
  const { name, view } = route;
  switch (view) {
    case "versions":
      return <VersionsView name={name} state={state} />;
    case "history":
      return <HistoryView name={name} />;
    case "diff":
      return <DiffView name={name} state={state} from={route.from} to={route.to} />;
    default:
      return <DocumentView name={name} state={state} selector={route.selector ?? "latest"} />;
  }
}

function Name({ name }: { readonly name: string }) {
  const segments = name.split("/");
  return (
    <span class="crumbs">
      {segments.map((segment, i) => {
        const to = `${segments.slice(0, i + 1).join("/")}/`;
        return (
          <span key={to}>
            {i > 0 && <span class="slash">/</span>}
            {i === segments.length - 1 ? segment : <a href={listRoute(to)}>{segment}</a>}
          </span>
        );
      })}
    </span>
  );
}

function States({ state }: { readonly state: HeadState }) {
  const { head, latest } = state;
  return (
    <p class="states">
      {latest === undefined ? (
        <span>No version is latest: none is left that is neither yanked nor removed.</span>
      ) : (
        <span>
          latest is <strong class="num">{latest}</strong>
          {head.pin !== undefined && (
            <>
              {" "}
              <Badge>pinned</Badge> and stays there when higher versions are published
            </>
          )}
        </span>
      )}
      {head.deprecated !== undefined && (
        <span class="deprecated">
          <Badge tone="warn">deprecated</Badge> {head.deprecated.message}{" "}
          <span class="faint">
            {head.deprecated.by !== undefined && `${head.deprecated.by}, `}
            <Time at={head.deprecated.at} />
          </span>
        </span>
      )}
    </p>
  );
}

const TABS: readonly (readonly [View, string])[] = [
  ["text", "Prompt"],
  ["versions", "Versions"],
  ["history", "History"],
  ["diff", "Diff"],
];

function Tabs({ route }: { readonly route: PromptRoute }) {
  const { name, view, selector } = route;
  const { service } = useSession();
  const mayWrite = service.capabilities.write && may(service.principal, "write", name);
  const hasDraft = keptDraft(name) !== undefined;
  return (
    <nav class="tabs" aria-label={`Parts of ${name}`}>
      {TABS.map(([tab, word]) => (
        <a key={tab} href={promptRoute(name, tab)} aria-current={view === tab ? "page" : undefined}>
          {word}
        </a>
      ))}
      {mayWrite && (
        <a
          class="end"
          href={promptRoute(name, "new", selector === undefined ? {} : { selector })}
          aria-current={view === "new" ? "page" : undefined}
        >
          {hasDraft ? "Your draft" : "New version"}
        </a>
      )}
    </nav>
  );
}

/** Says who did what to the prompt that is shown, unless it was oneself. */
function useNews(name: string): void {
  const { api, onChange, isEcho, announce } = useSession();
  const [news, setNews] = useState(0);
  useEffect(
    () =>
      onChange((changed) => {
        if (changed === name && !isEcho(name)) setNews((n) => n + 1);
      }),
    [name, onChange, isEcho],
  );
  useEffect(() => {
    if (news === 0) return;
    const ended = new AbortController();
    const tell = async () => {
      const page = await api.history(name, undefined, 1, ended.signal).catch(() => undefined);
      if (ended.signal.aborted) return;
      const [entry] = page?.items ?? [];
      announce(
        entry === undefined
          ? `${name} was changed elsewhere.`
          : `${entry.by ?? "Somebody"} ${describeEntry(entry)} just now.`,
      );
    };
    // What comes in one go is told once.
    const timer = setTimeout(tell, 300);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [news, name, api, announce]);
}
