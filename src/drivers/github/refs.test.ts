import { describe, expect, it } from "vitest";
import { createClient } from "./client.ts";
import { type GithubOptions, resolveOptions } from "./options.ts";
import { moveBranch } from "./refs.ts";

const [FROM, TO] = ["a".repeat(40), "b".repeat(40)];

interface Sent {
  readonly query: string;
  readonly variables: { readonly input?: { readonly repositoryId: string; readonly refUpdates: readonly object[] } };
}

/** A server that answers the mutation so, and a client of it. */
async function world(answer: unknown, options: Partial<GithubOptions> = {}, status = 200) {
  const sent: Sent[] = [];
  const fetch: typeof globalThis.fetch = async (_, init) => {
    const body = JSON.parse(String(init?.body)) as Sent;
    sent.push(body);
    const id = { data: { repository: { id: "R_1" } } };
    const isMutation = body.query.startsWith("mutation");
    return new Response(JSON.stringify(isMutation ? answer : id), {
      status: isMutation ? status : 200,
      headers: { "content-type": "application/json" },
    });
  };
  const client = await createClient(resolveOptions({ owner: "o", repo: "r", token: "ghp_secret", fetch, ...options }));
  const ask = { branch: "x/y", from: FROM as string, operation: "moving the branch" };
  const move = () => moveBranch(client, { ...ask, to: TO });
  const remove = () => moveBranch(client, { ...ask, to: undefined });
  return { move, remove, sent };
}

const DONE = { data: { updateRefs: { clientMutationId: null } } };
const error = (message: string, type?: string) => ({ errors: [{ message, ...(type === undefined ? {} : { type }) }] });

describe("a branch", () => {
  it("is moved from the commit that was seen, and removed by an id of zeros; the repository is asked for once", async () => {
    const { move, remove, sent } = await world(DONE);
    expect([await move(), await move(), await remove()]).toEqual(Array(3).fill({ status: "moved" }));
    const update = { name: "refs/heads/x/y", beforeOid: FROM, afterOid: TO, force: true };
    expect(sent.map(({ variables }) => variables.input)).toEqual([
      undefined,
      { repositoryId: "R_1", refUpdates: [update] },
      { repositoryId: "R_1", refUpdates: [update] },
      { repositoryId: "R_1", refUpdates: [{ ...update, afterOid: "0".repeat(40) }] },
    ]);
  });

  it.each([
    error(
      "Something went wrong while executing your query on 2026-09-27T02:18:29Z. Please include `1` when reporting.",
    ),
    { data: { updateRefs: null }, ...error("Expected it elsewhere", "STALE_DATA") },
    { data: { updateRefs: null }, ...error("Reference cannot be updated", "UNPROCESSABLE") },
  ])("that was not moved is to be looked at again, whatever is said: %j", async (answer) => {
    const said = (answer as ReturnType<typeof error>).errors[0]?.message;
    expect(await (await world(answer)).move()).toEqual({ status: "refused", said });
  });

  it.each([
    ["Field 'updateRefs' doesn't exist on type 'Mutation'", {}, 200],
    ["UpdateRefsInput isn't a defined input type (on $input)", { graphql: "on" }, 200],
    ['Unknown type "UpdateRefsInput". Did you mean "UpdateRefInput"?', {}, 200],
    ["Not Found", {}, 404],
  ] as const)("can't be moved so where the server does not know how: %s", async (message, options, status) => {
    const answer = status === 404 ? { message } : error(message);
    const { move, sent } = await world(answer, options, status);
    expect(await move()).toEqual({ status: "unsupported" });
    // That there is no GraphQL at all is remembered.
    await move();
    expect(sent).toHaveLength(status === 404 ? 2 : 3);
  });

  it("is not asked for by GraphQL where that is off, and not by anything else where it is on", async () => {
    const { move, sent } = await world(DONE, { graphql: "off" });
    expect([await move(), sent]).toEqual([{ status: "unsupported" }, []]);
    await expect((await world({ message: "Not Found" }, { graphql: "on" }, 404)).move()).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  });

  it.each([
    [error("Resource not accessible by personal access token", "FORBIDDEN"), "FORBIDDEN", "final"],
    [error("The 'updateRefs' field requires one of the following scopes", "INSUFFICIENT_SCOPES"), "FORBIDDEN", "final"],
    [
      error("Repository rule violations found\n\nCannot force-push to this branch", "UNPROCESSABLE"),
      "FORBIDDEN",
      "final",
    ],
    [error("API rate limit exceeded", "RATE_LIMITED"), "RATE_LIMITED", "temporary"],
    [{ data: { updateRefs: null } }, "UNAVAILABLE", "unknown"],
  ] as const)("%j is %s", async (answer, code, outcome) => {
    const { move } = await world(answer);
    const thrown: unknown = await move().catch((wrong: unknown) => wrong);
    expect(thrown).toMatchObject({ code, outcome });
    expect(String(thrown)).not.toContain("ghp_secret");
  });
});
