import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { HistoryEntry, Outcome, StorageDriver } from "../../driver.ts";
import { decodeHead, encodeHead } from "../../head.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { commitOf, documentOf, headOf } from "../../testing/builders.ts";
import { MAX_FILE_BYTES, MAX_HEAD_BYTES } from "./files.ts";
import { bench, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const AT = "2026-01-01T00:00:00.000Z";
const name = parseName("a");

const entry = (message: string): HistoryEntry => ({ at: AT, action: "unyank", message });

async function tell(driver: StorageDriver, entries: readonly HistoryEntry[], version?: string): Promise<Outcome> {
  const [answer] = await driver.read([{ name, selector: { kind: "head" } }]);
  const expectRevision = answer?.status === "head" ? answer.head.revision : null;
  const add = version === undefined ? {} : { add: [documentOf("a", version)] };
  const [outcome] = await driver.commit(
    commitOf({ name, ...add, head: { expect: expectRevision, next: headOf({}), entries } }),
  );
  return outcome as Outcome;
}

// Much is written and read here, on machines that may do much else.
const ENOUGH_MS = 60_000;

describe("a head that is larger than any document", { timeout: ENOUGH_MS }, () => {
  it("is read again, and the prompt goes on", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path));
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    await registry.setLabel("a", "production", "1.0.0");
    const long = Array.from({ length: 30 }, (_, i) => entry(`${i} ${"退".repeat(40_000)}`));
    expect(await tell(open(path), long)).toMatchObject({ status: "done" });
    const [file] = readdirSync(join(path, "prompts/a/.heads")).sort().reverse();
    expect(statSync(join(path, "prompts/a/.heads", file as string)).size).toBeGreaterThan(MAX_FILE_BYTES);
    const after = new PromptRegistry(open(path));
    const stored = await after.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
    expect(stored).toMatchObject({ status: "created", latest: "1.1.0" });
    expect(stored.warnings).toBeUndefined();
    expect(await after.setLabel("a", "production", "1.1.0")).toMatchObject({ status: "changed" });
    expect(await after.getPrompt("a@production")).toMatchObject({ text: "two\n" });
    expect((await after.history("a").all()).filter((e) => e.action === "unyank").length).toBe(30);
    expect((await after.listVersions("a").all()).length).toBe(2);
  });

  it("is shown in latest.json by its newest entries, which stay small enough for everybody", async () => {
    const path = newPath();
    const driver = open(path);
    await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    for (let i = 0; i < 5; i++) {
      await tell(
        driver,
        Array.from({ length: 10 }, (_, k) => entry(`${i}.${k} ${"退".repeat(15_000)}`)),
      );
    }
    const file = join(path, "prompts/a/latest.json");
    expect(statSync(file).size).toBeLessThan(MAX_FILE_BYTES);
    const { history, head } = decodeHead(readFileSync(file, "utf8"), name, "latest.json");
    expect(head.generation).toBe(5);
    expect(history.length).toBeGreaterThan(15);
    expect(history.at(-1)?.message).toMatch(/^4\.9 /);
    // None in between is missing.
    expect(history[0]?.message?.slice(0, 4)).toBe(
      `${4 - Math.floor((history.length - 1) / 10)}.${10 - (history.length % 10 || 10)} `,
    );
    expect((await driver.history(name, { limit: 1000 })).items.length).toBe(51);
    expect((await driver.repair({ repair: [], at: AT })).findings).toEqual([]);
  });

  it("is refused before anything of the change is there, where it could not be read back", async () => {
    const path = newPath();
    const driver = open(path);
    await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    const before = tree(path);
    const huge = Array.from({ length: 65 }, () => entry("x".repeat(2 ** 20)));
    const outcome = await tell(driver, huge, "1.1.0");
    expect(outcome).toMatchObject({ status: "failed", error: { code: "INVALID", outcome: "final" } });
    expect(tree(path)).toEqual(before);
    expect(await tell(driver, [entry("short")], "1.1.0")).toMatchObject({ status: "done" });
  });
});

describe("a clone without generations", { timeout: ENOUGH_MS }, () => {
  it("reads a long latest.json, and loses none of it when it goes on", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path));
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    await registry.setLabel("a", "production", "1.0.0");
    const file = join(path, "prompts/a/latest.json");
    const record = decodeHead(readFileSync(file, "utf8"), name, "latest.json");
    const history = Array.from({ length: 30 }, (_, i) => entry(`${i} ${"x".repeat(90_000)}`));
    writeFileSync(file, encodeHead({ ...record, history }));
    expect(statSync(file).size).toBeGreaterThan(MAX_FILE_BYTES);
    rmSync(join(path, "prompts/a/.heads"), { recursive: true });
    const clone = new PromptRegistry(open(path));
    expect(await clone.getPrompt("a@production")).toMatchObject({ version: "1.0.0" });
    // A plain publish writes the hint in it anew.
    await clone.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
    const again = decodeHead(readFileSync(file, "utf8"), name, "latest.json");
    expect([again.latest, again.history.length]).toEqual(["1.1.0", 30]);
    await clone.setLabel("a", "production", "1.1.0");
    const entries = await new PromptRegistry(open(path)).history("a").all();
    expect(entries.filter((e) => e.action !== "publish").length).toBe(31);
  });

  it("says so of a latest.json that is larger than is read", async () => {
    const path = newPath();
    await open(path).commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    writeFileSync(join(path, "prompts/a/latest.json"), Buffer.alloc(MAX_HEAD_BYTES + 1, 0x20));
    const ask = { name, selector: { kind: "latest" } } as const;
    await expect(open(path).read([ask])).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
