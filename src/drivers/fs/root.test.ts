import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StorageDriver, Timestamp } from "../../driver.ts";
import { cache, fallback, stack } from "../../layers/index.ts";
import { parseLabel, parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { parseVersion } from "../../semver.ts";
import { commitOf, documentOf } from "../../testing/builders.ts";
import { memory } from "../memory.ts";
import { nodeIo, watched } from "./io.ts";
import { bench, drop, settle, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const triage = parseName("support/triage");
const FILES = { "support/triage/v1.0.0.md": "one\n", "support/triage/production.md": "-> v1.0.0.md" };
const GONE = { code: "UNAVAILABLE", outcome: "temporary" };

/** Every way to look, by name. */
const LOOKS: Readonly<Record<string, (driver: StorageDriver) => Promise<unknown>>> = {
  version: (driver) => driver.read([{ name: triage, selector: { kind: "version", version: parseVersion("1.0.0") } }]),
  label: (driver) => driver.read([{ name: triage, selector: { kind: "label", label: parseLabel("production") } }]),
  latest: (driver) => driver.read([{ name: triage, selector: { kind: "latest" } }]),
  head: (driver) => driver.read([{ name: triage, selector: { kind: "head" } }]),
  "several at once": (driver) =>
    driver.read([
      { name: triage, selector: { kind: "latest" } },
      { name: parseName("never"), selector: { kind: "latest" } },
    ]),
  "a name that never was": (driver) => driver.read([{ name: parseName("never"), selector: { kind: "latest" } }]),
  listPrompts: (driver) => driver.listPrompts({ limit: 10 }),
  "listPrompts with heads": (driver) => driver.listPrompts({ limit: 10, include: "heads" }),
  listVersions: (driver) => driver.listVersions(triage, { limit: 10 }),
  history: (driver) => driver.history(triage, { limit: 10 }),
  changes: (driver) => driver.changes({ limit: 10, cursor: "1:0:" }),
  "changes from now on": (driver) => driver.changes({ limit: 10 }),
  repair: (driver) => driver.repair({ repair: [], at: "2026-01-01T00:00:00.000Z" as Timestamp }),
};

async function expectGone(driver: StorageDriver): Promise<void> {
  for (const [name, look] of Object.entries(LOOKS)) await expect(look(driver), name).rejects.toMatchObject(GONE);
  const add = [documentOf("other", "1.0.0")];
  const [outcome] = await driver
    .commit(commitOf({ name: parseName("other"), add }))
    .catch((error: unknown) => [{ status: "failed", error }]);
  expect(outcome).toMatchObject({ status: "failed", error: GONE });
  const health = await driver.check();
  expect(health.ok).toBe(false);
  expect(health.checks[0]?.detail).toContain("is its disk mounted?");
  expect(driver.peek?.({ name: triage, selector: { kind: "latest" } })).toBeUndefined();
}

async function expectThere(driver: StorageDriver): Promise<void> {
  const [answer] = await driver.read([{ name: triage, selector: { kind: "label", label: parseLabel("production") } }]);
  expect(answer).toMatchObject({ status: "found", document: { version: "1.0.0" } });
  expect((await driver.listPrompts({ limit: 10 })).items).toMatchObject([{ name: triage }]);
  expect((await driver.check()).ok).toBe(true);
}

describe.each(["embedded", "server"] as const)("the root, %s", (mode) => {
  it.each(Object.keys(LOOKS))("that vanished is no empty registry: %s, first after it", async (name) => {
    const path = newPath();
    drop(path, FILES);
    const driver = open(path, { mode });
    await expectThere(driver);
    renameSync(path, `${path}.away`);
    await expect(LOOKS[name]?.(driver)).rejects.toMatchObject(GONE);
    renameSync(`${path}.away`, path);
    await expectThere(driver);
  });

  it.each([
    ["nothing", () => {}],
    ["an empty mount point", (path: string) => mkdirSync(path)],
    ["an empty mount point of the prompts", (path: string) => mkdirSync(join(path, "prompts"), { recursive: true })],
    ["a new disk", (path: string) => mkdirSync(join(path, "prompts/lost+found"), { recursive: true })],
  ])("with %s in its place is refused, remembered or not, until it is back", async (_, replace) => {
    const path = newPath();
    drop(path, FILES);
    await settle();
    const driver = open(path, { mode });
    for (const look of Object.values(LOOKS)) await look(driver);
    await expectThere(driver);
    renameSync(path, `${path}.away`);
    replace(path);
    await expectGone(driver);
    await expectGone(driver);
    rmSync(path, { recursive: true, force: true });
    renameSync(`${path}.away`, path);
    await expectThere(driver);
    expect(tree(path).filter((file) => file.includes("other"))).toEqual([]);
  });

  it("that only its health was asked of, and that an empty one took the place of, is refused", async () => {
    const path = newPath();
    drop(path, FILES);
    const driver = open(path, { mode });
    expect((await driver.check()).ok).toBe(true);
    renameSync(path, `${path}.away`);
    mkdirSync(join(path, "prompts"), { recursive: true });
    await expectGone(driver);
  });

  it("that is replaced by another one with something in it is that one from then on", async () => {
    const path = newPath();
    drop(path, FILES);
    const driver = open(path, { mode });
    for (const look of Object.values(LOOKS)) await look(driver);
    renameSync(path, `${path}.away`);
    drop(path, { "other/v2.0.0.md": "two\n" });
    expect(await LOOKS.latest?.(driver)).toMatchObject([{ status: "absent" }]);
    expect(await LOOKS.listPrompts?.(driver)).toMatchObject({ items: [{ name: "other" }] });
    const add = [documentOf("third", "1.0.0")];
    expect(await driver.commit(commitOf({ name: parseName("third"), add }))).toMatchObject([{ status: "done" }]);
    expect((await driver.check()).ok).toBe(true);
  });

  it("that is reached through a link is looked for anew when its folder is gone", async () => {
    const path = newPath();
    drop(`${path}.1`, FILES);
    drop(`${path}.2`, FILES);
    drop(`${path}.2`, { "new/v1.0.0.md": "new\n" });
    symlinkSync(`${path}.1`, path);
    const driver = open(path, { mode });
    for (const look of Object.values(LOOKS)) await look(driver);
    rmSync(path);
    symlinkSync(`${path}.2`, path);
    rmSync(`${path}.1`, { recursive: true });
    expect(await driver.read([{ name: parseName("new"), selector: { kind: "latest" } }])).toMatchObject([
      { status: "found" },
    ]);
    expect(await LOOKS.listPrompts?.(driver)).toMatchObject({ items: [{ name: "new" }, { name: triage }] });
  });

  it("that never was, or never held anything, is an empty registry", async () => {
    const path = newPath();
    const driver = open(path, { mode });
    const empty = async () => {
      expect(await LOOKS.latest?.(driver)).toMatchObject([{ status: "absent" }]);
      expect(await LOOKS.listPrompts?.(driver)).toEqual({ items: [] });
      expect((await driver.check()).ok).toBe(true);
    };
    await empty();
    mkdirSync(join(path, "prompts"), { recursive: true });
    await empty();
    renameSync(path, `${path}.away`);
    mkdirSync(join(path, "prompts"), { recursive: true });
    await empty();
  });

  it("from which all was taken by hand is an empty registry", async () => {
    const path = newPath();
    drop(path, FILES);
    const driver = open(path, { mode });
    for (const look of Object.values(LOOKS)) await look(driver);
    rmSync(join(path, "prompts/support"), { recursive: true });
    expect(await LOOKS.latest?.(driver)).toMatchObject([{ status: "absent" }]);
    expect(await LOOKS.version?.(driver)).toMatchObject([{ status: "absent" }]);
    expect(await LOOKS.listPrompts?.(driver)).toEqual({ items: [] });
    expect(await LOOKS.listVersions?.(driver)).toMatchObject({ items: [] });
  });

  it("that goes while it is listed does not end in a shorter list", async () => {
    const path = newPath();
    drop(path, FILES);
    drop(path, { "a/v1.0.0.md": "a\n", "b/v1.0.0.md": "b\n" });
    let countdown = 0;
    const io = watched(nodeIo, (name, args) => {
      if (name === "lstat" && String(args[0]).endsWith("/b") && --countdown === 0) renameSync(path, `${path}.away`);
    });
    const driver = open(path, { mode, io });
    expect((await driver.listPrompts({ limit: 10 })).items).toHaveLength(3);
    countdown = 1;
    await expect(driver.listPrompts({ limit: 10 })).rejects.toMatchObject(GONE);
  });

  it("costs one call where the answer is absent, and none where it is not", async () => {
    const path = newPath();
    drop(path, FILES);
    await settle();
    let looks = 0;
    const io = watched(nodeIo, (name, args) => {
      if (name === "lstat" && args[0] === join(path, "prompts")) looks++;
    });
    const driver = open(path, { mode, io });
    await LOOKS.version?.(driver);
    await LOOKS.label?.(driver);
    looks = 0;
    await LOOKS.version?.(driver);
    await LOOKS.label?.(driver);
    await LOOKS.history?.(driver);
    expect(looks).toBe(0);
    await LOOKS["a name that never was"]?.(driver);
    expect(looks).toBe(1);
  });
});

it("that vanished leaves the answers to a cache, and what that does not know to a fallback", async () => {
  const path = newPath();
  drop(path, FILES);
  drop(path, { "other/v1.0.0.md": "other\n" });
  const copy = memory();
  await copy.commit(commitOf({ name: parseName("other"), add: [documentOf("other", "1.0.0")] }));
  const registry = new PromptRegistry(
    stack(open(path), [cache({ ttl: 0, staleWhileRevalidate: 0 }), fallback([copy])]),
  );
  expect(await registry.getPrompt("support/triage@production")).toMatchObject({ version: "1.0.0", stale: false });
  renameSync(path, `${path}.away`);
  for (let i = 0; i < 2; i++) {
    const known = await registry.getPrompt("support/triage@production");
    expect(known).toMatchObject({ version: "1.0.0", source: "cache", stale: true });
    expect(await registry.getPrompt("other")).toMatchObject({ version: "1.0.0", stale: true });
  }
  renameSync(`${path}.away`, path);
  await registry.close();
});
