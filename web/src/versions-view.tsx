import { useActions } from "./actions.tsx";
import { may, mayPromoteSome } from "./grants.ts";
import { Badge, CopyButton, More, Time, Waiting } from "./parts.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { HeadState, HistoryEntry, VersionEntry } from "./types.ts";
import { collect, useLoad, usePages } from "./use-load.ts";

export function VersionsView({ name, state }: { readonly name: string; readonly state: HeadState }) {
  const { api, service } = useSession();
  const found = usePages<VersionEntry>(
    `version pages ${name}`,
    (limit, cursor, signal) => api.versions(name, cursor, limit, signal),
    (changed) => changed === name,
  );
  // The list of versions does not say who made them; the history does, for the newest at least.
  const made = useLoad(
    `publications ${name}`,
    async (signal) => {
      const { items } = await collect(1000, (limit, cursor) => api.history(name, cursor, limit, signal));
      return new Map(items.filter(({ action }) => action === "publish").map((entry) => [entry.to ?? "", entry]));
    },
    (changed) => changed === name,
  );
  const { principal, capabilities } = service;
  const isAdmin = may(principal, "admin", name);
  return (
    <Waiting of={found}>
      {({ items, hasMore }) => (
        <>
          <table class="list versions">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Published</th>
                <th scope="col">By</th>
                <th scope="col">Message</th>
                <th scope="col" class="right">
                  Actions
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((entry, i) => (
                <Row
                  key={entry.version}
                  {...{ name, state, entry }}
                  made={made.value?.get(entry.version)}
                  below={items.slice(i + 1).find((other) => other.removed !== true)?.version}
                  mayYank={capabilities.write && may(principal, "promote", name)}
                  mayLabel={capabilities.write && mayPromoteSome(principal, name)}
                />
              ))}
            </tbody>
          </table>
          <More shown={hasMore} onMore={found.more} />
          {isAdmin && (
            <details class="aside">
              <summary>Remove a version for ever</summary>
              <p>
                That can’t be undone here, so it is left to the command line. Move labels and pins off it first; to take
                a version out of use, yank it instead.
              </p>
              <div class="snippet">
                <pre>{`prompt-registry delete ${name} VERSION --yes`}</pre>
                <CopyButton text={`prompt-registry delete ${name} VERSION --yes`} what="the command" />
              </div>
            </details>
          )}
        </>
      )}
    </Waiting>
  );
}

function Row(props: {
  readonly name: string;
  readonly state: HeadState;
  readonly entry: VersionEntry;
  readonly made: HistoryEntry | undefined;
  readonly below: string | undefined;
  readonly mayYank: boolean;
  readonly mayLabel: boolean;
}) {
  const { name, state, entry, made, below, mayYank, mayLabel } = props;
  const { version, removed, yanked } = entry;
  const open = useActions();
  const labels = Object.entries(state.head.labels)
    .filter(([, target]) => target === version)
    .map(([label]) => label)
    .sort();
  return (
    <tr>
      <th scope="row" class="num">
        {removed === true ? version : <a href={promptRoute(name, "text", { selector: version })}>{version}</a>}
        {state.latest === version && <Badge tone="accent">latest</Badge>}
        {state.head.pin === version && <Badge>pinned</Badge>}
        {labels.map((label) => (
          <Badge key={label} tone="accent">
            {label}
          </Badge>
        ))}
        {yanked !== undefined && removed !== true && <Badge tone="warn">yanked</Badge>}
        {removed === true && <Badge>removed</Badge>}
      </th>
      <td class="nowrap">{made === undefined ? "" : <Time at={made.at} />}</td>
      <td>{made?.by}</td>
      <td class="message">
        {made?.message}
        {yanked?.reason !== undefined && (
          <span class="faint reason">
            {removed === true ? "removed" : "yanked"}: {yanked.reason}
          </span>
        )}
      </td>
      <td class="right actions">
        {removed !== true && (
          <>
            {below !== undefined && (
              <a class="button small" href={promptRoute(name, "diff", { from: below, to: version })}>
                Diff
                <span class="visually-hidden">
                  {" "}
                  of {version} with {below}
                </span>
              </a>
            )}
            {mayLabel && yanked === undefined && (
              <button
                type="button"
                class="small"
                aria-label={`Put a label on ${version}`}
                onClick={() => open({ kind: "move", version })}
              >
                Label…
              </button>
            )}
            {mayYank && (
              <button
                type="button"
                class="small quiet"
                aria-label={yanked === undefined ? `Yank ${version}` : `Unyank ${version}`}
                onClick={() => open({ kind: yanked === undefined ? "yank" : "unyank", version })}
              >
                {yanked === undefined ? "Yank…" : "Unyank…"}
              </button>
            )}
          </>
        )}
      </td>
    </tr>
  );
}
