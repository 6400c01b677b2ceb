import { describe, expect, test } from "vitest";
import { splitFrontMatter as ofRegistry } from "../../src/frontmatter.ts";
import { splitFrontMatter } from "./front-matter.ts";

describe("front matter", () => {
  test.each([
    "no front matter\n",
    "",
    "---\n---\n",
    "---\n---",
    "---\nmodel: small\n---\nbody\n",
    "---\r\nmodel: small\r\n---\r\nbody\r\n",
    "\ufeff---\na: 1\n---\nbody",
    "--- \t\na: 1\n---  \nbody\n---\nmore",
    "----\na: 1\n---\n",
    "text\n---\na: 1\n---\n",
    "---\na: |\n  ---\n---\nbody",
    "\n---\na: 1\n---\n",
  ])("%j is split as by the registry", (text) => {
    const split = ofRegistry(text);
    const { frontMatter, body } = splitFrontMatter(text);
    if (split === "none") expect({ frontMatter, body }).toEqual({ frontMatter: undefined, body: text });
    else {
      expect(frontMatter).toBe(text.slice(split.blockStart, split.blockEnd));
      expect(body).toBe(text.slice(split.bodyStart));
    }
  });

  test("a block that is never closed is shown with the rest", () => {
    expect(splitFrontMatter("---\na: 1\nbody")).toEqual({ frontMatter: undefined, body: "---\na: 1\nbody" });
  });

  test("takes time linear in the text", () => {
    const began = performance.now();
    splitFrontMatter(`---\n${"\n--- x".repeat(150_000)}`);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
