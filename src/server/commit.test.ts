import { describe, expect, it } from "vitest";
import { A, codeOf, NOW, TOKENS, world } from "../../test/support/commit-lab.ts";
import { accessOf, httpWorld } from "../../test/support/http-world.ts";
import { RegistryError } from "../errors.ts";
import { commitOf, documentOf, headOf, labelEntry } from "../testing/builders.ts";
import type { Publication } from "./types.ts";

describe("commits of callers without the right to import", () => {
  it("a version is sealed by the server, in the caller's name and by its own clock, and the caller is told", async () => {
    const { registryOf, registry, audit } = await world();
    const mine = await registryOf("writer");
    const stored = await mine.storePrompt({ name: "a", version: "1.0.0", text: "one\n", message: "first" });
    const prompt = await registry.getPrompt("a");
    expect(prompt).toMatchObject({ author: "writer", createdAt: NOW, message: "first", text: "one\n" });
    expect(stored).toMatchObject({ status: "created", digest: prompt.digest });
    expect((await mine.getPrompt("a")).digest).toBe(stored.digest);
    expect(await mine.storePrompt({ name: "a", version: "1.0.0", text: "one\n" })).toMatchObject({
      status: "unchanged",
      digest: prompt.digest,
    });
    expect(audit.entries).toMatchObject([
      {
        who: "token:writer",
        action: "commits.post",
        prompt: "a",
        version: "1.0.0",
        digest: prompt.digest,
        outcome: "done",
      },
      { outcome: "refused" },
    ]);
  });

  it("labels, rollback, yank and deprecation are recorded in the caller's name, with one entry for each change", async () => {
    const { registryOf, registry } = await world();
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: version });
    const mine = await registryOf("promoter");
    await mine.setLabel("a", "production", "1.0.0", { message: "go" });
    await mine.setLabel("a", "production", "1.1.0");
    await mine.rollback("a");
    await mine.unpin("a");
    await mine.yank("a", "1.0.0", { message: "wrong" });
    await mine.unyank("a", "1.0.0");
    await mine.deprecate("a", "use b");
    await mine.deprecate("a", null);
    await mine.removeLabel("a", "production");
    const entries = (await registry.history("a").all()).filter((e) => e.action !== "publish").reverse();
    expect(entries.map((e) => [e.action, e.label, e.from, e.to, e.message])).toEqual([
      ["label", "production", undefined, "1.0.0", "go"],
      ["label", "production", "1.0.0", "1.1.0", undefined],
      ["rollback", undefined, "1.1.0", "1.0.0", undefined],
      ["unpin", undefined, "1.0.0", undefined, undefined],
      ["yank", undefined, undefined, "1.0.0", "wrong"],
      ["unyank", undefined, undefined, "1.0.0", undefined],
      ["deprecate", undefined, undefined, undefined, "use b"],
      ["undeprecate", undefined, undefined, undefined, undefined],
      ["unlabel", "production", "1.1.0", undefined, undefined],
    ]);
    expect(new Set(entries.map((e) => `${e.by} ${e.at}`))).toEqual(new Set([`promoter ${NOW}`]));
  });

  it("a version that was yanked before it was removed comes back yanked, and the history says both in that order", async () => {
    const { registryOf, registry, client } = await world();
    const { text } = documentOf("a", "1.0.0", "one\n");
    await registry.storePrompt({ name: "a", text });
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
    const mine = await registryOf("admin");
    await mine.yank("a", "1.0.0", { message: "wrong" });
    await mine.deleteVersion("a", "1.0.0", { message: "secret" });
    expect(await mine.restoreVersion({ name: "a", version: "1.0.0", text }, { message: "needed" })).toMatchObject({
      status: "changed",
    });
    const prompt = await registry.getPrompt("a@1.0.0", { status: true });
    expect(prompt.yanked).toMatchObject({ reason: "wrong", by: "admin" });
    expect(prompt.yanked?.removed).toBeUndefined();
    await expect(registry.getPrompt("a@~1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const { items } = await (await client("admin")).history(A, { limit: 100 });
    const told = items.filter((e) => e.action !== "publish").reverse();
    expect(told.map((e) => [e.action, e.from ?? e.to, e.message, e.by])).toEqual([
      ["yank", "1.0.0", "wrong", "admin"],
      ["remove", "1.0.0", "secret", "admin"],
      ["restore", "1.0.0", "needed", "admin"],
      ["yank", "1.0.0", "wrong", "admin"],
    ]);
  });

  it("what the history is told is what changes, whatever the caller says", async () => {
    const { one, stateOf, registry } = await world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    const forged = [
      labelEntry("production", "9.9.9", { commit: "c1", by: "the boss", message: "forged" }),
      { at: NOW, action: "remove", from: "1.0.0", commit: "c1" } as never,
    ];
    const next = headOf({ labels: { production: "1.0.0" }, updatedAt: "2999-01-01T00:00:00.000Z" });
    const outcome = await one("promoter", { name: A, head: { expect: null, next, entries: forged } });
    expect(outcome.status).toBe("done");
    const entries = (await registry.history("a").all()).filter((e) => e.action !== "publish");
    expect(entries).toEqual([
      { at: NOW, by: "promoter", action: "label", label: "production", to: "1.0.0", commit: "c1" },
    ]);
    expect((await stateOf())?.head.updatedAt).toBe(NOW);
  });

  it("documents and entries of others are refused, and kept as they are with the right to import", async () => {
    const { one, registry } = await world();
    const old = documentOf("a", "1.0.0", "old\n", { at: "2020-01-01T00:00:00.000Z", by: "ada" });
    expect(codeOf(await one("writer", { name: A, add: [old] }))).toBe("FORBIDDEN");
    expect(codeOf(await one("importer", { name: A, add: [old] }))).toBe("done");
    expect(await registry.getPrompt("a")).toMatchObject({ author: "ada", digest: old.digest });
    const head = {
      expect: null,
      next: headOf({ labels: { production: "1.0.0" } }),
      entries: [labelEntry("production", "1.0.0", { commit: "elsewhere", by: "ada" })],
    };
    expect(codeOf(await one("promoter", { name: A, head }))).toBe("FORBIDDEN");
  });
});

describe("several changes in one commit", () => {
  it("what may be done is done, and the rest is told apart; the audit log has an entry for each", async () => {
    const { client, audit, registry } = await world();
    const other = documentOf("b", "1.0.0", "t", { at: "2020-01-01T00:00:00.000Z" });
    const changes = [
      { name: A, add: [documentOf("a", "1.0.0")] },
      { name: other.name, add: [other] },
    ];
    const driver = await client("writer");
    const outcomes = await driver.commit(commitOf(changes, { at: "2026-01-01T00:00:00.000Z" }));
    expect(outcomes.map(codeOf)).toEqual(["done", "FORBIDDEN"]);
    expect(audit.entries).toMatchObject([
      { action: "commits.post", prompt: "a", version: "1.0.0", outcome: "done" },
      { action: "commits.post", prompt: "b", version: "1.0.0", outcome: "denied", code: "FORBIDDEN" },
    ]);
    expect(new Set(audit.entries.map((entry) => entry.requestId)).size).toBe(1);
    const atomic = await driver.commit(
      commitOf([...changes].reverse(), { at: "2026-01-01T00:00:00.000Z", atomic: true }),
    );
    expect(atomic.map(codeOf)).toEqual(["FORBIDDEN", "skipped"]);
    expect((await registry.listPrompts()).items.map((i) => i.name)).toEqual(["a"]);
  });

  it("who may write and not read learns that a version is taken, and not by what", async () => {
    const { one, registry } = await world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "secret" });
    const outcome = await one("blind", { name: A, add: [documentOf("a", "1.0.0", "guess")] });
    expect(codeOf(outcome)).toBe("ALREADY_EXISTS");
    expect(JSON.stringify(outcome)).not.toContain("secret");
  });

  it("a policy refuses one publication and not the others, and is told what went before", async () => {
    const seen: unknown[] = [];
    const policy = ({ name, version, text, author, previous }: Publication) => {
      seen.push([`${name}@${version}`, author, previous?.version]);
      if (text.includes("bad")) throw new RegistryError("INVALID", "no", { field: "policy" });
    };
    const { send, registry } = httpWorld({ access: accessOf(TOKENS), policy });
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "good\n" });
    const change = (name: string, version: string, text: string) => ({
      name,
      add: [{ version, text: documentOf(name, version, text).text }],
    });
    const commit = (changes: unknown) =>
      send("POST", "/v1/commits", { token: "writer", json: { id: "c", at: "2026-01-01T00:00:00.000Z", changes } });
    const { json } = await commit([change("a", "1.1.0", "good\n"), change("b", "1.0.0", "bad\n")]);
    expect(json.outcomes).toMatchObject([{ status: "done" }, { status: "failed", problem: { code: "INVALID" } }]);
    const headers = { "if-none-match": "*", "content-type": "text/markdown" };
    const put = await send("PUT", "/v1/prompts/a/-/versions/1.2.0", { token: "writer", headers, body: "bad" });
    expect([put.status, put.json.context.field]).toEqual([400, "policy"]);
    expect(seen).toEqual([
      ["a@1.1.0", "writer", "1.0.0"],
      ["b@1.0.0", "writer", undefined],
      ["a@1.2.0", "writer", "1.1.0"],
    ]);
  });
});
