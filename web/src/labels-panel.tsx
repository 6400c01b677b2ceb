import { useActions } from "./actions.tsx";
import { may, mayPromoteSome } from "./grants.ts";
import { promptRoute } from "./route.ts";
import { useSession } from "./session.tsx";
import type { HeadState } from "./types.ts";

/** What callers resolve, and the buttons that move it. */
export function LabelsPanel({ name, state }: { readonly name: string; readonly state: HeadState }) {
  const { service } = useSession();
  const open = useActions();
  const { principal, capabilities } = service;
  const { labels, pin, deprecated } = state.head;
  const rows = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const mayMove = (label?: string) => capabilities.write && may(principal, "promote", name, label);
  const { latest } = state;
  return (
    <section class="panel">
      <h2>Labels</h2>
      <table class="list pointers">
        <tbody>
          <tr>
            <th scope="row">
              <a href={promptRoute(name)}>latest</a>
            </th>
            <td class="num">{latest ?? "none"}</td>
            <td class="right">
              {mayMove() && latest !== undefined && (
                <button type="button" class="small" onClick={() => open({ kind: "rollback", state })}>
                  Roll back…
                </button>
              )}
            </td>
          </tr>
          {rows.map(([label, version]) => (
            <tr key={label}>
              <th scope="row">
                <a href={promptRoute(name, "text", { selector: label })}>{label}</a>
              </th>
              <td class="num">
                {version}
                {state.head.yanked[version] !== undefined && <span class="faint"> yanked</span>}
              </td>
              <td class="right">
                {mayMove(label) && (
                  <>
                    <button
                      type="button"
                      class="small"
                      aria-label={`Move ${label}`}
                      onClick={() => open({ kind: "move", label })}
                    >
                      Move…
                    </button>{" "}
                    <button
                      type="button"
                      class="small quiet"
                      aria-label={`Remove ${label}`}
                      onClick={() => open({ kind: "unlabel", label, version })}
                    >
                      Remove…
                    </button>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {pin !== undefined && (
        <p class="pinned">
          latest is pinned to <span class="num">{pin}</span> by a rollback.{" "}
          {mayMove() && (
            <button type="button" class="small" onClick={() => open({ kind: "unpin", state })}>
              Unpin…
            </button>
          )}
        </p>
      )}
      {capabilities.write && mayPromoteSome(principal, name) && (
        <p class="row">
          <button type="button" class="small" onClick={() => open({ kind: "move" })}>
            Set a label…
          </button>
          {mayMove() && (
            <button
              type="button"
              class="small quiet"
              onClick={() => open(deprecated === undefined ? { kind: "deprecate" } : { kind: "undeprecate" })}
            >
              {deprecated === undefined ? "Deprecate…" : "Lift deprecation…"}
            </button>
          )}
        </p>
      )}
    </section>
  );
}
