import { applyPatch, createTwoFilesPatch } from "diff";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openStored } from "../document.ts";
import { parseName } from "../names.ts";
import { parseVersion } from "../semver.ts";
import { documentOf } from "../testing/builders.ts";
import { type DiffBudget, diffPrompts, diffTexts } from "./diff.ts";
import { Prompt } from "./prompt.ts";

const NAME = parseName("p");
const AT = "2026-01-01T00:00:00.000Z";

function promptOf(text: string, number: string): Prompt {
  const version = parseVersion(number);
  const opened = openStored(documentOf("p", number, text, { at: AT }).text, { name: NAME, version });
  if (opened.kind !== "document") throw new Error("no document");
  return new Prompt(opened, { name: NAME, version, source: "test", fetchedAt: 0 });
}

const pair = (a: string, b: string): [Prompt, Prompt] => [promptOf(a, "1.0.0"), promptOf(b, "2.0.0")];
const SMALL: DiffBudget = { edits: 3, milliseconds: 500, lines: 40 };
const line = fc.constantFrom("a", "b", "c", "", "\r", "a long one", "é", "- x", "+ y");
const text = fc
  .tuple(fc.array(line, { maxLength: 30 }), fc.boolean())
  .map(([lines, ends]) => lines.join("\n") + (ends ? "\n" : ""));

describe("diffs", () => {
  it("are those of the whole texts, though what they begin with is left out", async () => {
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (a, b, before, after) => {
        const [from, to] = pair(`${before}\n${a}${after}`, `${before}\n${b}${after}`);
        const whole = createTwoFilesPatch(from.ref, to.ref, from.text, to.text, AT, AT, { context: 3 });
        const { unified, coarse } = await diffPrompts(from, to);
        expect(coarse).toBeUndefined();
        expect(unified).toBe(from.text === to.text ? "" : whole.replace(/^=+\n/, ""));
      }),
    );
  });

  it("say what makes one text of the other, also where they are coarse", async () => {
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (a, b, before, after) => {
        const [from, to] = pair(`${before}\n${a}${after}`, `${before}\n${b}${after}`);
        const { unified } = await diffTexts(from, to, { ...SMALL, lines: 0 });
        if (from.text !== to.text) expect(applyPatch(from.text, unified as string)).toBe(to.text);
      }),
    );
  });

  it("replace what lies between the first difference and the last where there are too many", async () => {
    const filler = Array.from({ length: 10 }, (_, i) => `f${i}\n`).join("");
    const [from, to] = pair(`${filler}a\nb\nc\nd\n${filler}`, `${filler}e\nf\ng\nh\n${filler}`);
    expect(await diffTexts(from, to, SMALL)).toEqual({
      coarse: true,
      unified: `--- p@1.0.0\t${AT}\n+++ p@2.0.0\t${AT}\n@@ -8,10 +8,10 @@\n f7\n f8\n f9\n-a\n-b\n-c\n-d\n+e\n+f\n+g\n+h\n f0\n f1\n f2\n`,
    });
    expect((await diffTexts(from, to, { ...SMALL, edits: 8 })).coarse).toBe(false);
    expect(await diffTexts(from, to, { ...SMALL, length: 20 })).toEqual({ coarse: true });
    expect(await diffTexts(from, to, { ...SMALL, edits: 8, length: 20 })).toEqual({ coarse: false });
  });

  it("of large texts keep to their budget", async () => {
    const letters = (seed: number) =>
      Array.from({ length: 2 ** 19 }, (_, i) => "abcdefgh"[(i * i * seed) % 7]).join("\n");
    const [from, to] = pair(letters(3), letters(5));
    const started = performance.now();
    const { unified, coarse } = await diffTexts(from, to, {
      edits: 500,
      milliseconds: 25,
      lines: 20_000,
      length: 2 ** 20,
    });
    expect([unified, coarse]).toEqual([undefined, true]);
    expect(performance.now() - started).toBeLessThan(500);
  });

  it("compare as many variables as a text can hold", async () => {
    const variables = (mark: string) => Array.from({ length: 80_000 }, (_, i) => `{{${mark}${i}}}`).join("");
    const [from, to] = pair(variables("a"), variables("b"));
    const started = performance.now();
    const { added, removed } = await diffPrompts(from, to);
    expect([added.length, removed.length]).toEqual([80_000, 80_000]);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
