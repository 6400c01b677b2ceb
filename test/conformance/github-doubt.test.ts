import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseLabel, parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { askOf, commitOf, headOf, labelEntry } from "../../src/testing/index.ts";
import { commitByGit, fileAt, git, openGithub, publish } from "../support/github-world.ts";

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e6, graphql: 1e6 } });
});
afterAll(async () => {
  await server.close();
});

const place = () => server.addRepository({ name: `d-${randomUUID()}` });
const move = (name: string, expect: string | null, labels: Readonly<Record<string, string>>) => ({
  name: parseName(name),
  head: { expect, next: headOf({ labels }), entries: [labelEntry("production", "1.0.0")] },
});

describe("commits that became one", () => {
  it("never tell one that a version is there which came with another and was refused", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await driver.commit(commitOf([publish("first", "1.0.0")]));
    server.faultWhen(({ method }) =>
      method === "PATCH"
        ? {
            kind: "reply",
            status: 403,
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ message: "no" }),
          }
        : undefined,
    );
    const same = await Promise.allSettled([
      driver.commit(commitOf([publish("a", "1.0.0", "x\n")])),
      driver.commit(commitOf([publish("a", "1.0.0", "x\n")])),
    ]);
    server.reset();
    expect(same.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect((await driver.read([askOf("a", "1.0.0")]))[0]?.status).toBe("absent");
    await driver.close();
  });

  it("are written one by one where GitHub refuses them together, so that one's refusal is no other's", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await driver.commit(commitOf([publish("first", "1.0.0")]));
    // As push protection does it: by what is in the commit.
    server.faultWhen(({ method, body }) => {
      if (method !== "PATCH") return undefined;
      const { sha } = JSON.parse(body.toString()) as { sha: string };
      const tree = git(at.gitDir, ["ls-tree", "-r", "--name-only", sha]).toString();
      if (!tree.includes("prompts/bad/")) return undefined;
      const message = "Repository rule violations found\n\nSecret detected in content";
      return {
        kind: "reply",
        status: 422,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message }),
      };
    });
    const [good, bad, other] = await Promise.allSettled([
      driver.commit(commitOf([publish("good", "1.0.0")])),
      driver.commit(commitOf([publish("bad", "1.0.0")])),
      driver.commit(commitOf([publish("other", "1.0.0")])),
    ]);
    server.reset();
    expect(good).toMatchObject({ status: "fulfilled", value: [{ status: "done" }] });
    expect(other).toMatchObject({ status: "fulfilled", value: [{ status: "done" }] });
    expect(bad).toMatchObject({ status: "rejected", reason: { code: "FORBIDDEN", outcome: "final" } });
    await driver.close();
  });

  it("keep a head that one of them moved, though links and hints are left out", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await driver.commit(commitOf([publish("a", "1.0.0"), publish("a2", "1.0.0")]));
    const many = Array.from({ length: 160 }, (_, i) => publish(`m${i}`, "1.0.0"));
    const [moved, published] = await Promise.all([
      driver.commit(commitOf([move("a", null, { production: "1.0.0" })])),
      driver.commit(commitOf([publish("a", "1.1.0")])),
      driver.commit(commitOf(many)),
    ]);
    expect([moved?.[0]?.status, published?.[0]?.status]).toEqual(["done", "done"]);
    const again = await openGithub(server, at);
    const [answer] = await again.read([
      { name: parseName("a"), selector: { kind: "label", label: parseLabel("production") } },
    ]);
    expect(answer).toMatchObject({ status: "found", document: { version: "1.0.0" } });
    await driver.close();
    await again.close();
  });
});

it("a mutation names the author beside the trailers, however long the message is", async () => {
  const at = await place();
  const registry = new PromptRegistry(await openGithub(server, at, { writes: "graphql" }), { author: "ada" });
  await registry.storePrompt({
    name: "a",
    version: "1.0.0",
    text: "x\n",
    message: "why ".repeat(50),
    labels: ["production"],
  });
  const message = git(at.gitDir, ["log", "-1", "--format=%B", "main"]).toString();
  expect(message).toMatch(
    /\n\nPrompt-Registry-Author: ada\nPrompt-Registry-Commit-Id: [\w-]+\nPrompt-Registry-Attempt: [\w-]+\n+$/,
  );
  await registry.close();
});

it("an answer to a mutation that nobody foresaw is doubt: the branch is looked at, and nothing is written twice", async () => {
  const at = await place();
  const driver = await openGithub(server, at, { writes: "graphql" });
  await driver.commit(commitOf([publish("first", "1.0.0")]));
  let times = 0;
  server.faultWhen(({ route, write }) =>
    route === "/graphql" && write && ++times === 1
      ? { kind: "reply-after", status: 200, headers: { "content-type": "application/json" }, body: '{"errors":[null]}' }
      : undefined,
  );
  const [outcome] = await driver.commit(commitOf([publish("a", "1.0.0")]));
  server.reset();
  expect([outcome?.status, times]).toEqual(["done", 1]);
  expect(git(at.gitDir, ["rev-list", "--count", "main"]).toString().trim()).toBe("3");
  await driver.close();
});

describe("a link that is put and taken away by one Git commit", () => {
  it.each(["git", "graphql"] as const)("is none (%s)", async (writes) => {
    const at = await place();
    const driver = await openGithub(server, at, { writes });
    await driver.commit(commitOf([publish("a", "1.0.0")]));
    // The revision of a head depends on what is in it alone, so that it can be known before.
    const other = await place();
    const twin = await openGithub(server, other);
    await twin.commit(commitOf([publish("a", "1.0.0")]));
    const [first] = await twin.commit(commitOf([move("a", null, { production: "1.0.0" })]));
    const revision = first?.status === "done" ? (first.head?.revision ?? null) : null;
    const both = await Promise.all([
      driver.commit(commitOf([move("a", null, { production: "1.0.0" })])),
      driver.commit(commitOf([move("a", revision, {})])),
    ]);
    expect(both.map(([outcome]) => outcome?.status)).toEqual(["done", "done"]);
    await driver.close();
    await twin.close();
  });
});

describe("labels that are links alone", () => {
  it("are not lost by the first write that is guarded", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    await driver.commit(commitOf([publish("a", "1.0.0")]));
    commitByGit(at.gitDir, "main", [{ path: "prompts/a/production.md", bytes: "v1.0.0.md", mode: "120000" }]);
    await driver.commit(commitOf([{ ...publish("a", "1.1.0"), guard: null }]));
    const ask = { name: parseName("a"), selector: { kind: "label", label: parseLabel("production") } } as const;
    expect((await driver.read([ask]))[0]).toMatchObject({ status: "found", document: { version: "1.0.0" } });
    await driver.close();
  });
});

describe("secrets", () => {
  it("are in no error, however deep one looks", async () => {
    const at = await place();
    const broken = await openGithub(server, at, {
      fetch: () => Promise.reject(new TypeError("fetch failed")),
      token: "ghp_verysecret",
    });
    for (const run of [
      () => broken.listPrompts({ limit: 1 }),
      () => broken.commit(commitOf([publish("a", "1.0.0", "a text that nobody is to see\n")])),
    ]) {
      const error = await run().catch((thrown: unknown) => thrown);
      const shown = inspect(error, { depth: 20, showHidden: true });
      expect(shown).not.toContain("ghp_verysecret");
      expect(shown).not.toContain("REDACTED");
      expect(shown).not.toContain("nobody is to see");
    }
    await broken.close();
  });
});

describe("memory", () => {
  it("of texts is bounded by cacheBytes, answers included", async () => {
    const at = await place();
    const text = "x".repeat(100_000);
    const driver = await openGithub(server, at, { cacheBytes: 500_000, documentMaxAge: 60_000 });
    for (let i = 0; i < 10; i++) await driver.commit(commitOf([publish("a", `1.${i}.0`, `${i}${text}\n`)]));
    for (let i = 0; i < 10; i++) await driver.read([askOf("a", `1.${i}.0`)]);
    const held = Array.from({ length: 10 }, (_, i) => driver.peek(askOf("a", `1.${i}.0`))).filter(Boolean);
    expect(held.length).toBeLessThanOrEqual(5);
    await driver.close();
  });
});

describe("latest.json", () => {
  const file = "prompts/a/latest.json";
  const told = (gitDir: string) => JSON.parse(fileAt(gitDir, "main", file).toString());

  it("tells the digests of what it names, and who wrote it; a wrong one is told by repair, and decides nothing", async () => {
    const at = await place();
    const driver = await openGithub(server, at);
    const registry = new PromptRegistry(driver, { author: "ada" });
    const digests: Record<string, string> = {};
    for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
      const { digest } = await registry.storePrompt({ name: "a", version, text: `${version}\n` });
      digests[version] = digest;
    }
    await registry.setLabel("a", "production", "1.0.0");
    const { "1.1.0": _, ...named } = digests;
    expect(told(at.gitDir)).toMatchObject({ digests: named, written: { by: "ada" } });
    // Somebody who knows none of the texts.
    const other = new PromptRegistry(await openGithub(server, at), { author: "grace" });
    await other.setLabel("a", "staging", "1.1.0");
    expect(told(at.gitDir)).toMatchObject({ digests, written: { by: "grace" } });
    const { digest } = await other.storePrompt({ name: "a", version: "1.3.0", text: "1.3.0\n" });
    expect(told(at.gitDir).digests).toEqual({ "1.0.0": digests["1.0.0"], "1.1.0": digests["1.1.0"], "1.3.0": digest });
    const wrong = fileAt(at.gitDir, "main", file)
      .toString()
      .replace(digest, digests["1.0.0"] as string);
    commitByGit(at.gitDir, "main", [{ path: file, bytes: wrong }]);
    expect(await other.getPrompt("a")).toMatchObject({ version: "1.3.0", digest });
    const plan = { repair: ["projection"], at: "2026-01-01T00:00:00.000Z", by: "doctor" } as const;
    const { findings } = await driver.repair(plan);
    expect(findings).toMatchObject([{ kind: "projection", path: "a/latest.json", repaired: true }]);
    expect(told(at.gitDir)).toMatchObject({ digests: { "1.3.0": digest }, written: { by: "doctor" } });
    await driver.close();
    await other.close();
  });
});
