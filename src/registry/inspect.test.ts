import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../driver.ts";
import { fs } from "../drivers/fs/index.ts";
import { nodeIo } from "../drivers/fs/io.ts";
import { PromptRegistry } from "../registry.ts";

const root = mkdtempSync(join(tmpdir(), "inspect-"));
let count = 0;
afterAll(() => rmSync(root, { recursive: true, force: true }));

const newPath = () => join(root, String(count++));
const open = (path: string) => new PromptRegistry(fs({ path }));

/** A registry that can't put a tombstone, as one that was killed before it. */
function stoppedAt(path: string, file: string): PromptRegistry {
  const rename = (from: string, to: string) => {
    if (to.endsWith(`/${file}`)) throw Object.assign(new Error("killed"), { code: "EIO" });
    nodeIo.sync.rename(from, to);
  };
  return new PromptRegistry(fs({ path, io: { sync: { ...nodeIo.sync, rename }, async: nodeIo.async } }));
}

async function halfRemoved(): Promise<{ path: string; copy: string }> {
  const path = newPath();
  const registry = open(path);
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "secret\n" });
  await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
  const ask = { name: "a", selector: { kind: "version", version: "1.0.0" } } as never;
  const [answer] = await registry.driver.read([ask]);
  await expect(stoppedAt(path, "v1.0.0.md").deleteVersion("a", "1.0.0")).rejects.toMatchObject({ outcome: "unknown" });
  return { path, copy: answer?.status === "found" ? answer.document.text : "" };
}

it("what a clock that is ahead wrote is told, until its time has come", async () => {
  const path = newPath();
  let now = Date.UTC(2026, 0, 1);
  const at = (off: number) => new PromptRegistry(fs({ path }), { author: "ada", now: () => new Date(now + off) });
  await at(0).storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
  await at(4 * 60_000).setLabel("a", "eu", "1.0.0");
  expect(await at(0).verify()).toMatchObject({ ok: true, problems: [], warnings: [] });
  await at(3_600_000).setLabel("a", "us", "1.0.0");
  await at(3_600_000).storePrompt({ name: "b", version: "1.0.0", text: "one\n" });
  const warnings = [
    expect.stringMatching(/^a was changed last at a time that has not come, 2026-01-01T01/),
    expect.stringMatching(/^b@1.0.0 was stored at a time/),
  ];
  expect(await at(0).verify()).toMatchObject({ ok: true, problems: [], warnings });
  expect(await at(0).doctor({ fix: true })).toMatchObject({ ok: true, findings: [], warnings });
  now += 3_600_000;
  expect(await at(0).verify()).toMatchObject({ ok: true, problems: [], warnings: [] });
});

const PROBLEM = {
  ...{ kind: "foreign", name: "a", version: "1.0.0", repaired: false },
  detail: expect.stringMatching(/still served.*delete it again, or restore it/),
};

describe("a removal that was stopped before its tombstone", () => {
  it("is told by verify and doctor, which leave it as it is, and ends when it is deleted again", async () => {
    const { path } = await halfRemoved();
    const registry = open(path);
    expect((await registry.getPrompt("a@1.0.0")).text).toBe("secret\n");
    expect(await registry.verify()).toMatchObject({ ok: false, problems: [PROBLEM] });
    expect(await registry.doctor({ fix: true })).toMatchObject({
      ok: false,
      findings: expect.arrayContaining([PROBLEM]),
    });
    expect((await registry.getPrompt("a@1.0.0")).text).toBe("secret\n");
    expect(await registry.deleteVersion("a", "1.0.0")).toMatchObject({ status: "removed", versions: ["1.0.0"] });
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await open(path).verify()).toMatchObject({ ok: true, documents: 1, tombstones: 1 });
    expect((await open(path).doctor({ fix: true })).ok).toBe(true);
  });

  it("ends as well when the version is restored", async () => {
    const { path, copy } = await halfRemoved();
    expect(await open(path).restoreVersion({ name: "a", version: "1.0.0", text: copy })).toMatchObject({
      status: "changed",
    });
    expect(await open(path).verify()).toMatchObject({ ok: true, documents: 2, tombstones: 0 });
    expect((await open(path).getPrompt("a@1.0.0")).text).toBe("secret\n");
  });

  it("of a whole prompt ends when the prompt is deleted again", async () => {
    const path = newPath();
    await open(path).storePrompt({ name: "a", version: "1.0.0", text: "secret\n" });
    await expect(stoppedAt(path, "v1.0.0.md").deletePrompt("a")).rejects.toMatchObject({ outcome: "unknown" });
    expect(await open(path).verify()).toMatchObject({ problems: [PROBLEM] });
    expect(await open(path).deletePrompt("a")).toMatchObject({ versions: ["1.0.0"] });
    expect(await open(path).verify()).toMatchObject({ ok: true, tombstones: 1 });
  });

  it("that is still going on is not told", async () => {
    const path = newPath();
    const registry = open(path);
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: `${version}\n` });
    await expect(stoppedAt(path, "v1.0.0.md").deleteVersion("a", "1.0.0")).rejects.toMatchObject({
      outcome: "unknown",
    });
    const inner = fs({ path });
    let reads = 0;
    const racing: StorageDriver = Object.assign(Object.create(inner), {
      peek: () => undefined,
      // The head, both versions, and then the head again.
      read: async (...args: Parameters<StorageDriver["read"]>) => {
        if (++reads === 4) await registry.deleteVersion("a", "1.0.0");
        return inner.read(...args);
      },
    });
    expect(await new PromptRegistry(racing).verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe("what doctor repairs unasked", () => {
  it("is not a file that only looks like a prompt of an old layout", async () => {
    const path = newPath();
    mkdirSync(join(path, "prompts"), { recursive: true });
    const notes = join(path, "prompts/readme.md");
    writeFileSync(notes, "How we write prompts.\n");
    const registry = open(path);
    expect(await registry.doctor({ fix: true })).toMatchObject({
      ok: false,
      findings: [{ kind: "legacy", path: "readme.md", repaired: false }],
    });
    expect(existsSync(notes)).toBe(true);
    const named = await registry.doctor({ fix: ["legacy"] });
    expect(named.findings).toContainEqual(expect.objectContaining({ kind: "legacy", repaired: true }));
    expect([existsSync(notes), existsSync(join(path, "prompts/readme/v0.0.0.md"))]).toEqual([false, true]);
  });
});
