import { describe, expect, it } from "vitest";
import { failure } from "../test/support/failure.ts";
import { shortest } from "../test/support/time.ts";
import { isWellFormed, MAX_FRONT_MATTER_BYTES, splitFrontMatter } from "./frontmatter.ts";

describe("splitFrontMatter", () => {
  it.each([
    ["---\na: 1\n---\nbody", [4, 9, 13], "\n"],
    ["---\r\na: 1\r\n---\r\nbody", [5, 11, 16], "\r\n"],
    ["---\n---\n", [4, 4, 8], "\n"],
    ["---\n---", [4, 4, 7], "\n"],
    ["--- \t\na: 1\n---\t \r\nbody", [6, 11, 18], "\n"],
    ["---\na: 1\n---  ", [4, 9, 14], "\n"],
    ["\ufeff---\na: 1\n---\n", [5, 10, 14], "\n"],
    ["---\na: |\n  ---\n---\n---\n", [4, 15, 19], "\n"],
    ["---\n----\n---x\n --- \n---\n", [4, 20, 24], "\n"],
  ])("finds the block of %j", (text, [blockStart, blockEnd, bodyStart], eol) => {
    const bom = text.startsWith("\ufeff");
    expect(splitFrontMatter(text)).toEqual({ bom, blockStart, blockEnd, bodyStart, eol });
  });

  it.each([
    "",
    "-",
    "--",
    "\ufeff",
    "Hello",
    " ---\na: 1\n---\n",
    "\n---\na: 1\n---\n",
    "\ufeff\ufeff---\n---\n",
    "----\n---\n",
    "---------\n",
    "--- a rule with words\n---\n",
    "--- !yaml\n---\n",
    "---{}\n---\n",
    "---\ra: 1\r---\r",
    "---\u00a0\n---\n",
  ])("sees none in %j", (text) => {
    expect(splitFrontMatter(text)).toBe("none");
  });

  it.each(["---js", "---javascript", "--- json", "---coffee", "---yaml", "---\ttoml  ", "--- c++"])(
    "refuses %j",
    (first) => {
      for (const rest of ["", "\n", "\r\nx\r\n---\r\n", "\nprocess.exit(3)\n---\nbody"]) {
        for (const bom of ["", "\ufeff"]) {
          const error = failure(() => splitFrontMatter(bom + first + rest));
          expect(error).toMatchObject({ code: "INVALID", context: { field: "text", line: 1, column: 1 } });
          expect(error.message).toContain("names a language");
        }
      }
    },
  );

  it.each(["---", "---\n", "---\na: 1\n", "---\na: 1\n --- \n", "---\na: 1\n---x\n", "---\na: 1\n---\r"])(
    "refuses %j, which is never closed",
    (text) => {
      const error = failure(() => splitFrontMatter(text));
      expect(error.code).toBe("INVALID");
      expect(error.message).toContain("never closed");
    },
  );

  it("counts the limit in UTF-8 bytes", () => {
    const block = (content: string) => `---\n${content}\n---\n`;
    expect(splitFrontMatter(block(`#${"x".repeat(MAX_FRONT_MATTER_BYTES - 2)}`))).not.toBe("none");
    const tooLong = [`#${"x".repeat(MAX_FRONT_MATTER_BYTES - 1)}`, `#${"€".repeat(22_000)}`, "x".repeat(1 << 20)];
    for (const content of tooLong) {
      expect(failure(() => splitFrontMatter(block(content))).message).toContain("longer than 65536 bytes");
    }
    expect(splitFrontMatter(block("12345"), 6)).not.toBe("none");
    expect(failure(() => splitFrontMatter(block("12345"), 5)).code).toBe("INVALID");
  });

  it("takes linear time", () => {
    const size = 1 << 20;
    const texts = ["\n---x", "\n---   ", "\n---\t", "\n", "---", "- ", "\r"].map((s) => s.repeat(size / s.length));
    for (const text of texts) {
      for (const open of ["---\n", "---", "---js"]) {
        expect(
          shortest(() => {
            try {
              splitFrontMatter(open + text);
            } catch {}
          }),
        ).toBeLessThan(50);
      }
    }
  });
});

describe("isWellFormed", () => {
  it("finds lone surrogates only", () => {
    for (const text of ["", "a", "😀", "\ud83d\ude00a", "\uffff"]) expect(isWellFormed(text)).toBe(true);
    for (const text of ["\ud83d", "\ude00", "a\ude00\ud83d", "😀\ud83d"]) expect(isWellFormed(text)).toBe(false);
  });
});
