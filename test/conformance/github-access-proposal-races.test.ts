import { describe, expect, it } from "vitest";
import { markOwn } from "../../src/github/own-commit.ts";
import { proposing } from "../../src/github/proposing.ts";
import { PromptRegistry } from "../../src/registry.ts";
import type { GitHubRequest } from "../../src/testing/github/index.ts";
import { proposalTeam } from "../support/github-proposals.ts";
import { commitByGit, fileAt, git } from "../support/github-world.ts";

const team = proposalTeam();
const { tip, branches, cli, pulls } = team;
const BRANCH = "prompt-registry/support/triage/-/publish";
const FILE = "prompts/support/triage/v1.0.0.md";

const isMutation = ({ route, body }: GitHubRequest) => route === "/graphql" && body.includes("updateRefs");
const isRest = ({ method, url }: GitHubRequest) =>
  (method === "PATCH" || method === "DELETE") && url.includes("/git/refs/heads/prompt-registry/");
/** A branch of a proposal is about to be moved or removed, by whatever call. */
const moves = (request: GitHubRequest) => isMutation(request) || isRest(request);

/** Runs right before GitHub carries out a call that moves a branch, after the client's last look at it. */
function inBetween(run: () => void, times = 1): { readonly calls: number } {
  const told = { calls: 0 };
  team.server.faultWhen((request) => {
    if (moves(request) && ++told.calls <= times) run();
    return undefined;
  });
  return told;
}

const byHand = (message?: string) =>
  commitByGit(team.place.gitDir, BRANCH, [{ path: `${FILE}.note`, bytes: `${Math.random()}` }], message);
/** As the same command on another machine would leave it. */
function byAnother(): void {
  byHand();
  const { gitDir } = team.place;
  const said = (...args: readonly string[]) =>
    git(gitDir, [...args])
      .toString()
      .trim();
  const tree = said("rev-parse", `${BRANCH}^{tree}`);
  const message = markOwn("support/triage: publish 1.0.0\n\nPrompt-Registry-Commit-Id: another", tree);
  const author = ["-c", "user.name=another", "-c", "user.email=another@example.org"];
  const made = said(...author, "commit-tree", tree, "-p", `${BRANCH}^`, "-m", message);
  git(gitDir, ["update-ref", `refs/heads/${BRANCH}`, made]);
}

const ahead = () =>
  git(team.place.gitDir, ["rev-list", "--count", `main..${BRANCH}`])
    .toString()
    .trim();

const asJson = (status: number, body: unknown) => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8" },
  body: JSON.stringify(body),
});
const GENERAL = asJson(200, { errors: [{ message: "Something went wrong while executing your query." }] });

describe("a proposal that is moved", () => {
  it("keeps what a person pushed after it was looked at", async () => {
    const { push } = cli();
    expect((await push("one\n", "--propose")).code).toBe(0);
    const told = inBetween(() => byHand());
    const refused = await push("two\n", "--propose");
    expect([refused.code, refused.err], refused.all).toEqual([4, expect.stringContaining("somebody added commits")]);
    expect(told.calls).toBe(1);
    expect([ahead(), fileAt(team.place.gitDir, BRANCH, FILE).toString()]).toEqual([
      "2",
      expect.stringContaining("one\n"),
    ]);
    expect((await pulls()).map(({ title }) => title)).toEqual(["support/triage: publish 1.0.0"]);
  });

  it("goes on where it was another proposer who came in between", async () => {
    const { push } = cli();
    expect((await push("one\n", "--propose")).code).toBe(0);
    const told = inBetween(byAnother);
    const moved = await push("two\n", "--propose");
    expect([moved.code, moved.out], moved.all).toEqual([0, expect.stringMatching(/^#1 updated: /)]);
    expect(told.calls).toBe(2);
    expect([ahead(), fileAt(team.place.gitDir, BRANCH, FILE).toString()]).toEqual([
      "1",
      expect.stringContaining("two\n"),
    ]);
  });

  /** Without the command line's layers, which try again what is temporary. */
  async function propose(text: string): Promise<unknown> {
    const { driver } = await proposing(team.options(), BRANCH);
    const registry = new PromptRegistry(driver, { author: "ada" });
    const stored = registry.storePrompt({ name: "support/triage", version: "1.0.0", text });
    return await stored.finally(() => registry.close()).catch((error: unknown) => error);
  }

  it("gives up where others move it all the time, and has undone nothing of theirs", async () => {
    await propose("one\n");
    const told = inBetween(byAnother, Number.POSITIVE_INFINITY);
    const message = expect.stringContaining("others move the branch");
    expect(await propose("two\n")).toMatchObject({ code: "CONFLICT", outcome: "temporary", message });
    expect([told.calls, ahead()]).toEqual([4, "5"]);
  });

  it("says so where GitHub does not move it and does not say why", async () => {
    await propose("one\n");
    const before = tip(BRANCH);
    team.server.fail(isMutation, { kind: "reply", ...GENERAL });
    const message = expect.stringContaining("Something went wrong");
    expect(await propose("two\n")).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary", message });
    expect(tip(BRANCH)).toBe(before);
  });

  it.each([
    ["drop-after", { kind: "drop-after" }],
    ["drop-before", { kind: "drop-before" }],
    ["an error, though it was done", { kind: "reply-after", ...GENERAL }],
  ] as const)("is found where it is after a lost reply: %s", async (_, fault) => {
    const { push } = cli();
    expect((await push("one\n", "--propose")).code).toBe(0);
    let hits = 0;
    team.server.fail((request) => isMutation(request) && ++hits === 1, fault);
    const moved = await push("two\n", "--propose");
    expect([moved.code, moved.out], moved.all).toEqual([0, expect.stringMatching(/^#1 updated: /)]);
    expect(hits).toBeGreaterThan(0);
    expect([ahead(), fileAt(team.place.gitDir, BRANCH, FILE).toString()]).toEqual([
      "1",
      expect.stringContaining("two\n"),
    ]);
  });

  it("is looked at once more after the last refusal, which may have done it", async () => {
    await propose("one\n");
    let hits = 0;
    team.server.fail((request) => isMutation(request) && ++hits < 4, { kind: "reply", ...GENERAL });
    team.server.fail((request) => isMutation(request) && hits === 4, { kind: "reply-after", ...GENERAL });
    await propose("two\n");
    expect(hits).toBe(4);
    expect(fileAt(team.place.gitDir, BRANCH, FILE).toString()).toContain("two\n");
  });

  it("is not moved while GitHub does not tell what is on it", async () => {
    await propose("one\n");
    byHand();
    const hand = tip(BRANCH);
    // A replica that has not got the commit yet.
    let hits = 0;
    const lags = (times: number) =>
      team.server.faultWhen(({ url }) =>
        /\/compare\/main\.\.\.[0-9a-f]{40}$/.test(url) && ++hits <= times
          ? { kind: "reply", ...asJson(404, { message: "Not Found" }) }
          : undefined,
      );
    lags(1);
    const message = expect.stringContaining("somebody added commits");
    expect(await propose("two\n")).toMatchObject({ code: "CONFLICT", outcome: "final", message });
    lags(Number.POSITIVE_INFINITY);
    expect(await propose("two\n")).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    expect(tip(BRANCH)).toBe(hand);
  });

  it.each(["an older server", "graphql: off"] as const)("is moved by force without the mutation: %s", async (kind) => {
    const { push, run } = cli(kind === "graphql: off" ? { graphql: "off" } : {});
    expect((await push("one\n", "--propose")).code).toBe(0);
    const message = "Field 'updateRefs' doesn't exist on type 'Mutation'";
    team.server.fail(isMutation, { kind: "reply", ...asJson(200, { errors: [{ message }] }) });
    const moved = await push("two\n", "--propose");
    expect([moved.code, moved.out], moved.all).toEqual([0, expect.stringMatching(/^#1 updated: /)]);
    expect(fileAt(team.place.gitDir, BRANCH, FILE).toString()).toContain("two\n");
    expect((await run("proposal", "close", "1")).code).toBe(0);
    expect(branches()).toEqual(["main"]);
    const told = team.server.requests.filter(moves).map(({ method }) => method);
    expect(told).toEqual(kind === "graphql: off" ? ["PATCH", "DELETE"] : ["POST", "PATCH", "POST", "DELETE"]);
  });
});

describe("the branch of a proposal that is merged or closed", () => {
  it.each(["close", "merge"] as const)("stays where somebody pushed to it meanwhile: %s", async (action) => {
    const { push, run } = cli();
    expect((await push("one\n", "--propose")).code).toBe(0);
    const told = inBetween(() => byHand());
    const ran = await run("proposal", action, "1");
    expect([ran.code, ran.out], ran.all).toEqual([0, expect.stringMatching(/^#1 (?:closed|merged): /)]);
    expect(told.calls).toBe(1);
    expect(branches()).toEqual(["main", BRANCH]);
    expect(git(team.place.gitDir, ["log", "-1", "--format=%s", BRANCH]).toString()).toBe("by hand\n");
  });

  it.each(["close", "merge"] as const)("is removed in one call: %s", async (action) => {
    const { push, run } = cli();
    expect((await push("one\n", "--propose")).code).toBe(0);
    team.server.reset();
    expect((await run("proposal", action, "1")).code).toBe(0);
    expect(team.server.requests.filter(moves).map(({ route }) => route)).toEqual(["/graphql"]);
    expect(branches()).toEqual(["main"]);
  });
});
