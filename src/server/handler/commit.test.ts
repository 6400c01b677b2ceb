import { describe, expect, it } from "vitest";
import { accessOf, auditTrail, httpWorld } from "../../../test/support/http-world.ts";
import { http } from "../../drivers/http/index.ts";
import { RegistryError } from "../../errors.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { documentOf, tombstoneOf } from "../../testing/builders.ts";
import { repeated } from "../protocol/wire.ts";
import type { AuditLog, Grant, Publication } from "../types.ts";

const AT = "2026-01-01T00:00:00.000Z";
const all = (...rights: Grant["right"][]): Grant[] => rights.map((right) => ({ right, prefix: "" }));
const TOKENS = {
  reader: all("read"),
  writer: all("read", "write"),
  blind: all("write"),
  half: [...all("read"), { right: "write", prefix: "a" }] as Grant[],
  beta: [{ right: "promote", prefix: "a", labels: ["beta"] }] as unknown as Grant[],
  admin: all("admin"),
};

function world(options: { readonly policy?: (p: Publication) => { overridden: string[] }; audit?: AuditLog } = {}) {
  const audit = auditTrail();
  const made = httpWorld({ access: accessOf(TOKENS), audit, ...options });
  const commit = (token: keyof typeof TOKENS, ...changes: unknown[]) =>
    made.send("POST", "/v1/commits", { token, json: { id: "c", at: AT, changes } });
  return { ...made, audit, commit };
}

const add = (name: string, version = "1.0.0", text = "t", by = "ada") => {
  const document = documentOf(name, version, text, { at: AT, by });
  return { name, add: [{ version: document.version, text: document.text }] };
};

describe("what a commit costs before its caller may do anything", () => {
  it("who may change nothing is turned away before the body is looked at", async () => {
    const { commit, send } = world();
    expect((await commit("reader", { name: "a", nonsense: true })).status).toBe(403);
    const headers = { "content-type": "application/json" };
    expect((await send("POST", "/v1/commits", { token: "reader", headers, body: "{" })).status).toBe(403);
  });

  it("who may not change a prompt is told so before its documents are opened", async () => {
    const { commit } = world();
    const { json } = await commit("half", { name: "b", add: [{ version: "1.0.0", text: "no document" }] }, add("a"));
    expect(json.outcomes).toMatchObject([{ problem: { code: "FORBIDDEN" } }, { status: "done" }]);
    // A right to one label is a right, so what is wrong with the document is told.
    const reply = await commit("beta", { name: "a", add: [{ version: "1.0.0", text: "no document" }] });
    expect(reply.json.code).toBe("INVALID");
  });

  it("lists are bounded, and looking for repetitions takes no longer than reading", async () => {
    const { commit } = world();
    const remove = Array.from({ length: 2001 }, (_, i) => ({ version: `1.0.${i}`, text: "" }));
    for (const key of ["add", "remove", "restore"]) {
      const reply = await commit("admin", { name: "a", [key]: remove });
      expect([reply.status, reply.json.context.field], key).toEqual([400, `body.changes.0.${key}`]);
    }
    const started = performance.now();
    expect(repeated([...Array(200_000).keys()])).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(5000);
    expect(repeated(["a", "b", "a"])).toBe("a");
  });
});

describe("what the audit log is told of a commit", () => {
  it("each change with its own outcome, version, digest and label, under one request", async () => {
    const { commit, audit, registry } = world();
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "there already" });
    await registry.storePrompt({ name: "l", version: "1.0.0", text: "t" });
    audit.entries.length = 0;
    const label = { name: "l", head: { expect: null, next: { labels: { beta: "1.0.0" }, yanked: {} }, entries: [] } };
    await commit("admin", add("a"), add("b"), label, { name: "c", add: [{ version: "1.0.0", text: "bad" }] });
    expect(
      audit.entries.map(({ who, name, requestId, digest, ...rest }) => ({ ...rest, digest: digest?.slice(0, 7) })),
    ).toEqual([
      { ...at("a"), version: "1.0.0", digest: "sha256:", outcome: "done" },
      { ...at("b"), version: "1.0.0", digest: "sha256:", outcome: "refused", code: "ALREADY_EXISTS" },
      { ...at("l"), label: "beta", to: "1.0.0", digest: undefined, outcome: "done" },
      { ...at("c"), digest: undefined, outcome: "refused", code: "INVALID" },
    ]);
    expect(new Set(audit.entries.map((e) => `${e.who} ${e.requestId}`))).toEqual(new Set(["token:admin r"]));
  });

  it("every denial, and every document of a change", async () => {
    const { commit, audit } = world();
    await commit("half", add("b"), add("c"));
    expect(audit.entries.map((e) => [e.prompt, e.outcome, e.code])).toEqual([
      ["b", "denied", "FORBIDDEN"],
      ["c", "denied", "FORBIDDEN"],
    ]);
    audit.entries.length = 0;
    const two = { name: "a", add: [...add("a").add, ...add("a", "1.1.0").add] };
    await commit("half", two);
    expect(audit.entries.map((e) => [e.prompt, e.version, e.outcome])).toEqual([
      ["a", "1.0.0", "done"],
      ["a", "1.1.0", "done"],
    ]);
  });

  it("where it can't be told afterwards, the outcome is unknown, whatever else was refused", async () => {
    const audit: AuditLog = {
      async ready() {},
      async append() {
        throw new Error("the disk is full");
      },
      async close() {},
    };
    const { commit, registry } = world({ audit });
    const partly = await commit("half", add("a"), add("b"));
    expect([partly.status, partly.json.outcome]).toEqual([503, "unknown"]);
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    const nothing = await commit("half", add("b"));
    expect([nothing.status, nothing.json.outcome]).toEqual([503, "temporary"]);
  });

  it("an override of the policy stands in the entry of the request: who it was, what became of it, and the rules", async () => {
    const { commit, audit, send } = world({ policy: () => ({ overridden: ["bump", "secret"] }) });
    await commit("admin", add("a", "1.0.0", "t", "the boss"));
    const headers = { "if-none-match": "*", "content-type": "text/markdown" };
    await send("PUT", "/v1/prompts/a/-/versions/1.1.0", { token: "writer", headers, body: "two" });
    const note = "policy.override bump secret";
    expect(audit.entries).toMatchObject([
      { who: "token:admin", name: "admin", action: "commits.post", version: "1.0.0", outcome: "done", note },
      { who: "token:writer", name: "writer", action: "versions.put", version: "1.1.0", outcome: "done", note },
    ]);
    expect(audit.entries.length).toBe(2);
  });

  it("an override of what was then not published says that it was not", async () => {
    const { commit, audit, driver } = world({ policy: () => ({ overridden: ["bump"] }) });
    driver.commit = async () => {
      throw new RegistryError("UNAVAILABLE", "away");
    };
    await commit("admin", add("a"));
    expect(audit.entries).toMatchObject([{ prompt: "a", outcome: "failed", code: "UNAVAILABLE" }]);
  });
});

describe("who may write and not read", () => {
  it("publishes the same again without harm, and learns nothing of another text", async () => {
    const { handler, commit } = world();
    const fetch = (request: Request) => handler(request);
    const driver = await http({ url: "http://127.0.0.1:1", token: "blind", env: {}, fetch });
    const registry = new PromptRegistry(driver);
    const prompt = { name: "a", version: "1.0.0", text: "the same\n" };
    expect((await registry.storePrompt(prompt)).status).toBe("created");
    expect((await registry.storePrompt(prompt)).status).toBe("unchanged");
    await expect(registry.storePrompt({ ...prompt, text: "other\n" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
    expect((await commit("blind", add("a", "1.0.0", "guess"))).text).not.toContain("the same");
  });
});

describe("a guard alone", () => {
  it("is a change of a prompt that is there", async () => {
    const { commit, registry, driver } = world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    await registry.setLabel("a", "beta", "1.0.0");
    const revisionOf = async () => {
      const [answer] = await driver.read([{ name: parseName("a"), selector: { kind: "head" } }]);
      return answer?.status === "head" ? answer.head.revision : null;
    };
    const held = await revisionOf();
    for (const token of ["writer", "admin"] as const) {
      const change = { name: "a", guard: await revisionOf() };
      expect((await commit(token, change)).json.outcomes).toMatchObject([{ status: "done" }]);
      // It counts as a move of the head, so it holds once.
      expect((await commit(token, change)).json.outcomes).toMatchObject([{ status: "conflict" }]);
    }
    expect(await revisionOf()).not.toBe(held);
    expect((await commit("reader", { name: "a", guard: await revisionOf() })).status).toBe(403);
    expect((await commit("writer", { name: "b", guard: "r" })).status).toBe(404);
  });
});

describe("tombstones of an importer", () => {
  it("take a version away only while nothing moved the head that they were judged by", async () => {
    const { commit, registry, driver } = world();
    await registry.storePrompt({ name: "a", text: documentOf("a", "1.0.0").text });
    const { text } = tombstoneOf(documentOf("a", "1.0.0"));
    const bare = () => commit("admin", { name: "a", remove: [{ version: "1.0.0", text }] });
    const original = driver.commit;
    driver.commit = async (...given) => {
      driver.commit = original;
      // Between the look and the change.
      await registry.setLabel("a", "production", "1.0.0");
      return original.apply(driver, given);
    };
    expect((await bare()).json.outcomes).toMatchObject([{ status: "conflict" }]);
    expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
    expect((await bare()).json).toMatchObject({ code: "CONFLICT" });
    await registry.removeLabel("a", "production");
    expect((await bare()).json.outcomes).toMatchObject([{ status: "done" }]);
  });
});

function at(prompt: string) {
  return { prompt, action: "commits.post", address: "127.0.0.1" };
}

describe("a commit that is sent again under its id", () => {
  it("does nothing twice, and tells what became of the first one", async () => {
    const { commit, registry, send } = world();
    const actions = async () => (await registry.history("a").all()).map((entry) => entry.action);
    for (const token of ["writer", "admin"] as const) {
      const change = add("a", token === "writer" ? "1.0.0" : "1.1.0");
      expect((await commit(token, change)).json.outcomes).toMatchObject([{ status: "done" }]);
      const before = await registry.getPrompt("a");
      // Sealed by the server or by its sender: the text is there to compare.
      const again = (await commit(token, change)).json.outcomes;
      expect(again).toMatchObject([{ status: "exists", existing: { version: before.version } }]);
      expect(again[0].existing.text).toContain(before.text);
      expect((await registry.getPrompt("a")).digest).toBe(before.digest);
    }
    const next = { labels: { beta: "1.0.0" }, yanked: {} };
    const entry = { at: AT, action: "label", label: "beta", to: "1.0.0", commit: "c" };
    const label = { name: "a", head: { expect: null, next, entries: [entry] } };
    expect((await commit("admin", label)).json.outcomes).toMatchObject([{ status: "done" }]);
    expect((await commit("admin", label)).json.outcomes).toMatchObject([{ status: "conflict" }]);
    expect(await actions()).toEqual(expect.arrayContaining(["label", "publish", "publish"]));
    expect(await actions()).toHaveLength(3);
    const { json } = await send("GET", "/v1/prompts/a/-/history", { token: "reader" });
    expect(json.items.filter(({ commit: id }: { commit?: string }) => id === "c")).toMatchObject([{ label: "beta" }]);
  });
});
