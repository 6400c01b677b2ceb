import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Finding, FindingKind } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { bench, drop, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const AT = "2026-01-01T00:00:00.000Z";

async function doctor(path: string, repair: readonly FindingKind[] = []): Promise<Finding[]> {
  return [...(await open(path).repair({ repair, at: AT, by: "doctor" })).findings];
}

const brief = (findings: readonly Finding[]) => findings.map(({ kind, path, repaired }) => [kind, path, repaired]);
const names = async (registry: PromptRegistry) => (await registry.listPrompts().all()).map((p) => p.name);

/** What `cp -rL`, `scp -r` and many archives make of a registry: every link is a file. */
function copied(path: string): string {
  const copy = newPath();
  mkdirSync(copy);
  execFileSync("cp", ["-rL", join(path, "prompts"), copy]);
  return copy;
}

async function prepared(): Promise<string> {
  const path = newPath();
  const registry = new PromptRegistry(open(path));
  for (const version of ["1.0.0", "1.1.0"]) {
    await registry.storePrompt({ name: "support/triage", version, text: `${"x".repeat(90)} ${version}\n` });
  }
  await registry.setLabel("support/triage", "production", "1.0.0");
  return path;
}

describe("a copy in which links became files", () => {
  it("shows no prompt that was a label, and doctor puts the links back", async () => {
    const source = await prepared();
    const path = copied(source);
    const registry = new PromptRegistry(open(path));
    expect(await names(registry)).toEqual(["support/triage"]);
    await expect(registry.getPrompt("support/triage/production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await registry.verify()).problems).toEqual([]);
    expect(brief(await doctor(path))).toEqual([
      ["projection", "support/triage/production.md", false],
      ["projection", "support/triage/latest.md", false],
    ]);
    expect(await registry.doctor({ fix: true })).toMatchObject({ ok: true });
    const files = (at: string) => tree(at).filter((file) => file !== ".changed");
    expect(files(path)).toEqual(files(source));
    expect(readlinkSync(join(path, "prompts/support/triage/production.md"))).toBe("v1.0.0.md");
    expect(readlinkSync(join(path, "prompts/support/triage/latest.md"))).toBe("v1.1.0.md");
    expect(await doctor(path)).toEqual([]);
  });

  it("is put right for versions without seal, too", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "one, by hand\n" });
    await new PromptRegistry(open(path)).setLabel("a", "production", "1.0.0");
    const copy = copied(path);
    await doctor(copy, ["projection", "legacy"]);
    expect(readlinkSync(join(copy, "prompts/a/production.md"))).toBe("v1.0.0.md");
    expect(existsSync(join(copy, "prompts/a/production"))).toBe(false);
    expect(await names(new PromptRegistry(open(copy)))).toEqual(["a"]);
  });

  it("leaves alone what says of a label something else than the head, unless that is asked for", async () => {
    const path = copied(await prepared());
    const file = (label: string) => join(path, "prompts/support/triage", `${label}.md`);
    writeFileSync(file("staging"), readFileSync(file("v1.0.0")));
    writeFileSync(file("production"), readFileSync(file("v1.1.0")));
    const pending = [
      ["moved-link", "support/triage/production.md", false],
      ["moved-link", "support/triage/staging.md", false],
    ];
    expect(brief(await doctor(path, ["projection", "legacy"])).slice(0, 2)).toEqual(pending);
    expect(lstatSync(file("staging")).isFile()).toBe(true);
    const registry = new PromptRegistry(open(path));
    expect(await names(registry)).toEqual(["support/triage"]);
    expect((await registry.getPrompt("support/triage@production")).version).toBe("1.0.0");
    await doctor(path, ["moved-link", "projection"]);
    expect([readlinkSync(file("staging")), readlinkSync(file("production"))]).toEqual(["v1.0.0.md", "v1.1.0.md"]);
    expect((await new PromptRegistry(open(path)).getPrompt("support/triage@staging")).version).toBe("1.0.0");
    expect(await doctor(path)).toEqual([]);
  });

  it("keeps the labels of a folder that had no head but its links, once that is asked for", async () => {
    const path = copied(await prepared());
    rmSync(join(path, "prompts/support/triage/.heads"), { recursive: true });
    rmSync(join(path, "prompts/support/triage/latest.json"));
    expect(brief(await doctor(path, ["projection"]))).toContainEqual([
      "moved-link",
      "support/triage/production.md",
      false,
    ]);
    await doctor(path, ["moved-link", "projection"]);
    const registry = new PromptRegistry(open(path));
    expect((await registry.getPrompt("support/triage@production")).version).toBe("1.0.0");
    expect(await doctor(path)).toEqual([]);
  });
});

describe("a file that is sealed", () => {
  it("as another prompt is none under its own name, and is reported", async () => {
    const path = await prepared();
    const text = readFileSync(join(path, "prompts/support/triage/v1.0.0.md"));
    writeFileSync(join(path, "prompts/copy.md"), text);
    const registry = new PromptRegistry(open(path));
    expect(await names(registry)).toEqual(["support/triage"]);
    await expect(registry.getPrompt("copy")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(brief(await doctor(path, ["legacy"]))).toEqual([["foreign", "copy.md", false]]);
    await registry.storePrompt({ name: "copy", version: "1.0.0", text: "mine\n" });
    expect((await registry.listVersions("copy").all()).map((v) => v.version)).toEqual(["1.0.0"]);
  });

  it("as this very prompt is the version that it says", async () => {
    const path = await prepared();
    const folder = join(path, "prompts/support");
    writeFileSync(join(folder, "triage.md"), readFileSync(join(folder, "triage/v1.0.0.md")));
    rmSync(join(folder, "triage"), { recursive: true });
    const registry = new PromptRegistry(open(path));
    expect(await registry.getPrompt("support/triage")).toMatchObject({ version: "1.0.0", sealed: true });
    expect(brief(await doctor(path, ["legacy", "projection"]))).toContainEqual(["legacy", "support/triage.md", true]);
    expect(await open(path).listVersions(parseName("support/triage"), { limit: 9 })).toMatchObject({
      items: [{ version: "1.0.0" }],
    });
  });
});

it("a flat file that can't be read keeps doctor from nothing else", async () => {
  const path = await prepared();
  writeFileSync(join(path, "prompts/big.md"), Buffer.alloc(3 * 2 ** 20, 0x61));
  rmSync(join(path, "prompts/support/triage/latest.md"));
  expect(brief(await doctor(path, ["projection"]))).toEqual([
    ["corrupt", "big.md", false],
    ["projection", "support/triage/latest.md", true],
  ]);
});
