import type { ComponentChild, VNode } from "preact";
import { describe, expect, test } from "vitest";
import { VECTORS } from "../../test/web/xss-vectors.ts";
import { renderMarkdown, safeUrl } from "./markdown.ts";
import { splitParts } from "./markdown-parts.ts";

const ELEMENTS =
  "div p h2 h3 h4 h5 h6 em strong code pre blockquote ol ul li hr br a span mark table thead tbody tr th td".split(" ");
const PROPS = "class title href rel target tabIndex role aria-label start data-level children".split(" ");

interface Seen {
  readonly elements: readonly VNode[];
  readonly text: string;
}

/** Everything that would become of it, without a browser. */
function seen(node: ComponentChild): Seen {
  const elements: VNode[] = [];
  let text = "";
  const walk = (one: unknown): void => {
    if (typeof one === "string" || typeof one === "number") text += one;
    else if (Array.isArray(one)) one.forEach(walk);
    else if (typeof one === "object" && one !== null) {
      elements.push(one as VNode);
      walk((one as VNode<{ children?: unknown }>).props.children);
    }
  };
  walk(node);
  return { elements, text };
}

describe("markdown", () => {
  test.each(Object.values(VECTORS).flat())("of %j come elements and attributes of the list alone", (vector) => {
    const surroundings = [
      vector,
      `a ${vector} b`,
      `# ${vector}`,
      `> ${vector}`,
      `| a |\n|---|\n| ${vector} |`,
      `[x]: ${vector}\n\n[x]`,
      `[x](${vector})`,
      `![${vector}](${vector})`,
      `<${vector}>`,
    ];
    for (const text of surroundings) {
      for (const { type, props } of seen(renderMarkdown(text)).elements) {
        expect(ELEMENTS).toContain(type);
        for (const [key, value] of Object.entries(props)) {
          expect(PROPS).toContain(key);
          if (key === "href") expect(value).toMatch(/^(?:https?:\/\/|mailto:)/);
        }
      }
    }
  });

  test.each(["script", "handlers"])("%s stay readable as text", (kind) => {
    for (const vector of VECTORS[kind] ?? []) {
      const { text } = seen(renderMarkdown(`a ${vector} b`));
      expect(text.replace(/\s/g, "")).toContain("xss".slice(0, vector.includes("xss") ? 3 : 0));
    }
  });

  test.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\u0001javascript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "blob:https://a/b",
    "file:///etc/passwd",
    "//evil.example",
    "/relative",
    "#/p/a",
    "x:y",
    "",
  ])("%j is no link", (url) => {
    expect(safeUrl(url)).toBeUndefined();
  });

  test("links that are followed go nowhere near this page", () => {
    const { elements } = seen(
      renderMarkdown("[a](https://a.example/x?y#z) <mailto:a@b.c> [ref]\n\n[ref]: http://r.example"),
    );
    const links = elements.filter(({ type }) => type === "a").map(({ props }) => props as Record<string, unknown>);
    expect(links.map(({ href }) => href)).toEqual(["https://a.example/x?y#z", "mailto:a@b.c", "http://r.example/"]);
    for (const link of links) expect(link).toMatchObject({ rel: "noopener noreferrer nofollow", target: "_blank" });
  });

  test("images are not loaded but named", () => {
    const { elements, text } = seen(renderMarkdown("![a cat](https://a.example/cat.png)"));
    expect(elements.map(({ type }) => type)).not.toContain("img");
    expect(text).toBe("[image: a cat]");
  });

  test("everything that prompts are written with has its element", () => {
    const text =
      "# T\n\n1. *a* **b** `c` {{v}}\n\n> q\n\n---\n\n```\ncode\n```\n\n| a | b |\n|--:|---|\n| 1 | 2 |\n\n- x  \n  y &amp; &copy;";
    const { elements } = seen(renderMarkdown(text));
    const types = new Set(elements.map(({ type }) => type));
    for (const type of "h2 ol li em strong code mark blockquote hr pre table th td ul br".split(" "))
      expect(types).toContain(type);
  });

  test.each(
    Object.entries({
      quotes: ">".repeat(50_000),
      lists: `${"- ".repeat(25_000)}x`,
      emphasis: "*a ".repeat(16_000),
      strong: "**a".repeat(16_000),
      brackets: "[".repeat(50_000),
      links: "[a](".repeat(12_000),
      images: "![](".repeat(12_000),
      prose: "Some *words* and `code` here.\n\n".repeat(1600),
      table: `| a | b |\n|---|---|\n${"| x | y |\n".repeat(5000)}`,
      list: "- item **b** {{x}}\n".repeat(2500),
      references: `a${"&".repeat(50_000)}`,
    }),
  )("%s without end are no way to keep a browser busy", (_, text) => {
    const began = performance.now();
    const { text: shown } = seen(renderMarkdown(text));
    // A few times what it takes, as tests run beside others.
    expect(performance.now() - began).toBeLessThan(8000);
    expect(shown.length).toBeGreaterThan(0);
  });
});

describe("parts", () => {
  const text = Array.from(
    { length: 60 },
    (_, i) => `# H${i}\n\n- a\n\n  b\n\n\`\`\`\nx\n\nNo end\n\`\`\`\n\nText ${i}.\n\n`,
  ).join("");

  test("are the text, and are cut between blocks", () => {
    const parts = splitParts(text, 100);
    expect(parts.join("")).toBe(text);
    expect(parts.length).toBeGreaterThan(20);
    for (const part of parts.slice(1)) expect(part).toMatch(/^(?:# H|Text )/);
  });

  test("are rendered as the whole would be", () => {
    const types = (one: string) => seen(renderMarkdown(one)).elements.map(({ type }) => type);
    const long = text.repeat(8);
    expect(splitParts(long).length).toBeGreaterThan(1);
    expect(types(long).length).toBe((types(text).length - 1) * 8 + 1);
  });

  test("definitions hold for all of them", () => {
    const { elements } = seen(renderMarkdown(`[a]\n\n${text.repeat(8)}\n\n[a]: https://a.example\n`));
    expect(elements.filter(({ type }) => type === "a")).toHaveLength(1);
  });
});
