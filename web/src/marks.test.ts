import { describe, expect, test } from "vitest";
import { templateVariables } from "../../src/template.ts";
import { marksOf, variablesOf } from "./marks.ts";

const invisible = (text: string) => marksOf(text).flatMap((mark) => (mark.kind === "invisible" ? [mark.shown] : []));

describe("marks", () => {
  test.each([
    "{{a}} {{ b }} {{a}}",
    "{{{raw}}} {{#if x}} {{a.b}} {{else}} {{constructor}}",
    "{{{{x}}}} {{y}}",
    "{{1a}} {{-a}} {{a-b}} {{_c}}",
    "{{a\n}} {{\tb\t}}",
    "{{{ {{x}} }}}",
    "{{",
  ])("%j has the variables that the registry finds", (text) => {
    expect(variablesOf(text)).toEqual(templateVariables(text));
  });

  test("put together, they are the text", () => {
    const text = "a {{b}}\u200b\u202e c\u{e0041} 👨‍👩‍👧 {{{d}}}\0\u001b[31m";
    expect(
      marksOf(text)
        .map((mark) => mark.text)
        .join(""),
    ).toBe(text);
  });

  test("what shows nothing is shown", () => {
    expect(invisible("a\u200bb\u202ec\u2066\u00ad\u{e0041}\u0007\u2028")).toEqual([
      "U+200B",
      "U+202E",
      "U+2066",
      "U+00AD",
      "U+E0041",
      "U+0007",
      "U+2028",
    ]);
    expect(invisible("a\ufeffb")).toEqual(["U+FEFF"]);
  });

  test("what an emoji, a script or a file needs is not", () => {
    expect(invisible("\ufeff# 👨‍👩‍👧 ❤️ 1️⃣ 🏳️‍🌈 می‌خواهم क्‍ष\ttab\r\n")).toEqual([]);
  });
});
