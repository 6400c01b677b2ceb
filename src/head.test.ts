import { describe, expect, it } from "vitest";
import type { Digest } from "./document.ts";
import { decodeHead, encodeHead, type HeadRecord } from "./head.ts";
import { parseLabel, parseName } from "./names.ts";
import { parseVersion } from "./semver.ts";

const AT = "2026-01-01T00:00:00.000Z";
const name = parseName("support/triage");
const [one, two] = [parseVersion("1.0.0"), parseVersion("1.10.0")];

const record: HeadRecord = {
  name,
  head: {
    generation: 7,
    labels: { [parseLabel("production")]: one, [parseLabel("constructor")]: two },
    pin: one,
    yanked: { [two]: { at: AT, by: "ada", reason: "wrong", removed: true }, [one]: { at: AT } },
    deprecated: { at: AT, by: "ada", message: "use the other" },
    updatedAt: AT,
  },
  latest: one,
  history: [
    {
      at: AT,
      by: "ada",
      action: "label",
      label: parseLabel("production"),
      from: two,
      to: one,
      message: "m\n",
      commit: "c1",
    },
    { at: AT, action: "unpin", from: two },
  ],
};

describe("a head as JSON", () => {
  it("keeps digests of what it names, and who wrote it; what can't be read of these is as good as not there", () => {
    const digest = `sha256:${"0".repeat(64)}` as Digest;
    const told = { ...record, digests: { [one]: digest }, written: { at: AT, by: "ada" } };
    expect(decodeHead(encodeHead(told), name, "latest.json")).toEqual(told);
    const odd = encodeHead(told)
      .replace(digest, "md5:0")
      .replace(`"written": {`, `"written": { "at": 1, "was": {`)
      .replace(`"ada"\n  },\n  "history"`, `"ada"\n  }},\n  "history"`);
    expect(decodeHead(odd, name, "latest.json")).toEqual({ ...record, digests: {} });
  });

  it("comes back field for field", () => {
    expect(decodeHead(encodeHead(record), name, "latest.json")).toEqual(record);
    const empty: HeadRecord = { name, head: { generation: 0, labels: {}, yanked: {} }, history: [] };
    expect(decodeHead(encodeHead(empty), name, "latest.json")).toEqual(empty);
  });

  it("is the same bytes whatever the order of its fields, ends with a line feed, and has one entry a line", () => {
    const { labels } = record.head;
    const turned = Object.fromEntries(Object.entries(labels).reverse());
    const text = encodeHead({ ...record, head: { ...record.head, labels: turned } });
    expect(text).toBe(encodeHead(record));
    expect(text.endsWith("}\n")).toBe(true);
    expect(text.split("\n").filter((line) => line.startsWith('    {"at"')).length).toBe(2);
  });

  it.each([
    ["no JSON", "{"],
    ["another prompt", encodeHead({ ...record, name: parseName("other") })],
    ["no object", "[]"],
    ["no format", "{}"],
    ["a bad label", encodeHead(record).replace('"production"', '"../production"')],
    ["a bad version", encodeHead(record).replace('"pin": "1.0.0"', '"pin": "v1"')],
    ["a bad generation", encodeHead(record).replace('"generation": 7', '"generation": -1')],
    ["a bad action", encodeHead(record).replace('"unpin"', '"publish"')],
    ["a bad time", encodeHead(record).replaceAll(AT, "yesterday")],
  ])("is refused as CORRUPT: %s", (_, text) => {
    expect(() => decodeHead(text, name, "latest.json")).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  it("of a later format is UNSUPPORTED", () => {
    const text = encodeHead(record).replace('"format": 1', '"format": 2');
    expect(() => decodeHead(text, name, "latest.json")).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });
});
