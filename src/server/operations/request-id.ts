import { randomBytes } from "node:crypto";

const WELL_FORMED = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/;

const DIGITS = Array.from({ length: 36 }, (_, i) => i.toString(36));
/** All that two digits can say. */
const PAIRS = DIGITS.flatMap((high) => DIGITS.map((low) => high + low));

/** Ids that no other process makes: a random start, and a count. */
export function requestIds(): () => string {
  const start = randomBytes(9).toString("base64url").replaceAll(/[_-]/g, "0");
  let count = 0;
  let prefix = "";
  // A number is written out once for all that share its front.
  return () => {
    const low = count % PAIRS.length;
    if (low === 0) prefix = `${start}-${(count / PAIRS.length).toString(36)}`;
    count++;
    return prefix + PAIRS[low];
  };
}

/** A caller's own id, if it can stand in a log and a header as it is. */
export function givenRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && WELL_FORMED.test(header) ? header : undefined;
}
