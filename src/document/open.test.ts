import { describe, expect, it } from "vitest";
import { createdAt, digestByRule, seal, slot, texts } from "../../test/support/document-lab.ts";
import { failure } from "../../test/support/failure.ts";
import {
  canonicalSeal,
  type Digest,
  isSealed,
  MAX_TEXT_BYTES,
  openDocument,
  openStored,
  sealTombstone,
} from "../document.ts";
import { parseName } from "../names.ts";
import { parseVersion } from "../semver.ts";

describe("openStored", () => {
  it("parses metadata at first use, once, without registry.* keys", () => {
    const opened = openDocument(seal("---\nmodel: gpt-5\nn: [1]\n---\nbody").text, slot);
    expect(JSON.parse(JSON.stringify(opened.metadata))).toEqual({ model: "gpt-5", n: [1] });
    expect(opened.metadata).toBe(opened.metadata);
    expect(Object.isFrozen(opened) && Object.isFrozen(opened.metadata)).toBe(true);
    expect(Object.keys(openDocument(seal("no front matter").text, slot).metadata)).toEqual([]);
  });

  it("is CORRUPT under another name or version", () => {
    const { text } = seal("x");
    const error = failure(() => openStored(text, { ...slot, name: parseName("support/other") }));
    expect(error).toMatchObject({ code: "CORRUPT", context: { name: "support/other", version: "1.0.0" } });
    expect(error.message).toContain("prompt-registry verify");
    expect(error.message).toContain("support/triage");
    expect(failure(() => openStored(text, { ...slot, version: parseVersion("1.0.1") })).code).toBe("CORRUPT");
  });

  it("serves a text without seal under the digest of its canonical seal", () => {
    for (const text of texts) {
      if (/^\ufeff?-{0,3}$/.test(text) || text.includes("\nregistry.digest: sha256:")) continue;
      const opened = openDocument(text, slot);
      expect(opened).toMatchObject({ sealed: false, text, digest: canonicalSeal({ ...slot, text }).digest });
      expect(opened.body).toBe(text.slice(opened.bodyStart));
      expect([opened.author, opened.createdAt, opened.message]).toEqual([undefined, undefined, undefined]);
      expect(isSealed(text)).toBe(false);
    }
    expect(openDocument("---\na: 1\n---\nb", slot).metadata.a).toBe(1);
  });

  it.each([
    ["", "CORRUPT"],
    ["\ufeff", "CORRUPT"],
    ["-", "CORRUPT"],
    ["---", "CORRUPT"],
    ["\0", "CORRUPT"],
    ["\0".repeat(4096), "CORRUPT"],
    ["a\0b", "CORRUPT"],
    ["---\nregistry.foo: 1\n---\n", "CORRUPT"],
    ["---\ntitle: x\nregistry.name: support/triage\n---\n", "CORRUPT"],
    [`text\nregistry.digest: sha256:${"0".repeat(64)}\n`, "CORRUPT"],
    ["---\na: *b\n---\n", "INVALID"],
    ["---\na: 1\n", "INVALID"],
    ["---js\nx\n---\n", "INVALID"],
    ['---\n"registry.name": 1\n---\n', "INVALID"],
    ["a\ud800", "INVALID"],
    ["x".repeat(MAX_TEXT_BYTES + 1), "INVALID"],
  ])("does not serve case %#", (stored, code) => {
    const error = failure(() => openStored(stored, slot));
    expect(error).toMatchObject({ code, context: slot });
    expect(error.context.path).toBeUndefined();
    if (code === "INVALID") expect(error.message).toMatch(/^not served: /);
  });

  /** A seal whose digest is right, whatever else is wrong with it. */
  const forge = (stored: string) => stored.replace(/sha256:[0-9a-f]{64}/, digestByRule(stored));

  it("finds seals that verify and yet are wrong", () => {
    const { text } = seal("x", { author: "ada" });
    expect(forge(text)).toBe(text);
    const cases: [string, string][] = [
      [text.replace('"ada"', "ada"), "CORRUPT"],
      [text.replace('"ada"', "1"), "CORRUPT"],
      [text.replace(createdAt, "yesterday"), "CORRUPT"],
      [text.replace("frontMatter: none", "frontMatter: some"), "CORRUPT"],
      [text.replace("---\n", "---\ntitle: x\n"), "CORRUPT"],
      [text.replace("---\n", "--- \n"), "CORRUPT"],
      [text.replace(/registry\.version.*\n/, ""), "CORRUPT"],
      [text.replace(/(registry\.version.*\n)/, "$1$1"), "CORRUPT"],
      [text.replace("registry.digest", "title: x\nregistry.digest"), "CORRUPT"],
      [text.replace(/(registry\.digest.*\n)/, "$1registry.later: 1\n"), "CORRUPT"],
      [text.replace("registry.frontMatter", "registry.removed: {}\nregistry.frontMatter"), "CORRUPT"],
      [text.replace("registry.frontMatter", "registry.later: 1\nregistry.frontMatter"), "UNSUPPORTED"],
    ];
    for (const [stored, code] of cases) {
      expect(stored).not.toBe(text);
      expect(failure(() => openStored(forge(stored), slot)).code, stored).toBe(code);
      expect(isSealed(forge(stored))).toBe(false);
    }
  });

  it("tells of sealed front matter that does not parse when it is asked for", () => {
    const stored = forge(seal("---\na: 1\n---\nbody").text.replace("a: 1", "a: *b"));
    const opened = openDocument(stored, slot);
    expect(opened.body).toBe("body");
    for (let i = 0; i < 2; i++)
      expect(failure(() => opened.metadata)).toMatchObject({ code: "CORRUPT", context: slot });
    expect(isSealed(stored)).toBe(false);
  });
});

describe("damage", () => {
  const hex = "0".repeat(64);
  const samples = [
    seal("You are a triage agent.\n", { author: "ada", message: "first" }),
    seal("---\ntitle: Triage\nmodel: gpt-5\n---\nYou are\n---\nan agent.\n"),
    seal("---\r\ntitle: Triage\r\n---\r\nYou are\r\nan agent.\r\n", { author: "ada" }),
    seal("\ufeffno front matter"),
    seal("\ufeff---\r\na: J---\r\nb: '*---'\r\n---\r\n", { message: "J---" }),
    seal("---\na: 1J---\nb: 2*---\n# J---\n---\n---\nx: y\n---\n"),
    seal(""),
    seal("---\n---"),
    seal("é😀\n---\n"),
    seal(`---\nx: 1\n---\nregistry.digest: sha256:${hex}\n---\n`),
    canonicalSeal({ ...slot, text: "by hand" }),
    sealTombstone({ ...slot, digest: `sha256:${hex}` as Digest, at: createdAt, by: "ada", reason: "leak" }),
  ];
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  function refused(bytes: Buffer, what: string): void {
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      return;
    }
    const error = failure(() => {
      openStored(text, slot);
      throw new Error(`served with ${what}: ${JSON.stringify(text)}`);
    });
    if (!["CORRUPT", "INVALID"].includes(error.code)) throw new Error(`${error.code} with ${what}`);
    if (isSealed(text)) throw new Error(`sealed with ${what}`);
  }

  it.each(samples.map((s, i) => [i, s] as const))("of any single bit is found (sample %i)", (_, { text }) => {
    expect(() => openStored(text, slot)).not.toThrow();
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const hit = Buffer.from(bytes);
        hit[i] = (hit[i] as number) ^ (1 << bit);
        refused(hit, `bit ${bit} of byte ${i}`);
      }
    }
  });

  it.each(samples.map((s, i) => [i, s] as const))("of any single byte is found (sample %i)", (_, { text }) => {
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i++) {
      for (const value of [0, 0x09, 0x0a, 0x0d, 0x20, 0x23, 0x2d, 0x30, 0x3a, 0x41, 0x72]) {
        if (bytes[i] === value) continue;
        const hit = Buffer.from(bytes);
        hit[i] = value;
        refused(hit, `byte ${i} = ${value}`);
      }
      refused(Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + 1)]), `byte ${i} gone`);
      refused(
        Buffer.concat([bytes.subarray(0, i), Buffer.from("\n"), bytes.subarray(i)]),
        `a line end before byte ${i}`,
      );
    }
  });

  it.each(samples.map((s, i) => [i, s] as const))("by truncation or zeros is found (sample %i)", (_, { text }) => {
    const bytes = Buffer.from(text);
    for (let length = 0; length < bytes.length; length++) {
      refused(bytes.subarray(0, length), `${length} bytes`);
      refused(Buffer.concat([bytes.subarray(0, length), Buffer.alloc(bytes.length - length)]), `zeros from ${length}`);
      refused(Buffer.concat([Buffer.alloc(length + 1), bytes.subarray(length + 1)]), `zeros up to ${length}`);
    }
    refused(Buffer.concat([bytes, Buffer.from("\n")]), "one byte more");
    refused(Buffer.concat([bytes, bytes]), "twice");
  });
});
