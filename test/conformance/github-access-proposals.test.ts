import { describe, expect, it } from "vitest";
import { githubProposals } from "../../src/github/proposals.ts";
import { proposing } from "../../src/github/proposing.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { proposalTeam } from "../support/github-proposals.ts";
import { commitByGit, fileAt, git } from "../support/github-world.ts";

const team = proposalTeam();
const { options, open, tip, branches, cli, api, pulls } = team;
const BRANCH = "prompt-registry/support/triage/-/publish";

describe("push --propose", () => {
  it("opens one pull request, updates the same one, and publishes when it is merged", async () => {
    const { run, push } = cli();
    const registry = await open();
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "Sort: {{ticket}}\n" });
    const main = tip("main");
    const first = await push(
      "Sort `well`: {{ticket}}\n",
      "--propose",
      "--bump",
      "minor",
      "-m",
      "by whom @all",
      "--json",
    );
    expect(first.code, first.all).toBe(0);
    const { status, proposal } = first.json<{
      status: string;
      proposal: { number: number; sha: string; branch: string };
    }>();
    expect([status, proposal.branch, proposal.sha]).toEqual(["opened", BRANCH, tip(BRANCH)]);
    expect(tip("main")).toBe(main);
    // The commit is the one that the driver would have written.
    expect(
      git(team.place.gitDir, ["rev-parse", `${BRANCH}^`])
        .toString()
        .trim(),
    ).toBe(main);
    const log = git(team.place.gitDir, ["log", "-1", "--format=%an|%s|%b", BRANCH]).toString();
    expect(log).toMatch(/^ada\|support\/triage: publish 1\.1\.0\|by whom @all\n\nPrompt-Registry-Commit-Id: /);
    const [pull] = await pulls();
    expect(pull.title).toBe("support/triage: publish 1.1.0");
    for (const part of [
      "a **minor** step after 1.0.0",
      "```diff",
      "+Sort `well`: {{ticket}}",
      "```text\nby whom @all\n```",
    ]) {
      expect(pull.body).toContain(part);
    }
    // The same again changes nothing; another text, or another bump, updates it.
    const again = await push("Sort `well`: {{ticket}}\n", "--propose", "--bump", "minor", "-m", "by whom @all");
    expect([again.code, again.out]).toEqual([0, expect.stringMatching(/^#1 unchanged: /)]);
    expect(tip(BRANCH)).toBe(proposal.sha);
    const other = await push("Sort: {{ticket}} for {{who}}\n", "--propose", "--bump", "major", "--label", "staging");
    expect(other.out, other.all).toMatch(/^#1 updated: support\/triage: publish 2\.0\.0\nhttp/);
    expect((await pulls())[0].body).toContain("a **major** step after 1.0.0");
    expect((await pulls())[0].body).toContain("New variables: `who`.");
    expect((await pulls()).map(({ number, title }) => [number, title])).toEqual([[1, "support/triage: publish 2.0.0"]]);
    expect(
      git(team.place.gitDir, ["rev-list", "--count", `main..${BRANCH}`])
        .toString()
        .trim(),
    ).toBe("1");
    const listed = await run("proposal", "list");
    expect(listed.out).toMatch(/^#1\tsupport\/triage: publish 2\.0\.0\t/);
    // What was reviewed is what is merged.
    const stale = await run("proposal", "merge", "1", "--sha", proposal.sha);
    expect([stale.code, stale.err]).toEqual([4, expect.stringContaining("changed")]);
    expect(tip("main")).toBe(main);
    expect((await run("proposal", "merge", "#1", "--sha", tip(BRANCH))).out).toBe(
      "#1 merged: support/triage: publish 2.0.0\n",
    );
    const { version, labels } = await registry.getPrompt("support/triage@staging");
    expect([version, labels]).toEqual(["2.0.0", ["staging"]]);
    expect(branches()).toEqual(["main"]);
    expect((await run("proposal", "merge", "1")).code).toBe(0);
    expect((await run("proposal", "list")).err).toContain("nothing is proposed");
    // The next one is a new one.
    expect((await push("Sort: {{ticket}} for {{who}}.\n", "--propose")).out).toMatch(
      /^#2 opened: support\/triage: publish 2\.0\.1/,
    );
    expect((await run("proposal", "close", "2")).out).toBe("#2 closed: support/triage: publish 2.0.1\n");
    expect(branches()).toEqual(["main"]);
    expect((await run("proposal", "merge", "2")).code).toBe(4);
  }, 60_000);

  it("keeps what people added, and proposes anew what does not fit any more", async () => {
    const { push, run } = cli();
    const registry = await open();
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "one\n" });
    expect((await push("two\n", "--propose")).code).toBe(0);
    // The base moves: the proposal is behind, and is rebuilt on top of it.
    await registry.storePrompt({ name: "support/triage", version: "1.0.1", text: "faster\n" });
    const rebuilt = await push("two\n", "--propose");
    expect(rebuilt.out, rebuilt.all).toMatch(/^#1 updated: support\/triage: publish 1\.0\.2/);
    expect(
      git(team.place.gitDir, ["rev-parse", `${BRANCH}^`])
        .toString()
        .trim(),
    ).toBe(tip("main"));
    commitByGit(team.place.gitDir, BRANCH, [{ path: "prompts/support/triage/v1.0.2.md", bytes: "by hand\n" }]);
    const hand = tip(BRANCH);
    const refused = await push("three\n", "--propose");
    expect([refused.code, refused.err]).toEqual([4, expect.stringContaining("somebody added commits")]);
    expect(tip(BRANCH)).toBe(hand);
    // A push that changes nothing proposes nothing; an exact version has a branch of its own.
    expect((await push("faster\n", "--propose", "--version", "1.0.1")).out).toMatch(/unchanged, nothing to propose/);
    expect((await push("four\n", "--propose", "--version", "2.0.0")).out).toMatch(/^#2 opened/);
    expect(branches()).toContain(`${BRANCH}-2.0.0`);
    expect((await push("other\n", "--propose", "--version", "1.0.0")).code).toBe(4);
    // Pull requests of others are not ours to merge.
    commitByGit(team.place.gitDir, "main", [{ path: "x", bytes: "x" }]);
    git(team.place.gitDir, ["branch", "feature", "main"]);
    commitByGit(team.place.gitDir, "feature", [{ path: "y", bytes: "y" }]);
    await api("POST", "pulls", { title: "y", head: "feature", base: "main" });
    expect((await run("proposal", "merge", "3")).code).toBe(2);
    expect((await run("proposal", "close", "3")).code).toBe(2);
    expect((await run("proposal", "merge", "9")).code).toBe(3);
  }, 60_000);

  it("keeps what people made of our own commit, and goes on where they only brought it up to date", async () => {
    const { push, run } = cli();
    await (await open()).storePrompt({ name: "support/triage", version: "1.0.0", text: "one\n" });
    const { gitDir } = team.place;
    const file = "prompts/support/triage/v1.0.1.md";
    const said = (...args: readonly string[]) =>
      git(gitDir, [...args])
        .toString()
        .trim();
    const person = ["-c", "user.name=Bo", "-c", "user.email=bo@example.org"];
    const commit = (tree: string, parents: readonly string[], message: string) => {
      const made = said(...person, "commit-tree", tree, ...parents.flatMap((one) => ["-p", one]), "-m", message);
      said("update-ref", `refs/heads/${BRANCH}`, made);
    };
    const isKept = async () => {
      const before = tip(BRANCH);
      const refused = await push("three\n", "--propose");
      expect([refused.code, refused.err]).toEqual([4, expect.stringContaining("merge or close that proposal first")]);
      expect(tip(BRANCH)).toBe(before);
      expect((await run("proposal", "close", String((await pulls())[0].number))).code).toBe(0);
    };
    const propose = async () => expect((await push("two\n", "--propose")).code).toBe(0);
    // git commit --amend: other files under our message.
    await propose();
    let message = said("log", "-1", "--format=%B", BRANCH);
    commitByGit(gitDir, BRANCH, [{ path: file, bytes: "by hand\n" }]);
    commit(said("rev-parse", `${BRANCH}^{tree}`), ["main"], message);
    await isKept();
    // The same with other words.
    await propose();
    message = said("log", "-1", "--format=%B", BRANCH);
    commit(said("rev-parse", `${BRANCH}^{tree}`), ["main"], message.replace("publish", "Publish"));
    await isKept();
    // A commit on top, with the message of ours.
    await propose();
    message = said("log", "-1", "--format=%B", BRANCH);
    commitByGit(gitDir, BRANCH, [{ path: file, bytes: "by hand\n" }], message);
    await isKept();
    // The base is merged, with a change that neither side has.
    await propose();
    commitByGit(gitDir, "main", [{ path: "x", bytes: "x" }]);
    const clean = said("merge-tree", "--write-tree", "main", BRANCH);
    const own = tip(BRANCH);
    commitByGit(gitDir, BRANCH, [{ path: file, bytes: "by hand\n" }]);
    commit(said("merge-tree", "--write-tree", "main", BRANCH), [own, "main"], "Merge branch main");
    await isKept();
    // And without: nothing of anybody's is lost.
    said("update-ref", `refs/heads/${BRANCH}`, own);
    commit(clean, [own, "main"], "Merge branch main");
    const opened = await push("two\n", "--propose");
    expect(opened.code, opened.all).toBe(0);
    const updated = await push("three\n", "--propose");
    expect(updated.out, updated.all).toMatch(/updated/);
  }, 60_000);

  it("is refused by the policy like any publication, and where there is no repository", async () => {
    const { push, world } = cli();
    const hidden = await push("Be nice.\u{e0041}\n", "--propose");
    expect(hidden.code, hidden.all).toBe(2);
    expect(branches()).toEqual(["main"]);
    const elsewhere = await world.runWith({ stdin: "x\n" }, "push", "a/b", "-", "--propose", "--storage", "file:./x");
    expect([elsewhere.code, elsewhere.err]).toEqual([8, expect.stringContaining("GitHub")]);
  });

  it("is one proposal whatever goes wrong on the way", async () => {
    const registry = await open();
    const faults = [
      ["POST", "/git/refs", "drop-after"],
      ["POST", "/git/refs", "drop-before"],
      ["POST", "/pulls", "drop-after"],
      ["POST", "/pulls", "drop-before"],
    ] as const;
    for (const [i, [method, path, kind]] of faults.entries()) {
      let hits = 0;
      const isIt = (request: { method: string; url: string }) =>
        request.method === method && request.url.includes(`${team.place.repo}${path}`) && ++hits === 1;
      const stop = team.server.fail(isIt, { kind });
      const { pushTo } = cli();
      const name = `fault/n${i}`;
      const first = await pushTo(name, "text\n", "--propose");
      const ran = first.code === 7 ? await pushTo(name, "text\n", "--propose") : first;
      stop();
      expect(ran.code, ran.all).toBe(0);
      expect(hits, path).toBeGreaterThan(0);
      expect((await pulls()).filter(({ title }) => title === `${name}: publish 1.0.0`)).toHaveLength(1);
      expect(
        fileAt(team.place.gitDir, `prompt-registry/${name}/-/publish`, `prompts/${name}/v1.0.0.md`).toString(),
      ).toContain("text\n");
    }
    // A merge of which the answer was lost is found.
    team.server.fail(({ url, method }) => method === "PUT" && url.endsWith("/merge"), { kind: "drop-after" });
    const proposals = await githubProposals(options());
    const [proposal] = await proposals.list();
    const { merged, title } = await proposals.merge(proposal?.number ?? 0);
    expect(tip("main")).toBe(merged);
    expect((await registry.getPrompt(title.split(":")[0] ?? "")).version).toBe("1.0.0");
  }, 60_000);
});

describe("several at once", () => {
  it("share the one proposal of their prompt", async () => {
    const { push } = cli();
    const runs = await Promise.all(["one", "two", "three"].map((text) => push(`${text}\n`, "--propose")));
    for (const { code, all } of runs) expect(code, all).toBe(0);
    expect((await pulls()).map(({ title }) => title)).toEqual(["support/triage: publish 1.0.0"]);
    expect(
      git(team.place.gitDir, ["rev-list", "--count", `main..${BRANCH}`])
        .toString()
        .trim(),
    ).toBe("1");
    expect(branches()).toEqual(["main", BRANCH]);
  });

  it("keeps to the prefix and the other limits of the configuration", async () => {
    const { world, push } = cli();
    const { token: _, ...storage } = { ...options(), backend: "github" };
    const ended = async (more: object) => {
      world.file("prompt-registry.config.json", JSON.stringify({ storage, ...more }));
      const { code, all } = await push("text\n", "--propose");
      return [code, all];
    };
    expect(await ended({ prefix: "team/" })).toEqual([6, expect.stringContaining("outside of team/")]);
    expect(await ended({ readonly: true })).toEqual([8, expect.anything()]);
    expect(await ended({ mirror: "file:./copy" })).toEqual([8, expect.stringContaining("mirror")]);
    expect(branches()).toEqual(["main"]);
    expect(await ended({ prefix: "support/", cache: true })).toEqual([0, expect.stringMatching(/^#1 opened/)]);
    expect(branches()).toEqual(["main", BRANCH]);
  });
});

describe("protected labels", () => {
  it("move by pull request only, whatever path is taken", async () => {
    const registry = await open();
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "one\n", labels: ["production"] });
    await registry.storePrompt({ name: "support/triage", version: "1.1.0", text: "two {{x}}\n" });
    const { run, push, world } = cli({ protectedLabels: ["production"] });
    const strict = await open({ protectedLabels: ["production"] });
    const main = tip("main");
    const forbidden = expect.objectContaining({ code: "FORBIDDEN", message: expect.stringContaining("--propose") });
    await expect(strict.setLabel("support/triage", "production", "1.1.0")).rejects.toEqual(forbidden);
    await expect(strict.removeLabel("support/triage", "production")).rejects.toEqual(forbidden);
    await expect(
      strict.storePrompt({ name: "support/triage", version: "1.2.0", text: "x", labels: ["production"] }),
    ).rejects.toEqual(forbidden);
    await expect(
      strict.storePrompt({ name: "a/b", version: "1.0.0", text: "x", labels: ["production"] }),
    ).rejects.toEqual(forbidden);
    await expect(strict.deletePrompt("support/triage")).rejects.toEqual(forbidden);
    const direct = await run("label", "support/triage", "production", "1.1.0");
    expect([direct.code, direct.err]).toEqual([6, expect.stringContaining("--propose")]);
    expect(tip("main")).toBe(main);
    // Others move as ever, and so does publishing.
    await strict.setLabel("support/triage", "staging", "1.1.0");
    await strict.storePrompt({ name: "support/triage", version: "1.2.0", text: "three\n" });
    // A link that was moved by hand is not adopted behind the review.
    commitByGit(team.place.gitDir, "main", [
      { path: "prompts/support/triage/production.md", bytes: "v1.1.0.md", mode: "120000" },
    ]);
    const adopted = await run("doctor", "--repair", "moved-link", "--json");
    expect(adopted.out, adopted.all).toContain("moved-link");
    expect((await (await open()).getPrompt("support/triage@production")).version).toBe("1.0.0");
    // By pull request it moves.
    const proposed = await run("label", "support/triage", "production", "1.1.0", "--propose", "-m", "it is better");
    expect(proposed.out, proposed.all).toMatch(/^#1 opened: support\/triage: production 1\.1\.0\n/);
    const [pull] = await pulls();
    expect(pull.head.ref).toBe("prompt-registry/support/triage/-/label-production");
    for (const part of ["**1.1.0** (now 1.0.0)", "New variables: `x`", "+two {{x}}", "it is better"])
      expect(pull.body).toContain(part);
    expect((await run("label", "support/triage", "production", "1.1.0", "--propose")).out).toMatch(/^#1 unchanged/);
    expect((await run("label", "support/triage", "production", "1.2.0", "--propose")).out).toMatch(/^#1 updated/);
    expect((await push("four\n", "--propose", "--label", "production", "--version", "3.0.0")).out).toMatch(
      /^#2 opened/,
    );
    expect((await run("proposal", "merge", "1")).code).toBe(0);
    expect((await (await open()).getPrompt("support/triage@production")).version).toBe("1.2.0");
    expect((await run("label", "support/triage", "production", "--remove", "--propose")).out).toMatch(
      /^#3 opened: support\/triage: remove production/,
    );
    void world;
  }, 60_000);
});

describe("a proposing storage", () => {
  it("writes to its own branch and nowhere else", async () => {
    const made = await proposing(options(), "prompt-registry/a/b/-/publish");
    const registry = new PromptRegistry(made.driver, { author: "ada" });
    const main = tip("main");
    team.server.reset();
    await registry.storePrompt({ name: "a/b", version: "1.0.0", text: "x" });
    const writes = team.server.requests
      .filter(({ write }) => write)
      .map(({ method, url }) => `${method} ${url.split("?")[0]}`);
    const at = `/repos/${team.place.owner}/${team.place.repo}`;
    expect(writes).toEqual([`POST ${at}/git/trees`, `POST ${at}/git/commits`, `POST ${at}/git/refs`]);
    expect([tip("main"), tip("prompt-registry/a/b/-/publish")]).toEqual([main, made.commit()]);
    await expect(registry.doctor({ repair: true } as never)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await registry.close();
  });
});
