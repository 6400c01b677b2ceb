import { createTwoFilesPatch } from "diff";
import { describe, expect, test } from "vitest";
import { localDiff } from "./local-diff.ts";
import { changedWords, pairedLines, parseUnified } from "./unified.ts";

const linesOf = (unified: string) => parseUnified(unified).flatMap((hunk) => hunk.lines);

describe("unified diffs", () => {
  test("lines are numbered on both sides", () => {
    const before = "one\ntwo\nthree\n";
    const after = "one\n2\nthree\nfour\n";
    expect(linesOf(createTwoFilesPatch("a", "b", before, after))).toEqual([
      { kind: "same", before: 1, after: 1, text: "one" },
      { kind: "removed", before: 2, text: "two" },
      { kind: "added", after: 2, text: "2" },
      { kind: "same", before: 3, after: 3, text: "three" },
      { kind: "added", after: 4, text: "four" },
    ]);
  });

  test("texts that look like headers are text", () => {
    const before = "-- a\n++ b\n@@ -1 +1 @@\nx\n";
    const after = "++ b\n@@ -1 +1 @@\n-- c\nx\n";
    const lines = linesOf(createTwoFilesPatch("a", "b", before, after));
    expect(lines.filter((line) => line.kind !== "added").map((line) => line.text)).toEqual(
      before.trimEnd().split("\n"),
    );
    expect(lines.filter((line) => line.kind !== "removed").map((line) => line.text)).toEqual(
      after.trimEnd().split("\n"),
    );
  });

  test("a missing last line end is said of its line", () => {
    const lines = linesOf(createTwoFilesPatch("a", "b", "x", "x\n"));
    expect(lines).toEqual([
      { kind: "removed", before: 1, text: "x", noNewline: true },
      { kind: "added", after: 1, text: "x" },
    ]);
  });

  test("several hunks, and none", () => {
    const before = Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n");
    const after = before.replace("line 3\n", "line three\n").replace("line 35\n", "");
    expect(parseUnified(createTwoFilesPatch("a", "b", before, after)).map((hunk) => hunk.beforeStart)).toEqual([1, 32]);
    expect(parseUnified("")).toEqual([]);
    expect(parseUnified("nonsense\n@@ -1 +1")).toEqual([]);
  });

  test("both texts can be put together again from what the page itself compares", () => {
    const before = "a\r\nb\n\n---\nc";
    const after = "a\nb\n---\n\nc\n";
    const lines = linesOf(localDiff(before, after) ?? "");
    const side = (kind: string) =>
      lines
        .filter((line) => line.kind !== kind)
        .map((line) => line.text + (line.noNewline === true ? "" : "\n"))
        .join("");
    expect(side("added")).toBe(before);
    expect(side("removed")).toBe(after);
  });

  test("a word in a long text costs a word, and is where it is", () => {
    const lines = Array.from({ length: 60_000 }, (_, i) => `line ${i} of many\n`);
    const changed = lines.with(30_000, "another\n").toSpliced(30_002, 1);
    const began = performance.now();
    const [hunk, ...others] = parseUnified(localDiff(lines.join(""), changed.join("")) ?? "");
    expect(performance.now() - began).toBeLessThan(1000);
    expect(others).toEqual([]);
    expect(hunk?.lines.filter(({ kind }) => kind !== "same")).toEqual([
      { kind: "removed", before: 30_001, text: "line 30000 of many" },
      { kind: "added", after: 30_001, text: "another" },
      { kind: "removed", before: 30_003, text: "line 30002 of many" },
    ]);
    expect(hunk?.lines).toHaveLength(3 + 3 + 1 + 3);
  });

  test.each([
    ["", "a\n"],
    ["a\n", ""],
    ["a\na\na\n", "a\na\n"],
    ["x\n".repeat(20), "x\n".repeat(21)],
    ["x\n".repeat(9), "x\n".repeat(9).trimEnd()],
    ["a\nb\nc\nd\ne\nf\ng\nh", "a\nb\nc\nD\ne\nf\ng\nh"],
  ])("%j to %j", (before, after) => {
    const lines = linesOf(localDiff(before, after) ?? "");
    const ofBefore = before.split("\n");
    const ofAfter = after.split("\n");
    for (const line of lines) {
      if (line.before !== undefined) expect(line.text).toBe(ofBefore[line.before - 1]);
      if (line.after !== undefined) expect(line.text).toBe(ofAfter[line.after - 1]);
    }
    expect(lines.some(({ kind }) => kind !== "same")).toBe(true);
  });

  test("what would take too long is not compared", () => {
    expect(localDiff("a".repeat(300_000), "b".repeat(300_000))).toBeUndefined();
    expect(localDiff("same", "same")).toBe("");
  });
});

describe("changed words", () => {
  test("are marked in lines that took each other's place", () => {
    const [removed, added] = linesOf("@@ -1 +1 @@\n-Be brief.\n+Be brief and polite.\n");
    const pairs = pairedLines([removed, added].filter((line) => line !== undefined));
    expect(removed && pairs.get(removed)).toBe(added);
    expect(changedWords("Be brief and polite.", "Be brief.")).toEqual([
      { text: "Be brief", changed: false },
      { text: " and polite", changed: true },
      { text: ".", changed: false },
    ]);
  });

  test("lines of another kind, or with nothing in common, are left alone", () => {
    const lines = linesOf("@@ -1,2 +1 @@\n-a\n-b\n+c\n");
    expect(pairedLines(lines).size).toBe(0);
    expect(changedWords("entirely other words here", "nothing shared at all")).toEqual([
      { text: "entirely other words here", changed: false },
    ]);
    expect(changedWords("", "x")).toEqual([{ text: "", changed: false }]);
  });

  test("nothing of a line gets lost", () => {
    for (const [a, b] of [
      ["x {{a}}  y\tz", "x {{b}} y z"],
      ["日本語 text", "日本 text"],
      ["👩‍👩‍👧 a", "👩‍👩‍👧 b"],
    ] as const) {
      expect(
        changedWords(a, b)
          .map((piece) => piece.text)
          .join(""),
      ).toBe(a);
    }
  });
});
