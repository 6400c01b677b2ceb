import type { RouteSpec } from "../protocol/routes.ts";
import { Denied } from "./authorize.ts";

/**
 * Refuses what a browser says another site's page has sent. A program says neither of these headers, and a browser lets no
 * page write them.
 *
 * Browsers send what changes something (JSON, PUT, DELETE) to another origin only after asking whether they may, and are never
 * told so; this holds where one does not ask, as with rules that are relaxed for local networks, or a fault of its own. What an
 * administrator alone may do is no less: to check a storage writes to it.
 *
 * @throws Denied FORBIDDEN
 */
export function checkOrigin({ headers, url }: Request, { mutates, right }: RouteSpec): void {
  if (mutates !== true && right !== "admin") return;
  const site = headers.get("sec-fetch-site");
  if (site === "same-origin" || site === "none") return;
  // Not sent over plain HTTP to another machine.
  const origin = site === null ? headers.get("origin") : undefined;
  if (origin === null || (origin !== undefined && isOf(origin, headers.get("host") ?? new URL(url).host))) return;
  const detail =
    "this was sent by a page of another site, or by a proxy that changes Host; only this server's own page may";
  throw new Denied(403, "FORBIDDEN", detail, { field: "origin" });
}

function isOf(origin: string, host: string): boolean {
  try {
    const { protocol } = new URL(origin);
    return new URL(`${protocol}//${host}`).origin === origin;
  } catch {
    return false;
  }
}
