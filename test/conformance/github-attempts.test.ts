import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import {
  type GitHubFault,
  type GitHubRequest,
  type GitHubServer,
  startGitHub,
} from "../../src/testing/github/index.ts";
import { askOf, commitOf } from "../../src/testing/index.ts";
import { commitByGit, type Github, git, openGithub, publish } from "../support/github-world.ts";

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.close();
});

const place = () => server.addRepository({ name: `t-${randomUUID()}` });
type Place = Awaited<ReturnType<typeof place>>;

const html = { status: 502, headers: { "content-type": "text/html" }, body: "<html>Unicorn!</html>" };
const LOST: Readonly<Record<string, GitHubFault>> = {
  "that was not carried out": { kind: "reply", ...html },
  "that was carried out": { kind: "reply-after", ...html },
};

/** The one call of a try that can move the branch. */
const moves = ({ method, route, write }: GitHubRequest) => method === "PATCH" || (route === "/graphql" && write);

/** What happens to the tries of which there is one each, counted from 1. */
function faults(choose: (count: number) => GitHubFault | undefined): void {
  let count = 0;
  server.faultWhen((request) => (moves(request) ? choose(++count) : undefined));
}

/** Commit ids in the log, one line each. */
const ids = ({ gitDir }: Place) =>
  git(gitDir, ["log", "--format=%(trailers:key=Prompt-Registry-Commit-Id,valueonly)", "main"])
    .toString()
    .split("\n")
    .filter((line) => line !== "");
const commits = ({ gitDir }: Place) => Number(git(gitDir, ["rev-list", "--count", "main"]).toString());

describe.each(["git", "graphql"] as const)("a lost reply, writes: %s", (writes) => {
  describe.each(Object.entries(LOST))("to a try %s", (_, fault) => {
    it("is not taken for that of a Git commit before, which had the same commit in it and wrote nothing of it", async () => {
      const at = await place();
      const registry = new PromptRegistry(await openGithub(server, at, { writes }));
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "zero\n" });
      // The first is slow, so that both bumps wait for it and become one Git commit; the third try is the second bump's next.
      faults((count) => (count === 1 ? { kind: "delay", ms: 300 } : count === 3 ? fault : undefined));
      const busy = registry.storePrompt({ name: "b", version: "1.0.0", text: "b\n" });
      await new Promise((done) => setTimeout(done, 100));
      const bumped = await Promise.all(
        ["X\n", "Y\n"].map((text) => registry.storePrompt({ name: "a", bump: "minor", text, message: `why ${text}` })),
      );
      await busy;
      server.reset();
      const fresh = new PromptRegistry(await openGithub(server, at));
      for (const { ref, status, digest } of bumped) {
        expect(await fresh.getPrompt(ref)).toMatchObject({ digest });
        expect(status).toBe("created");
      }
      expect((await fresh.listVersions("a").all()).map(({ version }) => version)).toEqual(["1.2.0", "1.1.0", "1.0.0"]);
      // Each is named by the Git commit that did it, and by no other.
      expect(commits(at)).toBe(5);
      expect(new Set(ids(at)).size).toBe(4);
      expect(ids(at)).toHaveLength(4);
      expect(git(at.gitDir, ["log", "-1", "--format=%B", "main~1"]).toString()).not.toContain("why Y");
      await registry.close();
      await fresh.close();
    });

    it("is not taken for that of another part of a batch that is too large for one commit", async () => {
      const at = await place();
      const registry = new PromptRegistry(await openGithub(server, at, { writes }));
      await registry.storePrompt({ name: "first", version: "1.0.0", text: "zero\n" });
      faults((count) => (count === 2 ? fault : undefined));
      const requests = Array.from({ length: 1001 }, (_, i) => ({ name: `p${i}`, version: "1.0.0", text: `t${i}\n` }));
      const stored = await registry.storePrompts(requests);
      server.reset();
      expect(stored.every(({ status }) => status === "created")).toBe(true);
      const fresh = new PromptRegistry(await openGithub(server, at));
      expect(await fresh.listPrompts({ limit: 1000 }).all()).toHaveLength(1002);
      expect((await fresh.getPrompt("p1000@1.0.0")).text).toBe("t1000\n");
      expect(commits(at)).toBe(4);
      await registry.close();
      await fresh.close();
    });
  });

  it("is not taken for that of a commit with the same id, though both were lost", async () => {
    const at = await place();
    const driver = await openGithub(server, at, { writes });
    const [applied, refused] = [LOST["that was carried out"], LOST["that was not carried out"]];
    faults((count) => (count === 1 ? applied : count === 2 ? refused : undefined));
    for (const name of ["a", "b"]) {
      expect((await driver.commit(commitOf([publish(name, "1.0.0")], { id: "one" })))[0]?.status).toBe("done");
    }
    server.reset();
    const again = await openGithub(server, at);
    const answers = await again.read([askOf("a", "1.0.0"), askOf("b", "1.0.0")]);
    expect(answers.map(({ status }) => status)).toEqual(["found", "found"]);
    expect(commits(at)).toBe(3);
    await driver.close();
    await again.close();
  });

  it("to a try that is carried out late, after the branch was looked at, writes nothing twice", async () => {
    const at = await place();
    const { driver, hold } = await holding(at);
    await driver.commit(commitOf([publish("first", "1.0.0")]));
    const late = hold();
    const [outcome] = await driver.commit(commitOf([publish("a", "1.0.0")]));
    expect(late.tries).toBe(2);
    expect(outcome?.status).toBe("done");
    expect(commits(at)).toBe(3);
    await driver.close();
  });

  it("to a try that more commits followed than GitHub tells is unknown, also where a reader has seen them first", async () => {
    const at = await place();
    let isLost = false;
    const fetch: Fetch = async (input, init) => {
      const reply = await globalThis.fetch(input, init);
      if (!isLost || !isMove(input, init)) return reply;
      isLost = false;
      many(at, 251);
      await driver.listPrompts({ limit: 1 });
      throw new TypeError("fetch failed");
    };
    const driver = await openGithub(server, at, { writes, fetch });
    await driver.commit(commitOf([publish("first", "1.0.0")]));
    isLost = true;
    const told = await driver.commit(commitOf([publish("a", "1.0.0")])).catch((error: unknown) => error);
    // Surely not that somebody else's is in the way.
    expect(isRegistryError(told) && told.outcome).toBe("unknown");
    await driver.close();
  });

  /** A driver whose next try breaks off at once, and is carried out right before the one after it. */
  async function holding(at: Place): Promise<{ driver: Github; hold: () => { tries: number } }> {
    let seen: { tries: number } | undefined;
    let late: (() => Promise<Response>) | undefined;
    const fetch: Fetch = async (input, init) => {
      if (seen === undefined || !isMove(input, init)) return globalThis.fetch(input, init);
      if (++seen.tries === 1) {
        const { signal: _, ...rest } = init ?? {};
        late = () => globalThis.fetch(input, rest);
        // Git's time has seconds: within one the next try would be the very same commit.
        await new Promise((done) => setTimeout(done, 1100));
        throw new TypeError("fetch failed");
      }
      expect((await late?.())?.ok).toBe(true);
      late = undefined;
      return globalThis.fetch(input, init);
    };
    const driver = await openGithub(server, at, { writes, fetch });
    return {
      driver,
      hold: () => {
        seen = { tries: 0 };
        return seen;
      },
    };
  }
});

type Fetch = typeof globalThis.fetch;
const isMove = (input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]) =>
  init?.method === "PATCH" || (String(input).endsWith("/graphql") && String(init?.body).includes("mutation("));

/** Commits of somebody else, made by one call of Git. */
function many({ gitDir }: Place, count: number): void {
  commitByGit(gitDir, "main", [{ path: "README.md", bytes: "0\n" }]);
  const one = (i: number) =>
    `commit refs/heads/main\ncommitter hand <hand@example.org> 1800000000 +0000\ndata 1\nx\n` +
    `${i === 1 ? "from refs/heads/main^0\n" : ""}M 100644 inline README.md\ndata ${String(i).length}\n${i}\n`;
  const input = Array.from({ length: count - 1 }, (_, i) => one(i + 1)).join("");
  git(gitDir, ["fast-import", "--quiet"], { input });
}
