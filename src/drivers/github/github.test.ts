import { describe, expect, it } from "vitest";
import { parseName } from "../../names.ts";
import { documentOf, labelEntry } from "../../testing/index.ts";
import { limitedFor, refusal } from "./failure.ts";
import { github } from "./index.ts";
import { authorOf, describe as describeCommits, trailerOf } from "./message.ts";
import { blobId } from "./objects.ts";
import { isBranch, resolveOptions } from "./options.ts";
import { placeOf } from "./snapshot.ts";

const what = { operation: "reading", location: "github:o/r", mutates: false };
const own = (message: string) => ({ message, documentation_url: "https://docs.github.com" });

describe("options", () => {
  it.each([
    [{ owner: "-a" }, "owner"],
    [{ repo: ".." }, "repo"],
    [{ branch: "a..b" }, "branch"],
    [{ branch: "refs/heads/x.lock" }, "branch"],
    [{ path: "a/../b" }, "path"],
    [{ dir: ".git" }, "dir"],
    [{ baseUrl: "http://github.example" }, "baseUrl"],
    [{ baseUrl: "https://u:secret@github.example" }, "baseUrl"],
    [{ token: "two words" }, "token"],
    [{ spacing: -1 }, "spacing"],
    [{ writes: "graphql", links: "symlink" }, "links"],
    [{ writes: "graphql", graphql: "off" }, "writes"],
  ] as const)("%j is CONFIG", (wrong, field) => {
    let thrown: unknown;
    try {
      resolveOptions({ owner: "o", repo: "r", ...wrong });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "CONFIG", context: { field } });
    expect(String(thrown)).not.toContain("secret");
  });

  it("tells where it is without a secret, and asks nothing when it is opened", async () => {
    const fetch = () => Promise.reject(new Error("asked"));
    const driver = await github({ owner: "o", repo: "r", path: "/x/", branch: "b", token: "ghp_secret", fetch });
    expect(driver.location).toBe("github:o/r/x#b");
    const error = await driver.listPrompts({ limit: 1 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    expect(JSON.stringify([error, (error as Error).cause])).not.toContain("ghp_secret");
    await driver.close();
    await expect(driver.listPrompts({ limit: 1 })).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("knows which names a branch can have", () => {
    expect(["main", "feature/x", "a.b"].map(isBranch)).toEqual([true, true, true]);
    expect(["", "-x", "a b", "x/", "a//b", "@", "a@{b", ".a"].map(isBranch)).toEqual(Array(8).fill(false));
  });
});

describe("refusals", () => {
  it.each([
    [401, own("Bad credentials"), {}, "UNAUTHENTICATED", "final"],
    [403, own("Resource not accessible by personal access token"), {}, "FORBIDDEN", "final"],
    [
      403,
      own("API rate limit exceeded"),
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "0" },
      "RATE_LIMITED",
      "temporary",
    ],
    [403, own("You have exceeded a secondary rate limit"), {}, "RATE_LIMITED", "temporary"],
    [429, "", { "retry-after": "7" }, "RATE_LIMITED", "temporary"],
    [404, own("Not Found"), {}, "NOT_FOUND", "final"],
    [404, "<html>proxy</html>", {}, "UNAVAILABLE", "temporary"],
    [403, "<html>proxy</html>", {}, "UNAVAILABLE", "temporary"],
    [502, "<html>Unicorn!</html>", {}, "UNAVAILABLE", "temporary"],
  ] as const)("%i %j %j is %s, %s", (status, data, headers, code, outcome) => {
    expect(refusal({ status, data, headers }, what)).toMatchObject({ code, outcome });
  });

  it("is unknown where the branch may have moved, and says how long to wait where a limit is met", () => {
    expect(refusal({ status: 500, data: own("x"), headers: {} }, { ...what, mutates: true }).outcome).toBe("unknown");
    expect(limitedFor({ status: 429, data: "", headers: { "retry-after": "7" } }, 0)).toBe(7000);
    const primary = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "100" };
    expect(limitedFor({ status: 403, data: own("limit"), headers: primary }, 40_000)).toBe(60_000);
    // A clock that is an hour slow would wait an hour longer.
    const dated = { ...primary, date: new Date(70_000).toUTCString() };
    expect(limitedFor({ status: 403, data: own("limit"), headers: dated }, -3_600_000)).toBe(30_000);
    expect(limitedFor({ status: 403, data: own("no"), headers: {} }, 0)).toBeUndefined();
  });
});

describe("commit messages", () => {
  const at = "2026-03-04T05:06:07.890Z";
  const done = { status: "done" } as const;
  const publish = { name: parseName("a"), add: [documentOf("a", "1.0.0", "t\n", { at, by: "ada", message: "first" })] };

  it("say what happened in one line, why, and by which id it can be found", () => {
    const commit = { id: "id-1", at, changes: [publish] };
    const text = describeCommits([{ commit, outcomes: [done] }]);
    expect(text.subject).toBe("a: publish 1.0.0");
    expect(text.body).toBe("first\n\nPrompt-Registry-Commit-Id: id-1");
    expect(text.author).toEqual({
      name: "ada",
      email: "unknown@prompt-registry.invalid",
      date: "2026-03-04T05:06:07Z",
    });
  });

  it("name no author where there are several, and leave out what was refused", () => {
    const head = {
      expect: null,
      next: { labels: {}, yanked: {} },
      entries: [labelEntry("production", "1.0.0", { by: "grace" })],
    };
    const commit = {
      id: "id-1",
      at,
      by: "ada",
      changes: [publish, { name: parseName("b"), head }, { ...publish, name: parseName("c") }],
    };
    const text = describeCommits([{ commit, outcomes: [done, done, { status: "conflict", added: false }] }]);
    expect(text.subject).toBe("2 changes of 2 prompts");
    expect(text.body).toContain("a: publish 1.0.0\nb: label production 1.0.0");
    expect(text.body).toContain("Prompt-Registry-Author: ada\nPrompt-Registry-Author: grace");
    expect(text.author).toBeUndefined();
  });

  it("name only those of which something is done, in their own words alone", () => {
    const commit = (id: string) => ({ id, at, message: `why ${id}`, changes: [publish] });
    const refused = { status: "conflict", added: false } as const;
    const text = describeCommits([
      { commit: commit("id-1"), outcomes: [refused] },
      { commit: commit("id-2"), outcomes: [done] },
    ]);
    expect(text.body).toBe("why id-2\n\nfirst\n\nPrompt-Registry-Commit-Id: id-2");
  });

  it("can't be made to carry a trailer of somebody else's, nor a name that Git refuses", () => {
    const message = "x\nPrompt-Registry-Commit-Id: forged";
    const text = describeCommits([{ commit: { id: "id-1", at, message, changes: [publish] }, outcomes: [done] }]);
    expect(text.body.split("\n").filter((line) => line.startsWith("Prompt-Registry-Commit-Id:"))).toEqual([
      "Prompt-Registry-Commit-Id: id-1",
    ]);
    expect(trailerOf("two\nlines")).toMatch(/^Prompt-Registry-Commit-Id: [0-9a-f]{64}$/);
    expect(authorOf("Ada <ada@example.org>", undefined)).toEqual({ name: "Ada", email: "ada@example.org" });
    expect(authorOf("ada@example.org", undefined)).toEqual({ name: "ada@example.org", email: "ada@example.org" });
    expect(authorOf("a\n<b>", "2999-01-01T00:00:00Z")).toEqual({
      name: "a  b",
      email: "unknown@prompt-registry.invalid",
    });
    expect(authorOf(" <> ", undefined)).toBeUndefined();
  });
});

describe("Git", () => {
  it("ids of blobs are Git's own", () => {
    expect(blobId(Buffer.from("hello\n"))).toBe("ce013625030ba8dba906f756967f9e9ca394464a");
  });

  it("files belong to the prompt whose folder they lie in, head generations too", () => {
    expect(placeOf("prompts/a/b/v1.0.0.md", "prompts/")).toEqual({ name: "a/b", file: "v1.0.0.md" });
    expect(placeOf("prompts/a/.heads/000000000001.json", "prompts/")).toEqual({
      name: "a",
      file: ".heads/000000000001.json",
    });
    for (const path of ["prompts/README.md", "prompts/A/v1.0.0.md", "other/a/v1.0.0.md", "prompts/a/.git/x"]) {
      expect(placeOf(path, "prompts/")).toBeUndefined();
    }
  });
});
