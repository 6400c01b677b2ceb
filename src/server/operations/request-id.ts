import { randomBytes } from "node:crypto";

const WELL_FORMED = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/;

/** Ids that no other process makes: a random start, and a count. */
export function requestIds(): () => string {
  const start = randomBytes(9).toString("base64url").replaceAll(/[_-]/g, "0");
  let count = 0;
  return () => `${start}-${(++count).toString(36)}`;
}

/** A caller's own id, if it can stand in a log and a header as it is. */
export function givenRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && WELL_FORMED.test(header) ? header : undefined;
}
