import type { Nodes, Root, Table, TableCell } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { gfmTable } from "micromark-extension-gfm-table";
import { type ComponentChild, type ComponentChildren, h } from "preact";
import { definitionsOf, isUnwieldy, splitParts } from "./markdown-parts.ts";
import { marksOf } from "./marks.ts";

const MAX_DEPTH = 60;
/** What is not parsed by then stays plain text. Milliseconds. */
const BUDGET = 1500;

/**
 * Markdown as elements. The text comes from anybody who may publish, so this is an allow-list over the syntax tree: each
 * kind of node has its element here, HTML is text like any other, and nothing is ever loaded. What a part of the text
 * would take too long stays as it is.
 */
export function renderMarkdown(text: string): ComponentChild {
  const until = performance.now() + BUDGET;
  const cut = splitParts(text);
  // A reference is one only where its definition is known. In front of a part definitions are nothing but that.
  const known = cut.length === 1 ? "" : definitionsOf(text);
  const parts = cut.map((part) => (isUnwieldy(part) || performance.now() > until ? part : parse(known + part)));
  const definitions = new Map<string, string>();
  for (const part of parts) {
    if (typeof part === "string") continue;
    for (const node of part.children) {
      if (node.type === "definition" && !definitions.has(node.identifier)) definitions.set(node.identifier, node.url);
    }
  }
  const rendered = parts.flatMap((part) =>
    typeof part === "string"
      ? [h("pre", { class: "text unrendered" }, part)]
      : childrenOf(part, { definitions, depth: 0 }),
  );
  const isWhole = parts.every((part) => typeof part !== "string");
  return h(
    "div",
    { class: "markdown" },
    isWhole
      ? null
      : h(
          "p",
          { class: "note" },
          "Some of this text is too long, or nested too deeply, to be rendered. It is shown as text.",
        ),
    ...rendered,
  );
}

function parse(text: string): Root {
  return fromMarkdown(text, { extensions: [gfmTable()], mdastExtensions: [gfmTableFromMarkdown()] });
}

interface Context {
  readonly definitions: ReadonlyMap<string, string>;
  readonly depth: number;
}

function childrenOf(node: Nodes, context: Context): ComponentChildren[] {
  if (!("children" in node)) return [];
  // What is nested deeper is nobody's prose, and would overflow the stack.
  if (context.depth > MAX_DEPTH) return ["…"];
  const inner = { ...context, depth: context.depth + 1 };
  return node.children.map((child) => elementOf(child, inner));
}

function elementOf(node: Nodes, context: Context): ComponentChildren {
  const children = () => childrenOf(node, context);
  switch (node.type) {
    case "text":
      return marked(node.value);
    case "html":
      return h("code", { class: "raw-html", title: "HTML is shown and not interpreted" }, node.value);
    case "paragraph":
      return h("p", null, ...children());
    case "heading":
      // The page has a heading of its own above these.
      return h(`h${Math.min(node.depth + 1, 6)}`, { "data-level": node.depth }, ...children());
    case "emphasis":
      return h("em", null, ...children());
    case "strong":
      return h("strong", null, ...children());
    case "inlineCode":
      return h("code", null, node.value);
    case "code":
      return h("pre", { tabIndex: 0 }, h("code", null, node.value));
    case "blockquote":
      return h("blockquote", null, ...children());
    case "list":
      return node.ordered ? h("ol", { start: node.start ?? 1 }, ...children()) : h("ul", null, ...children());
    case "listItem":
      return h("li", null, ...children());
    case "thematicBreak":
      return h("hr", null);
    case "break":
      return h("br", null);
    case "link":
      return link(node.url, children());
    case "linkReference":
      return link(context.definitions.get(node.identifier) ?? "", children());
    case "image":
      return image(node.url, node.alt);
    case "imageReference":
      return image(context.definitions.get(node.identifier) ?? "", node.alt);
    case "table":
      return table(node, context);
    default:
      return null;
  }
}

/** Variables, and what nobody sees, are marked here as they are in the text. */
function marked(text: string): ComponentChildren[] {
  return marksOf(text).map((mark) => {
    if (mark.kind === "text") return mark.text;
    if (mark.kind === "variable") return h("mark", { class: "variable" }, mark.text);
    return h("span", { class: "invisible" }, mark.shown);
  });
}

/** A URL that may be followed: absolute, of a scheme that runs nothing. Anything else is no link but text. */
export function safeUrl(url: string): string | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return undefined;
  }
  return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : undefined;
}

function link(url: string, children: ComponentChildren[]): ComponentChild {
  const href = safeUrl(url);
  if (href === undefined) return h("span", { class: "no-link", title: `no link: ${url}` }, ...children);
  return h("a", { href, rel: "noopener noreferrer nofollow", target: "_blank", title: href }, ...children);
}

function image(url: string, alt: string | null | undefined): ComponentChild {
  const shown = `image: ${alt || url}`;
  return h("span", { class: "image" }, "[", link(url, [shown]), "]");
}

function table(node: Table, context: Context): ComponentChild {
  const [head, ...rows] = node.children;
  const cells = (tag: "th" | "td", row: readonly TableCell[]) =>
    row.map((cell, i) => h(tag, { class: `align-${node.align?.[i] ?? "left"}` }, ...childrenOf(cell, context)));
  return h(
    "div",
    { class: "table-scroll", tabIndex: 0, role: "group", "aria-label": "table" },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, ...cells("th", head?.children ?? []))),
      h("tbody", null, ...rows.map((row) => h("tr", null, ...cells("td", row.children)))),
    ),
  );
}
