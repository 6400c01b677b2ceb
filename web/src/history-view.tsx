import { More, Waiting } from "./parts.tsx";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import { ago, exact } from "./time.ts";
import type { HistoryEntry } from "./types.ts";
import { usePages } from "./use-load.ts";

export function HistoryView({ name }: { readonly name: string }) {
  const { api } = useSession();
  const found = usePages<HistoryEntry>(
    `history ${name}`,
    (limit, cursor, signal) => api.history(name, cursor, limit, signal),
    (changed) => changed === name,
  );
  return (
    <Waiting of={found}>
      {({ items, hasMore }) => (
        <>
          <table class="list history">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">By</th>
                <th scope="col">What</th>
                <th scope="col">Label</th>
                <th scope="col">From → to</th>
                <th scope="col">Message</th>
              </tr>
            </thead>
            <tbody>
              {items.map((entry, i) => (
                <Row key={`${entry.at} ${entry.commit ?? ""} ${i}`} name={name} entry={entry} />
              ))}
            </tbody>
          </table>
          {items.length === 0 && <p class="empty">There are no entries.</p>}
          <More shown={hasMore} onMore={found.more} />
        </>
      )}
    </Waiting>
  );
}

function Row({ name, entry }: { readonly name: string; readonly entry: HistoryEntry }) {
  const { at, by, action, label, from, to, message } = entry;
  const isMove = from !== undefined && to !== undefined && from !== to;
  return (
    <tr>
      <td class="nowrap">
        <time dateTime={at} title={ago(at)}>
          {exact(at)}
        </time>
      </td>
      <td>{by}</td>
      <td>{action}</td>
      <td>{label}</td>
      <td class="num nowrap">
        {isMove ? (
          <a href={promptRoute(name, "diff", { from, to })} title="What that changed">
            {from} → {to}
          </a>
        ) : to !== undefined ? (
          <a href={promptRoute(name, "text", { selector: to })}>{to}</a>
        ) : (
          from
        )}
      </td>
      <td class="message">{message}</td>
    </tr>
  );
}
