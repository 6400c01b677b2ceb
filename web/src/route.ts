import { nameProblem } from "./names.ts";

/**
 * Where in the page one is, kept in the fragment so that the page works below any path of any proxy.
 *
 * `#/p/support/triage/diff?from=production&to=latest`. A prompt may itself be called `x/history`: its own page is then
 * written with the separator of the protocol, `#/p/x/history/-/text`.
 */
export type View = "text" | "versions" | "history" | "diff" | "new";

export type Route =
  | { readonly page: "list"; readonly prefix: string; readonly text: string }
  | { readonly page: "create"; readonly name: string }
  | {
      readonly page: "prompt";
      readonly name: string;
      readonly view: View;
      /** A version, a label or `latest`; absent: `latest`. */
      readonly selector?: string;
      readonly from?: string;
      readonly to?: string;
    }
  | { readonly page: "unknown"; readonly path: string };

const MAX_PREFIX = 200;
const VIEWS: readonly string[] = ["text", "versions", "history", "diff", "new"];
const SHORT_VIEWS: readonly string[] = VIEWS.filter((view) => view !== "text");

/** @param hash with or without its `#` */
export function parseRoute(hash: string): Route {
  const target = hash.replace(/^#/, "");
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1));
  if (path === "" || path === "/") {
    const prefix = query.get("prefix") ?? "";
    if (prefix.length > MAX_PREFIX) return { page: "unknown", path };
    return { page: "list", prefix, text: query.get("text") ?? "" };
  }
  if (path === "/new") return { page: "create", name: query.get("name") ?? "" };
  if (!path.startsWith("/p/")) return { page: "unknown", path };
  const { name, view } = splitView(path.slice(3));
  // What can't be a name is asked of nobody.
  if (nameProblem(name) !== undefined || view === undefined) return { page: "unknown", path };
  const [selector, from, to] = ["v", "from", "to"].map((key) => query.get(key) || undefined);
  return {
    ...{ page: "prompt", name, view },
    ...(selector === undefined ? {} : { selector }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

function splitView(rest: string): { readonly name: string; readonly view: View | undefined } {
  const at = rest.indexOf("/-/");
  if (at >= 0) {
    const view = rest.slice(at + 3);
    return { name: rest.slice(0, at), view: VIEWS.includes(view) ? (view as View) : undefined };
  }
  const slash = rest.lastIndexOf("/");
  const last = rest.slice(slash + 1);
  if (slash > 0 && SHORT_VIEWS.includes(last)) return { name: rest.slice(0, slash), view: last as View };
  return { name: rest, view: "text" };
}

export function formatRoute(route: Route): string {
  switch (route.page) {
    case "list":
      return `#/${queryOf({ prefix: route.prefix, text: route.text })}`;
    case "create":
      return `#/new${queryOf({ name: route.name })}`;
    case "prompt": {
      const { name, view, selector, from, to } = route;
      const isAmbiguous = SHORT_VIEWS.includes(name.slice(name.lastIndexOf("/") + 1)) && name.includes("/");
      const path = view === "text" ? (isAmbiguous ? "/-/text" : "") : `/${view}`;
      return `#/p/${name}${path}${queryOf({ v: selector, from, to })}`;
    }
    case "unknown":
      return `#${route.path}`;
  }
}

/** Names and selectors keep their slashes and carets where a fragment may have them: these addresses are read by people. */
function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const parts = Object.entries(values)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${encodeURIComponent(value as string).replaceAll("%2F", "/")}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

export const listRoute = (prefix = "", text = ""): string => formatRoute({ page: "list", prefix, text });

export function promptRoute(
  name: string,
  view: View = "text",
  rest: { readonly selector?: string; readonly from?: string; readonly to?: string } = {},
): string {
  return formatRoute({ page: "prompt", name, view, ...rest });
}

export function titleOf(route: Route): string {
  const parts = { text: "", versions: "versions", history: "history", diff: "diff", new: "new version" };
  const own =
    route.page === "list"
      ? route.prefix || "Prompts"
      : route.page === "create"
        ? "New prompt"
        : route.page === "prompt"
          ? [parts[route.view], `${route.name}${route.selector === undefined ? "" : `@${route.selector}`}`]
              .filter((part) => part !== "")
              .join(" · ")
          : "Not found";
  return `${own} · prompt-registry`;
}
