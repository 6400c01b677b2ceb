import type { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { isGrantedSomewhere } from "../access/grants.ts";
import { StatusError } from "../protocol/problem.ts";
import type { Access, Principal, Resource, Right } from "../types.ts";

/** A refusal that depends on who asks; written to the audit log. */
export class Denied extends StatusError {}

/**
 * What somebody is told who may not do it. Who may not read a prompt is told the same whether or not it is there; who may
 * read it is told what is missing. Nobody in particular is asked for credentials.
 */
export function denial(access: Access, principal: Principal, right: Right, resource: Resource): RegistryError {
  const { name, label } = resource;
  if (principal.id === "anonymous") {
    return new Denied(401, "UNAUTHENTICATED", "credentials are needed for this; send a token as Authorization: Bearer");
  }
  if (name !== undefined && !access.allows(principal, "read", { name })) {
    return new Denied(404, "NOT_FOUND", `there is no prompt ${name}; list the names to see what there is`, { name });
  }
  const what = name === undefined ? "this registry" : label === undefined ? name : `label ${label} of ${name}`;
  return new Denied(403, "FORBIDDEN", `these credentials do not have the right to ${right} on ${what}`, {
    ...(name === undefined ? {} : { name }),
    ...(label === undefined ? {} : { label }),
  });
}

export function require(access: Access, principal: Principal, right: Right, resource: Resource): void {
  if (!access.allows(principal, right, resource)) throw denial(access, principal, right, resource);
}

const CHANGING: readonly Right[] = ["write", "promote", "import", "admin"];

/** Whether the principal has any right to change this prompt, be it only one label of it. */
export function mayChange(access: Access, principal: Principal, name: PromptName): boolean {
  if (CHANGING.some((right) => access.allows(principal, right, { name }))) return true;
  const labels = principal.grants.flatMap((grant) => grant.labels ?? []);
  return labels.some((label) => access.allows(principal, "promote", { name, label }));
}

/** Whether the principal may change anything at all. */
export function mayChangeSomething(access: Access, principal: Principal): boolean {
  return CHANGING.some((right) => access.allows(principal, right, {}) || isGrantedSomewhere(principal, right));
}

/** `true` for names that the principal may read. */
export function readable(access: Access, principal: Principal): (name: PromptName) => boolean {
  return (name) => access.allows(principal, "read", { name });
}

const EVERYBODY: Principal = Object.freeze({
  id: "anyone",
  name: "anyone",
  grants: (["read", "write", "promote", "import", "admin"] as const).map((right) => ({ right, prefix: "" })),
});

/**
 * Lets everybody do everything, without credentials: for tests, and for a server that only its own machine can reach.
 *
 * @param name who is recorded as the author of changes. Default `anyone`
 * @example
 * const handler = createHandler(registry, { access: openAccess() });
 */
export function openAccess(name = "anyone"): Access {
  const principal = Object.freeze({ ...EVERYBODY, name });
  return {
    authenticate: async () => principal,
    remembered: () => principal,
    allows: () => true,
  };
}
