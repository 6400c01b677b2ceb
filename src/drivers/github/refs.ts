import { isRegistryError, RegistryError } from "../../errors.ts";
import type { Client, GraphqlError, GraphqlReply } from "./client.ts";
import { broken, refusal, type What } from "./failure.ts";

/**
 * - `moved`: the branch is where it was to go
 * - `refused`: it was not moved; mostly as it was somewhere else by then. GitHub gives no other answer for that than for
 *   what went wrong on its side (https://github.com/orgs/community/discussions/213655), so who asks has to look again
 * - `unsupported`: there is no GraphQL, or it is too old for this
 */
export type Move =
  | { readonly status: "moved" }
  | { readonly status: "refused"; readonly said: string }
  | { readonly status: "unsupported" };

interface Ask {
  readonly branch: string;
  /** The commit that was looked at. */
  readonly from: string;
  /** `undefined` removes the branch. */
  readonly to: string | undefined;
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
}

const REPOSITORY = "query($owner: String!, $repo: String!) { repository(owner: $owner, name: $repo) { id } }";
const MUTATION = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
const UNSUPPORTED: Move = { status: "unsupported" };

/**
 * Sets a branch to any commit, or removes it, if it still is where it was seen: what REST can't do, whose `force` takes
 * whatever is there. https://docs.github.com/graphql/reference/mutations#updaterefs
 *
 * @throws RegistryError with the outcome `unknown` when it may have happened all the same; RATE_LIMITED also where REST would
 * take more, as to move it unseen is no way out
 */
export async function moveBranch(client: Client, { branch, from, to, operation, signal }: Ask): Promise<Move> {
  const { graphql, location } = client.settings;
  if (graphql === "off" || client.noGraphql) return UNSUPPORTED;
  let reply: GraphqlReply;
  try {
    const repositoryId = await idOf(client, operation, signal);
    const ref = { name: `refs/heads/${branch}`, beforeOid: from, afterOid: to ?? "0".repeat(from.length), force: true };
    const input = { repositoryId, refUpdates: [ref] };
    reply = await client.graphql(MUTATION, { input }, { operation, mutates: true, signal });
  } catch (error) {
    if (graphql === "on" || !isRegistryError(error, "UNSUPPORTED")) throw error;
    client.noGraphql = true;
    return UNSUPPORTED;
  }
  const [error] = reply.errors;
  if (error !== undefined) return refused(reply.errors, error, { operation, location, mutates: false });
  if (typeof reply.data.updateRefs === "object" && reply.data.updateRefs !== null) return { status: "moved" };
  throw broken("got an answer that is none of GitHub's", { operation, location, mutates: true });
}

/** They never change. */
const ids = new WeakMap<Client, string>();

async function idOf(client: Client, operation: string, signal: AbortSignal | undefined): Promise<string> {
  const known = ids.get(client);
  if (known !== undefined) return known;
  const { owner, repo, location } = client.settings;
  const reply = await client.graphql(REPOSITORY, { owner, repo }, { operation, signal });
  const id = (reply.data.repository as { id?: unknown } | null | undefined)?.id;
  if (typeof id === "string") {
    ids.set(client, id);
    return id;
  }
  const what = { operation, location, mutates: false };
  const [error] = reply.errors;
  if (error !== undefined) throw forbidden(error, what) ?? broken(`failed: ${wordsOf(error)}`, what);
  throw broken("got an answer that is none of GitHub's", what);
}

const NO_SUCH = /(?:doesn't exist|isn't a defined|cannot query field|unknown type)/i;
const RULE = /rule violation|protected branch|through a pull request|cannot force-push/i;

function refused(errors: readonly GraphqlError[], first: GraphqlError, what: What): Move {
  if (errors.some(({ message = "" }) => NO_SUCH.test(message) && /updateRefs/i.test(message))) return UNSUPPORTED;
  const error = forbidden(first, what);
  if (error !== undefined) throw error;
  const said = wordsOf(first);
  if (!RULE.test(said)) return { status: "refused", said };
  const { message, context } = refusal({ status: 422, headers: {}, data: { message: said } }, what);
  throw new RegistryError("FORBIDDEN", `${message}; rules of the branch keep it from being moved`, {
    ...context,
    outcome: "final",
  });
}

/** Errors come with status 200, and those of a missing right have a type. */
function forbidden(error: GraphqlError, what: What): RegistryError | undefined {
  if (!["FORBIDDEN", "NOT_FOUND", "INSUFFICIENT_SCOPES"].includes(error.type ?? "")) return undefined;
  return refusal({ status: 403, headers: {}, data: { message: wordsOf(error) } }, what);
}

function wordsOf({ message, type }: GraphqlError): string {
  return message ?? String(type);
}
