import { matchPath } from "../protocol/path.ts";
import { StatusError } from "../protocol/problem.ts";
import { ROUTES, type RouteSpec } from "../protocol/routes.ts";

export interface FoundRoute {
  readonly route: RouteSpec;
  /** The parts of the path, unchecked. */
  readonly found: Readonly<Record<string, string>>;
}

/** @throws StatusError NOT_FOUND (404) for a path that is none; INVALID (405) for another method */
export function findRoute(method: string, path: string): FoundRoute {
  const wanted = method === "HEAD" ? "GET" : method;
  const allowed: string[] = [];
  for (const route of ROUTES as readonly RouteSpec[]) {
    const found = matchPath(route.path, path);
    if (found === undefined) continue;
    if (route.method === wanted) return { route, found };
    allowed.push(...(route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
  }
  if (allowed.length === 0) {
    throw new StatusError(404, "NOT_FOUND", "there is nothing at this path; see /openapi.json", { field: "path" });
  }
  throw new StatusError(405, "INVALID", `this path takes ${allowed.join(", ")}`, {
    field: "method",
    headers: { Allow: allowed.join(", ") },
  });
}
