import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRegistry } from "../../src/config.ts";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { createPolicy, type Publication, type PublishPolicy } from "../../src/policy/index.ts";
import { PromptRegistry } from "../../src/registry.ts";

const TOKEN = `gh${"p_"}${"a1B2c3D4e5F6".repeat(3)}`;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "prompt-registry-policy-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const STORAGES: Readonly<Record<string, () => StorageDriver | Promise<StorageDriver>>> = {
  memory,
  fs: () => fs({ path: folder() }),
  sqlite: () => sqlite({ path: ":memory:" }),
};

async function open(make: () => StorageDriver | Promise<StorageDriver>, policy: PublishPolicy = createPolicy()) {
  const driver = await make();
  const commits: number[] = [];
  const counted: StorageDriver = {
    ...driver,
    peek: (ask) => driver.peek(ask),
    read: (asks, op) => driver.read(asks, op),
    listPrompts: (query, op) => driver.listPrompts(query, op),
    listVersions: (name, query, op) => driver.listVersions(name, query, op),
    history: (name, query, op) => driver.history(name, query, op),
    changes: (query, op) => driver.changes(query, op),
    commit: (commit, op) => {
      commits.push(commit.changes.length);
      return driver.commit(commit, op);
    },
    repair: (plan, op) => driver.repair(plan, op),
    check: (op) => driver.check(op),
    close: () => driver.close(),
  };
  const registry = new PromptRegistry(counted, { policy });
  onTestFinished(() => registry.close());
  return { registry, commits };
}

describe.each(Object.entries(STORAGES))("policy over %s", (_, make) => {
  test("what is blocked is never sent to the storage", async () => {
    const { registry, commits } = await open(make);
    const request = { name: "a", version: "1.0.0", text: `Use ${TOKEN}`, labels: ["production"] };
    await expect(registry.storePrompt(request)).rejects.toMatchObject({
      code: "INVALID",
      outcome: "final",
      context: { field: "policy", name: "a", version: "1.0.0" },
    });
    expect(commits).toEqual([]);
    expect((await registry.listPrompts()).items).toEqual([]);
  });

  test("an allowance publishes it, tells it, and is in message and history", async () => {
    const { registry } = await open(make);
    const allow = { rules: ["secret/github" as const], reason: "revoked" };
    const stored = await registry.storePrompt({
      ...{ name: "a", version: "1.0.0", text: `Use ${TOKEN}`, message: "m", labels: ["staging"], allow },
    });
    expect(stored.overridden).toMatchObject([{ rule: "secret/github", shown: "ghp_… (40 characters)" }]);
    const message = "m [policy override: secret/github: revoked]";
    expect((await registry.getPrompt("a")).message).toBe(message);
    const history = await registry.history("a").all();
    expect(history.map((e) => [e.action, e.message])).toEqual(
      expect.arrayContaining([
        ["publish", message],
        ["label", message],
      ]),
    );
    await expect(
      registry.storePrompt({ name: "b", version: "1.0.0", text: "t", allow: { ...allow, reason: "" } }),
    ).rejects.toMatchObject({ code: "INVALID", context: { field: "allow" } });
  });

  test("of many, each stands for itself; with atomic, none is stored", async () => {
    const { registry } = await open(make);
    const requests = [
      { name: "a", version: "1.0.0", text: "fine" },
      { name: "b", version: "1.0.0", text: `Use ${TOKEN}` },
      { name: "c", version: "1.0.0", text: "{{x}}" },
      { name: "c", bump: "patch" as const, text: "{{y}}" },
      { name: "c", bump: "minor" as const, text: "{{x}} again" },
    ];
    const results = await registry.storePrompts(requests);
    expect(results.map((r) => (r.status === "failed" ? r.error.context.field : r.ref))).toEqual([
      "a@1.0.0",
      "policy",
      "c@1.0.0",
      "policy",
      "c@1.1.0",
    ]);
    expect((await registry.listPrompts().all()).map((p) => p.name)).toEqual(["a", "c"]);
    if (registry.driver.capabilities.atomicity !== "batch") return;
    const others = requests.map((r) => ({ ...r, name: `all/${r.name}` }));
    await expect(registry.storePrompts(others, { atomic: true })).rejects.toMatchObject({ code: "INVALID" });
    expect((await registry.listPrompts({ prefix: "all/" })).items).toEqual([]);
  });

  test("the bump is judged against the highest release below, that is neither yanked nor removed", async () => {
    const seen: Publication[] = [];
    const policy = createPolicy();
    const { registry } = await open(make, (publication) => {
      seen.push(publication);
      return policy(publication);
    });
    const store = (version: string, text: string) => registry.storePrompt({ name: "a", version, text });
    await store("1.0.0", "{{a}}");
    await store("2.0.0", "{{a}} {{b}}");
    await store("2.1.0-beta.1", "{{a}} {{b}} x");
    await store("2.0.1", "{{a}} {{b}} y");
    await store("1.0.1", "{{a}} z");
    expect(seen.map((p) => [p.version, p.previous?.version])).toEqual([
      ["1.0.0", undefined],
      ["2.0.0", "1.0.0"],
      ["2.1.0-beta.1", "2.0.0"],
      ["2.0.1", "2.0.0"],
      ["1.0.1", "1.0.0"],
    ]);
    await registry.yank("a", "2.0.1");
    await registry.deleteVersion("a", "2.0.0");
    await expect(store("1.0.2", "{{b}}")).rejects.toMatchObject({ context: { field: "policy" } });
    await store("2.0.2", "{{b}}");
    expect(seen.at(-1)?.previous?.version).toBe("1.0.1");
  });

  test("what is there already is not asked about again", async () => {
    let asked = 0;
    const { registry } = await open(make, () => {
      asked++;
      return [];
    });
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    expect((await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" })).status).toBe("unchanged");
    expect((await registry.storePrompt({ name: "a", bump: "patch", text: "t", labels: ["staging"] })).status).toBe(
      "unchanged",
    );
    expect(asked).toBe(1);
  });

  test("of writers that raise the number at once, each is judged by what it then is", async () => {
    const { registry } = await open(make);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "{{a}}" });
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        registry.storePrompt({ name: "a", bump: "patch", text: i % 2 === 0 ? `{{a}} ${i}` : `{{b}} ${i}` }),
      ),
    );
    expect(results.map((r) => r.status)).toEqual(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? "fulfilled" : "rejected")),
    );
    expect(await registry.listVersions("a").all()).toHaveLength(5);
  });
});

test("a policy that fails fails the publication, and nothing is stored", async () => {
  const { registry } = await open(memory, () => Promise.reject(new Error("no answer")));
  await expect(registry.storePrompt({ name: "a", version: "1.0.0", text: "t" })).rejects.toThrow("no answer");
  expect((await registry.listPrompts()).items).toEqual([]);
});

test("openRegistry has no policy unless it is asked for", async () => {
  const text = `Use ${TOKEN}`;
  for (const [input, options, stored] of [
    ["memory:", {}, true],
    ["memory:", { defaultPolicy: true }, false],
    [{ storage: "memory:", policy: true }, {}, false],
    [{ storage: "memory:", policy: false }, { defaultPolicy: true }, true],
    [{ storage: "memory:", policy: { rules: { "secret/github": "off" } } }, {}, true],
  ] as const) {
    const registry = await openRegistry(input, { configFile: false, env: {}, ...options });
    const done = registry.storePrompt({ name: "a", version: "1.0.0", text });
    if (stored) expect((await done).status).toBe("created");
    else await expect(done).rejects.toMatchObject({ context: { field: "policy" } });
    await registry.close();
  }
});
