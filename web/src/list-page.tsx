import { useEffect, useId, useRef, useState } from "preact/hooks";
import { covers, maySomewhere } from "./grants.ts";
import { replaceRoute } from "./location.ts";
import { Badge, CopyButton, More, Time, Waiting } from "./parts.tsx";
import { formatRoute, listRoute, promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { Page, PromptEntry } from "./types.ts";
import { usePages } from "./use-load.ts";

const TYPING = 250;

export function ListPage({ prefix, text }: { readonly prefix: string; readonly text: string }) {
  const { api, service } = useSession();
  const { search } = service.capabilities;
  const found = usePages<PromptEntry>(
    `list ${prefix} ${text}`,
    async (limit, cursor, signal): Promise<Page<PromptEntry>> => {
      // Without a search of the storage's own the names are looked through here, a good many at a time.
      const isOwn = text !== "" && !search;
      const query = { prefix, ...(cursor === undefined ? {} : { cursor }), limit: isOwn ? 1000 : limit };
      const page = await api.prompts(isOwn ? query : { ...query, text }, signal);
      return isOwn ? { ...page, items: page.items.filter(({ name }) => name.includes(text.toLowerCase())) } : page;
    },
    (name) => prefix === "" || name.startsWith(prefix),
  );
  // While the next letter is looked for the last answer stays, so that nothing jumps beneath who types.
  const before = useRef<{ readonly prefix: string; readonly value: typeof found.value }>(undefined);
  if (found.value !== undefined) before.current = { prefix, value: found.value };
  const isBetween = found.value === undefined && found.failure === undefined && before.current?.prefix === prefix;
  const shown = isBetween ? { ...found, value: before.current?.value } : found;
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>{prefix === "" ? "Prompts" : <Crumbs prefix={prefix} />}</h1>
        <SearchBox prefix={prefix} text={text} searchesTexts={search} />
      </div>
      <Waiting of={shown}>
        {({ items, hasMore }) =>
          items.length === 0 && !hasMore ? (
            <Nothing prefix={prefix} text={text} />
          ) : (
            <>
              <table class="list prompts">
                <thead>
                  <tr>
                    <th scope="col">Prompt</th>
                    <th scope="col">Latest</th>
                    <th scope="col">Labels</th>
                    <th scope="col" class="right">
                      Changed
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((entry) => (
                    <Row key={entry.name} entry={entry} prefix={prefix} />
                  ))}
                </tbody>
              </table>
              <p class="faint tally">
                {hasMore ? `The first ${items.length}` : items.length}
                {text === "" ? "" : ` that match “${text}”`}, by name.
              </p>
              <More shown={hasMore} onMore={found.more} />
            </>
          )
        }
      </Waiting>
    </>
  );
}

/** `support/billing/` as links to each of the folders that it is made of. */
function Crumbs({ prefix }: { readonly prefix: string }) {
  const parts = prefix.replace(/\/$/, "").split("/");
  return (
    <span class="crumbs">
      <a href={listRoute()}>Prompts</a>
      {parts.map((part, i) => {
        const to = `${parts.slice(0, i + 1).join("/")}/`;
        return (
          <span key={to}>
            <span class="slash">/</span>
            {i === parts.length - 1 ? part : <a href={listRoute(to)}>{part}</a>}
          </span>
        );
      })}
    </span>
  );
}

function SearchBox(props: { readonly prefix: string; readonly text: string; readonly searchesTexts: boolean }) {
  const { prefix, text, searchesTexts } = props;
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [typed, setTyped] = useState(text);
  useEffect(() => {
    if (document.activeElement !== field.current) setTyped(text);
  }, [text]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.closest("input, textarea, select, dialog") !== null) return;
      event.preventDefault();
      field.current?.select();
      field.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      clearTimeout(timer.current);
    };
  }, []);
  const search = (value: string, wait: number) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => replaceRoute(listRoute(prefix, value.trim())), wait);
  };
  return (
    <search class="search">
      <label class="visually-hidden" for={id}>
        {searchesTexts ? "Search names and texts" : "Search names"}
      </label>
      <input
        ref={field}
        id={id}
        type="search"
        value={typed}
        maxLength={200}
        autoComplete="off"
        spellcheck={false}
        placeholder={searchesTexts ? "Search names and latest texts" : "Search names"}
        onInput={(event) => search(event.currentTarget.value, TYPING)}
        onKeyDown={(event) => {
          if (event.key === "Enter") search(event.currentTarget.value, 0);
        }}
      />
      <span class="key" aria-hidden="true">
        /
      </span>
    </search>
  );
}

function Row({ entry, prefix }: { readonly entry: PromptEntry; readonly prefix: string }) {
  const { name, head: state, removed } = entry;
  const segments = name.split("/");
  const leaf = segments.pop() ?? name;
  // Those above are said by the heading already.
  const above = segments.map((segment, i) => ({ segment, to: `${segments.slice(0, i + 1).join("/")}/` }));
  const labels = Object.entries(state?.head.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <tr>
      <th scope="row" class="name">
        {above
          .filter(({ to }) => to.length > prefix.length)
          .map(({ segment, to }) => (
            <span key={to}>
              <a class="folder" href={listRoute(to)}>
                {segment}
              </a>
              <span class="slash">/</span>
            </span>
          ))}
        <a href={promptRoute(name)}>{leaf}</a>
        {state?.head.deprecated !== undefined && <Badge tone="warn">deprecated</Badge>}
        {removed === true && <Badge>removed</Badge>}
      </th>
      <td class="num" data-label="latest">
        {state?.latest ?? <span class="faint">none</span>}
        {state?.head.pin !== undefined && <Badge>pinned</Badge>}
      </td>
      <td class="labels">
        {labels.map(([label, version]) => (
          <a key={label} class="label" href={promptRoute(name, "text", { selector: label })}>
            {label} <span class="num">{version}</span>
          </a>
        ))}
      </td>
      <td class="right faint changed">{state?.head.updatedAt !== undefined && <Time at={state.head.updatedAt} />}</td>
    </tr>
  );
}

function Nothing({ prefix, text }: { readonly prefix: string; readonly text: string }) {
  const { service } = useSession();
  if (text !== "") {
    return (
      <p class="empty">
        Nothing matches “{text}”{prefix !== "" && ` below ${prefix}`}.{" "}
        <a href={listRoute(prefix)}>Show all{prefix !== "" && " of it"}</a>
      </p>
    );
  }
  if (prefix !== "") {
    return (
      <p class="empty">
        There is nothing below <code>{prefix}</code> that you may read. <a href={listRoute()}>All prompts</a>
      </p>
    );
  }
  const { grants } = service.principal;
  const isPartial = !grants.some((g) => (g.right === "read" || g.right === "admin") && covers(g.prefix, ""));
  const commands = [
    "echo 'Sort this ticket: {{ticket}}' > triage.md",
    `npx prompt-registry push support/triage triage.md --bump minor --storage ${new URL(".", document.baseURI).href.replace(/\/$/, "")}`,
  ].join("\n");
  return (
    <div class="empty">
      <p>
        {isPartial ? "There are no prompts yet that you may read." : "There are no prompts yet."} Put a first one in:
      </p>
      <div class="snippet">
        <pre>{commands}</pre>
        <CopyButton text={commands} what="the commands" />
      </div>
      {maySomewhere(service.principal, "write") && (
        <p>
          Or <a href={formatRoute({ page: "create", name: "" })}>write it here</a>.
        </p>
      )}
    </div>
  );
}
