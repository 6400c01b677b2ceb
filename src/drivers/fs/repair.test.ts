import { existsSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canonicalSeal } from "../../document.ts";
import type { Finding, FindingKind, RepairPlan } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { parseVersion } from "../../semver.ts";
import { age, bench, drop, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const AT = "2026-01-01T00:00:00.000Z";

async function doctor(
  path: string,
  repair: readonly FindingKind[] = [],
  more: Partial<RepairPlan> = {},
): Promise<Finding[]> {
  return [...(await open(path).repair({ repair, at: AT, by: "doctor", ...more })).findings];
}

const brief = (findings: readonly Finding[]) => findings.map(({ kind, path, repaired }) => [kind, path, repaired]);

async function prepared(): Promise<{ path: string; registry: PromptRegistry; file: (name: string) => string }> {
  const path = newPath();
  const registry = new PromptRegistry(open(path));
  for (const version of ["1.0.0", "1.1.0"])
    await registry.storePrompt({ name: "a", version, text: `text ${version}\n` });
  await registry.setLabel("a", "production", "1.0.0");
  return { path, registry, file: (name) => join(path, "prompts/a", name) };
}

function swap(file: string, target: string): void {
  symlinkSync(target, `${file}.new`);
  renameSync(`${file}.new`, file);
}

describe("repair", () => {
  it("finds nothing in a registry that is well, and touches nothing when not asked to", async () => {
    const { path, file } = await prepared();
    expect(await doctor(path)).toEqual([]);
    rmSync(file("latest.md"));
    writeFileSync(file(".tmp-old"), "half");
    age(file(".tmp-old"), 48 * 3_600_000);
    const before = tree(path);
    expect(brief(await doctor(path))).toEqual([
      ["temp", "a/.tmp-old", false],
      ["projection", "a/latest.md", false],
    ]);
    expect(tree(path)).toEqual(before);
  });

  it("clears temporary files, but not those that are young", async () => {
    const { path, file } = await prepared();
    writeFileSync(file(".tmp-young"), "half");
    writeFileSync(file(".heads/.tmp-old"), "half");
    age(file(".heads/.tmp-old"), 25 * 3_600_000);
    expect(brief(await doctor(path, ["temp"]))).toEqual([["temp", "a/.heads/.tmp-old", true]]);
    expect(existsSync(file(".tmp-young"))).toBe(true);
    expect(brief(await doctor(path, ["temp"], { minTempAge: -1 }))).toEqual([["temp", "a/.tmp-young", true]]);
    expect(await doctor(path, [], { minTempAge: -1 })).toEqual([]);
  });

  it("puts back links and latest.json that are missing or wrong", async () => {
    const { path, file } = await prepared();
    rmSync(file("production.md"));
    swap(file("latest.md"), "v1.0.0.md");
    rmSync(file("latest.json"));
    expect(brief(await doctor(path, ["projection"]))).toEqual([
      ["projection", "a/production.md", true],
      ["projection", "a/latest.md", true],
      ["projection", "a/latest.json", true],
    ]);
    expect(readlinkSync(file("latest.md"))).toBe("v1.1.0.md");
    expect(readlinkSync(file("production.md"))).toBe("v1.0.0.md");
    expect(await doctor(path)).toEqual([]);
  });

  it("adopts a label link that was moved by hand only on purpose, and with a trace", async () => {
    const { path, registry, file } = await prepared();
    await new Promise((resolve) => setTimeout(resolve, 20));
    swap(file("production.md"), "v1.1.0.md");
    expect(brief(await doctor(path, ["projection"]))).toEqual([["moved-link", "a/production.md", false]]);
    expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
    expect(readlinkSync(file("production.md"))).toBe("v1.1.0.md");
    expect(brief(await doctor(path, ["moved-link", "projection"]))).toEqual([
      ["moved-link", "a/production.md", true],
      ["projection", "a/latest.json", true],
    ]);
    expect((await registry.getPrompt("a@production")).version).toBe("1.1.0");
    const { items } = await open(path).history(parseName("a"), { limit: 1000 });
    expect(items).toContainEqual(
      expect.objectContaining({ action: "label", label: "production", from: "1.0.0", to: "1.1.0", by: "doctor" }),
    );
    expect(await doctor(path)).toEqual([]);
  });

  it("seals what was dropped in, as it stands", async () => {
    const { path, file } = await prepared();
    drop(path, { "a/v2.0.0.md": "by hand\n" });
    drop(path, { "a/v2.0.1.md": "---\n- not: a mapping\n---\n" });
    const sealed = canonicalSeal({ name: parseName("a"), version: parseVersion("2.0.0"), text: "by hand\n" });
    expect(brief(await doctor(path, ["unsealed"])).filter(([kind]) => kind === "unsealed")).toEqual([
      ["unsealed", "a/v2.0.0.md", true],
      ["unsealed", "a/v2.0.1.md", false],
    ]);
    expect(readFileSync(file("v2.0.0.md"), "utf8")).toBe(sealed.text);
  });

  it("moves layouts of old into place without changing a byte", async () => {
    const path = newPath();
    drop(path, {
      "a/1.0.0.md": "one\n",
      "a/latest.md": "one\n",
      "flat.md": "---\nversion: 2.1.0\n---\nflat\n",
      "group/dot.prompt": "dot\n",
    });
    expect(
      brief(await doctor(path))
        .map(([kind, where]) => `${kind} ${where}`)
        .sort(),
    ).toEqual(["legacy a/1.0.0.md", "projection a/latest.md", "legacy flat.md", "legacy group/dot.prompt"].sort());
    await doctor(path, ["legacy", "projection"]);
    expect(tree(path).filter((file) => !file.startsWith("."))).toEqual([
      "a",
      "a/latest.md",
      "a/v1.0.0.md",
      "flat",
      "flat/latest.md",
      "flat/v2.1.0.md",
      "group",
      "group/dot",
      "group/dot/latest.md",
      "group/dot/v0.0.0.md",
    ]);
    expect(readFileSync(join(path, "prompts/flat/v2.1.0.md"), "utf8")).toBe("---\nversion: 2.1.0\n---\nflat\n");
    expect((await doctor(path)).map((finding) => finding.kind)).toEqual(["unsealed", "unsealed", "unsealed"]);
  });

  it("reports two heads of one generation, and the generations win", async () => {
    const { path, registry, file } = await prepared();
    const json = readFileSync(file("latest.json"), "utf8");
    writeFileSync(file("latest.json"), json.replace('"production": "1.0.0"', '"production": "1.1.0"'));
    expect(brief(await doctor(path))).toEqual([["head", "a/latest.json", false]]);
    expect((await registry.getPrompt("a@production")).version).toBe("1.0.0");
    expect(brief(await doctor(path, ["head"]))).toEqual([["head", "a/latest.json", true]]);
    expect(readFileSync(file("latest.json"), "utf8")).toBe(json);
  });

  it("leaves to people what only they can judge", async () => {
    const { path, file } = await prepared();
    writeFileSync(file("README.txt"), "hello");
    writeFileSync(file("v1.0.0.md"), readFileSync(file("v1.0.0.md"), "utf8").replace("text 1.0.0", "texT 1.0.0"));
    symlinkSync("a", join(path, "prompts/linked"));
    rmSync(file("v1.1.0.md"));
    symlinkSync("v1.0.0.md", file("v1.1.0.md"));
    const kinds: FindingKind[] = [
      "temp",
      "projection",
      "moved-link",
      "unsealed",
      "legacy",
      "head",
      "foreign",
      "corrupt",
    ];
    expect(brief(await doctor(path, kinds))).toEqual(
      expect.arrayContaining([
        ["foreign", "a/README.txt", false],
        ["foreign", "a/v1.1.0.md", false],
        ["corrupt", "a/v1.0.0.md", false],
        ["foreign", "linked", false],
      ]),
    );
  });
});
