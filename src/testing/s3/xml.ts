/** Just enough XML for what S3 says and is told: elements and text, without attributes that mean anything. */
export interface Element {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Element[];
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

export function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\r", "&#13;");
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name ?? ""] ?? whole;
  });
}

export type Content = string | number | boolean | readonly Content[] | { readonly [name: string]: Content | undefined };

/** `{a: [{b: 1}, {b: 2}]}` is `<a><b>1</b></a><a><b>2</b></a>`; `undefined` is left out. */
export function writeXml(content: Content): string {
  if (typeof content !== "object") return escapeXml(String(content));
  if (Array.isArray(content)) return content.map(writeXml).join("");
  return Object.entries(content)
    .map(([name, value]) => {
      if (value === undefined) return "";
      const items = Array.isArray(value) ? (value as readonly Content[]) : [value];
      return items.map((item) => `<${name}>${writeXml(item)}</${name}>`).join("");
    })
    .join("");
}

export function document(root: string, content: Content): string {
  const space = root === "Error" ? "" : ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${space}>${writeXml(content)}</${root}>`;
}

/** @returns the root element; `undefined` where the text is no XML */
export function readXml(text: string): Element | undefined {
  const open: { name: string; text: string; children: Element[] }[] = [{ name: "", text: "", children: [] }];
  for (const [whole, close, name, empty] of text.matchAll(/<\?[^>]*\?>|<(\/?)([\w:.-]+)[^>]*?(\/?)>|[^<]+/g)) {
    const top = open.at(-1);
    if (top === undefined) return undefined;
    if (name === undefined) {
      if (!whole.startsWith("<")) top.text += unescapeXml(whole);
    } else if (close === "/") {
      if (top.name !== name) return undefined;
      open.pop();
    } else {
      const element = { name, text: "", children: [] };
      top.children.push(element);
      if (empty !== "/") open.push(element);
    }
  }
  const root = open[0]?.children[0];
  return open.length === 1 && open[0]?.children.length === 1 ? root : undefined;
}

/** The text of the element at this path, below the given one. */
export function textAt(element: Element | undefined, ...path: readonly string[]): string | undefined {
  let at = element;
  for (const name of path) at = at?.children.find((child) => child.name === name);
  return at?.text;
}
