import type { Grant, Principal, Right } from "./types.ts";

/** Whole segments, as the server reads them: `support` covers `support/triage` and never `supporters`. */
export function covers(prefix: string, name: string): boolean {
  if (prefix === "") return true;
  return name.startsWith(prefix) && (name.length === prefix.length || name[prefix.length] === "/");
}

/**
 * Whether these grants seem to allow this. The server has the last word: it alone knows which labels are protected, and
 * a grant of `promote` that names no labels is taken here for one that moves all of them.
 */
export function may(principal: Principal, right: Right, name: string, label?: string): boolean {
  return principal.grants.some((grant) => holds(grant, right, name, label));
}

function holds({ right: own, prefix, labels }: Grant, right: Right, name: string, label: string | undefined): boolean {
  if (!covers(prefix, name)) return false;
  if (own === "admin") return labels === undefined;
  if (own !== right) return false;
  if (labels === undefined) return true;
  return own === "promote" && label !== undefined && labels.includes(label);
}

/** Whether some label of this prompt may be moved, be it only one that is named. */
export function mayPromoteSome(principal: Principal, name: string): boolean {
  return principal.grants.some(
    (grant) => covers(grant.prefix, name) && (grant.right === "admin" || grant.right === "promote"),
  );
}

/** Whether there is anything that this right is held for. */
export function maySomewhere(principal: Principal, right: Right): boolean {
  return principal.grants.some((grant) => grant.right === right || grant.right === "admin");
}

export function describeGrant({ right, prefix, labels }: Grant): string {
  const where = prefix === "" ? "every prompt" : `${prefix} and below`;
  return labels === undefined ? `${right}: ${where}` : `${right}: ${labels.join(", ")} of ${where}`;
}
