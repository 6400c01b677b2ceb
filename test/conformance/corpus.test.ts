import { applyPatch } from "diff";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { loadCorpus, type Revision } from "../support/corpus.ts";
import { temporaryFolder } from "../support/fs-suite.ts";

const { revisions, full } = loadCorpus();
const byName = grouped(revisions);
const folder = temporaryFolder("corpus");

function grouped(all: readonly Revision[]): Map<string, Revision[]> {
  const groups = new Map<string, Revision[]>();
  for (const revision of all) groups.set(revision.name, [...(groups.get(revision.name) ?? []), revision]);
  return groups;
}

const refOf = ({ name, version }: Revision) => `${name}@${version}`;
const digests = new Map<string, Map<string, string>>();

const backends: readonly {
  readonly name: string;
  readonly open: (path: string) => StorageDriver;
  readonly keeps: boolean;
}[] = [
  { name: "memory", open: () => memory(), keeps: false },
  { name: "fs", open: (path) => fs({ path }), keeps: true },
  { name: "fs, server", open: (path) => fs({ path, mode: "server" }), keeps: true },
];

describe.each(backends)("a corpus of real prompts in $name", ({ name: backend, open, keeps }) => {
  const path = folder();
  let now = new Date(0);
  let registry: PromptRegistry;
  const connect = () => new PromptRegistry(open(path), { author: "corpus", now: () => now });

  async function readsBack(): Promise<void> {
    const prompts = await registry.getPrompts(revisions.map(refOf));
    prompts.forEach((prompt, i) => {
      const { text, committedAt } = revisions[i] as Revision;
      if (prompt.text !== text) expect.fail(`${prompt.ref} did not come back byte for byte`);
      if (prompt.createdAt !== new Date(committedAt).toISOString()) expect.fail(`${prompt.ref} has lost its time`);
    });
    expect(prompts.map((p) => p.ref)).toEqual(revisions.map(refOf));
  }

  beforeAll(async () => {
    registry = connect();
    for (const { name, text, committedAt } of revisions) {
      now = new Date(committedAt);
      const stored = await registry.storePrompt({ name, bump: "minor", text });
      if (stored.status !== "created") expect.fail(`${stored.ref} was there already`);
    }
  }, 120_000);
  afterAll(() => registry.close());

  it("has them all, each revision a minor bump", async () => {
    if (full) expect([byName.size, revisions.length]).toEqual([233, 792]);
    for (const [name, of] of byName) {
      const versions = (await registry.listVersions(name).all()).map((e) => e.version);
      expect(versions).toEqual(of.map((r) => r.version).reverse());
    }
  });

  it("reads every version back byte for byte, one by one and all at once", async () => {
    await readsBack();
    for (const revision of revisions) {
      const { text } = await registry.getPrompt(refOf(revision));
      if (text !== revision.text) expect.fail(`${refOf(revision)} did not come back byte for byte`);
    }
  });

  it("lists the names in byte order, with their latest versions", async () => {
    const names = [...byName.keys()].sort();
    for (const limit of [7, 1000]) {
      const entries = await registry.listPrompts({ limit, include: "heads" }).all();
      expect(entries.map((e) => e.name)).toEqual(names);
      expect(entries.map((e) => e.head?.latest)).toEqual(names.map((name) => byName.get(name)?.at(-1)?.version));
    }
  });

  it("has the history of each, in the order of the commits", async () => {
    for (const [name, of] of byName) {
      const entries = await registry.history(name).all();
      expect(entries.map((e) => e.at)).toEqual(
        of
          .map((r) => new Date(r.committedAt).toISOString())
          .sort()
          .reverse(),
      );
      expect(new Set(entries.map((e) => e.to))).toEqual(new Set(of.map((r) => r.version)));
    }
  });

  it("diffs each revision with the one before, and the patch makes one of the other", async () => {
    for (const of of byName.values()) {
      for (const [i, next] of of.entries()) {
        const before = of[i - 1];
        if (before === undefined) continue;
        const diff = await registry.diff(refOf(before), `@${next.version}`);
        expect(diff.identical).toBe(before.text === next.text);
        if (!diff.unified.includes("\n@@ ")) continue;
        if (applyPatch(before.text, diff.unified) !== next.text)
          expect.fail(`the patch to ${refOf(next)} does not apply`);
      }
    }
  });

  it("rolls back every prompt that has an earlier revision, and forward again", async () => {
    for (const [name, of] of byName) {
      const [latest, earlier] = [of.at(-1), of.at(-2)];
      if (latest === undefined || earlier === undefined) continue;
      expect((await registry.rollback(name)).version).toBe(earlier.version);
      expect((await registry.getPrompt(name)).text).toBe(earlier.text);
      await registry.unpin(name);
      expect((await registry.getPrompt(name)).text).toBe(latest.text);
    }
  }, 120_000);

  it("verifies", async () => {
    const report = await registry.verify();
    expect(report).toMatchObject({
      ok: true,
      prompts: byName.size,
      documents: revisions.length,
      unsealed: 0,
      problems: [],
    });
    expect((await registry.doctor()).findings).toEqual([]);
  });

  it("has the same digests on every backend", async () => {
    const prompts = await registry.getPrompts(revisions.map(refOf));
    const own = new Map(prompts.map((p) => [p.ref, p.digest as string]));
    for (const [other, theirs] of digests) expect(own, `${backend} and ${other}`).toEqual(theirs);
    digests.set(backend, own);
  });

  if (!keeps) return;
  it("is all there when it is opened again", async () => {
    await registry.close();
    registry = connect();
    await readsBack();
    expect((await registry.verify()).ok).toBe(true);
    for (const [name, of] of byName) expect((await registry.getPrompt(name)).version).toBe(of.at(-1)?.version);
  });
});
