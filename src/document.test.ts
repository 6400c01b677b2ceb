import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalSeal,
  checkText,
  type Digest,
  isDigest,
  isSealed,
  MAX_STORED_BYTES,
  MAX_TEXT_BYTES,
  openDocument,
  openStored,
  parseDigest,
  readSeal,
  type SealedDocument,
  type SealInput,
  sameText,
  sealDocument,
  sealTombstone,
  unseal,
} from "./document.ts";
import { isRegistryError, type RegistryError } from "./errors.ts";
import { splitFrontMatter } from "./frontmatter.ts";
import { parseName } from "./names.ts";
import { parseVersion } from "./semver.ts";
import { parseFull } from "./yaml.ts";

const slot = { name: parseName("support/triage"), version: parseVersion("1.0.0") };
const createdAt = "2026-11-24T05:00:00.000Z";

function seal(text: string, extra: Partial<SealInput> = {}): SealedDocument {
  return sealDocument({ ...slot, text, createdAt, ...extra });
}

function failure(run: () => unknown): RegistryError {
  try {
    run();
  } catch (error) {
    if (isRegistryError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The rule of the docs, written once more and on bytes. */
function digestByRule(stored: string): string {
  const bytes = Buffer.from(stored);
  const start = bytes.indexOf("\nregistry.digest: ") + 1;
  const end = bytes.indexOf("\n", start) + 1;
  return `sha256:${createHash("sha256").update(bytes.subarray(0, start)).update(bytes.subarray(end)).digest("hex")}`;
}

const texts = [
  "",
  "\n",
  "\r\n",
  "\ufeff",
  "You are a triage agent.",
  "You are\na triage agent.\n",
  "a\r\nb\nc\r",
  "a\nb\r\n",
  "\r",
  "\ufeffbom\r\nbody",
  "\ufeff\ufeff---\n---\n",
  "---\n---",
  "---\n---\n",
  "---\r\n---\r\n",
  "--- \t\n---\t\nbody",
  "---\n\n\n---\nbody",
  "---\n# only a comment\n---\n\n",
  "---\ntitle: x\n---\n",
  "---\ntitle: x\n---",
  "---\r\ntitle: x\r\n---\r\nbody\r\n",
  "---\r\ntitle: x\nother: y\n---\nbody\r\n",
  "---\ntitle: x\r\nother: y\r\n---\r\nbody\n",
  "\ufeff---\ntitle: x\n---\nbody",
  "---\na: |\n  ---\n  registry.name: x\n  registry.digest: sha256:0\n\n\n---\nbody\n---\nmore\n---\n",
  "---\na: |+\n  keep\n\n---\nbody",
  "---\na:\n---\nbody",
  "---\n? a\n---\nbody",
  "---\nregistry: {name: x}\nregistryx: 1\n---\nregistry.name: x\n",
  "----\nnot front matter\n---\n",
  "--- neither is this\n---\n",
  "\n---\ntitle: x\n---\n",
  `a\nregistry.digest: sha256:${"0".repeat(64)}\n---\n`,
  `---\n# ${"x".repeat(65_000)}\n---\nbody`,
  "Äößé 😀 \u202e \u{e0041}",
  "{{name}} <script>",
];

describe("sealDocument", () => {
  it("adds its lines at the end of the front matter", () => {
    const { text, digest } = seal("---\ntitle: Triage\n---\nYou are …\n", { author: "ada", message: 'say "hi"\n' });
    expect(text).toBe(
      "---\ntitle: Triage\nregistry.name: support/triage\nregistry.version: 1.0.0\n" +
        `registry.author: "ada"\nregistry.createdAt: ${createdAt}\nregistry.message: "say \\"hi\\"\\n"\n` +
        `registry.digest: ${digest}\n---\nYou are …\n`,
    );
  });

  it("puts front matter before a text that has none, after a byte order mark", () => {
    const { text, digest } = seal("\ufeffHello\r\n");
    expect(text).toBe(
      `\ufeff---\r\nregistry.name: support/triage\r\nregistry.version: 1.0.0\r\nregistry.createdAt: ${createdAt}\r\n` +
        `registry.frontMatter: none\r\nregistry.digest: ${digest}\r\n---\r\nHello\r\n`,
    );
  });

  it("writes the digest that the rule gives", () => {
    for (const text of texts) {
      const sealed = seal(text);
      expect(sealed.digest).toBe(digestByRule(sealed.text));
      expect(Object.isFrozen(sealed)).toBe(true);
    }
  });

  it("keeps every text, byte for byte", () => {
    for (const text of texts) {
      const sealed = seal(text, { author: "a", message: "m" });
      const opened = openDocument(sealed.text, slot);
      expect(opened.text).toBe(text);
      expect(opened).toMatchObject({ sealed: true, digest: sealed.digest, author: "a", createdAt, message: "m" });
      expect(opened.body).toBe(text.slice(opened.bodyStart));
      expect(unseal(sealed.text)).toMatchObject({ ...slot, text });
      expect(isSealed(sealed.text)).toBe(true);
      expect(readSeal(sealed.text)).toEqual(sealed);
      expect(() => opened.metadata).not.toThrow();
    }
  });

  it("keeps every text that it accepts (random ones)", { timeout: 60_000 }, () => {
    const eol = fc.constantFrom("\n", "\n", "\r\n", "\r");
    const line = fc.oneof(
      fc.constantFrom("", "# c", "title: x", "a: |", "  ---", "  registry.name: x", "  text", "b:", "- x", "c: 'y'"),
      fc.constantFrom("---", "--- ", "---\t", "----", "...", "registry.digest: sha256:0", "--", " ---", "{a: 1}"),
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: "binary" }),
    );
    const lines = fc.array(fc.tuple(line, eol), { maxLength: 6 }).map((all) => all.flat().join(""));
    const block = fc
      .array(fc.tuple(fc.constantFrom("", "# c", "ti-tle: x", "d: [1, {e: 2}]", "b:", "l: |+\n  ---\n"), eol), {
        maxLength: 3,
      })
      .map((all) => all.flat().join(""));
    const closed = fc
      .tuple(
        fc.constantFrom("", "\ufeff"),
        fc.constantFrom("---", "--- \t"),
        eol,
        block,
        fc.constantFrom("---", "--- "),
        eol,
        lines,
      )
      .map((parts) => parts.join(""));
    const text = fc.oneof(
      lines,
      closed,
      closed.map((t) => t.trimEnd()),
      fc.tuple(fc.constant("\ufeff"), lines).map((t) => t.join("")),
    );
    const note = fc.option(fc.string({ unit: "binary", maxLength: 100 }), { nil: undefined });
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(text, note, note, (author0, author, message) => {
        let sealed: SealedDocument;
        try {
          sealed = seal(author0, { author, message });
        } catch (error) {
          if (!isRegistryError(error, "INVALID")) throw error;
          refused++;
          return;
        }
        accepted++;
        const opened = openDocument(sealed.text, slot);
        expect(opened.text).toBe(author0);
        expect([opened.author, opened.message]).toEqual([author, message]);
        expect(opened.body).toBe(author0.slice(opened.bodyStart));
        expect(sealed.digest).toBe(digestByRule(sealed.text));
        const canonical = canonicalSeal({ ...slot, text: author0 });
        expect(unseal(canonical.text)).toMatchObject({ text: author0 });
        expect(isSealed(sealed.text) && isSealed(canonical.text)).toBe(true);
        expect(sameText(sealed.text, canonical.text) && sameText(author0, sealed.text)).toBe(true);
        const split = splitFrontMatter(sealed.text, MAX_STORED_BYTES);
        if (split === "none") throw new Error("sealed without front matter");
        const all = Object.entries(parseFull(sealed.text.slice(split.blockStart, split.blockEnd), 2));
        const isOurs = ([key]: readonly [string, unknown]) => key.startsWith("registry.");
        expect(all.filter((entry) => !isOurs(entry))).toEqual(Object.entries(opened.metadata));
        const ours = Object.fromEntries(all.filter(isOurs));
        expect([ours["registry.author"], ours["registry.message"]]).toEqual([author, message]);
        expect(failure(() => seal(sealed.text)).code).toBe("INVALID");
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(10_000);
    expect(refused).toBeGreaterThan(100);
  });

  it("writes author and message on one printable line", () => {
    const note =
      "a\n\r\t\u0085\u2028\u2029\u202e\u2066\u200b\ufeff\u00ad\u{e0041}\u{e0100}\ufe0f\u001b[31m\u009b é 😀 \"'\\";
    const { text } = seal("x", { author: note, message: note });
    const [line] = text.split("\n").filter((l) => l.startsWith("registry.author: "));
    expect(line?.slice(17)).toMatch(/^"[ -~é😀]*"$/u);
    expect(openDocument(text, slot)).toMatchObject({ author: note, message: note });
  });

  it.each<[string, Partial<SealInput>, string]>([
    ["a\0b", {}, "text"],
    ["a\ud800", {}, "text"],
    ["x".repeat(MAX_TEXT_BYTES + 1), {}, "text"],
    ["€".repeat(MAX_TEXT_BYTES / 2), {}, "text"],
    [1 as unknown as string, {}, "text"],
    ["x", { author: "x".repeat(201) }, "author"],
    ["x", { author: "\0" }, "author"],
    ["x", { message: "x".repeat(2001) }, "message"],
    ["x", { message: "\ud800" }, "message"],
    ["x", { createdAt: "2026-11-24T05:00:00Z" }, "createdAt"],
    ["x", { createdAt: "2026-06-31T05:00:00.000Z" }, "createdAt"],
    ["x", { createdAt: "2026-13-01T05:00:00.000Z" }, "createdAt"],
    ["x", { createdAt: `${createdAt}\nregistry.x: 1` }, "createdAt"],
    ["---js\nx\n---\n", {}, "text"],
    ["---\nopen", {}, "text"],
    ["---\na: *b\n---\n", {}, "text"],
    ["---\n- a\n---\n", {}, "text"],
    ["---\nregistry.name: x\n---\n", {}, "text"],
    ["---\na: 1\nregistry.anything: x\n---\n", {}, "text"],
    ['---\n"registry.name": x\n---\n', {}, "text"],
    ['---\n"registry\\x2ename": x\n---\n', {}, "text"],
    ["---\n? registry.x\n: y\n---\n", {}, "text"],
    ["---\na: 1\rregistry.name: x\n---\n", {}, "text"],
  ])("refuses case %#", (text, extra, field) => {
    expect(failure(() => seal(text, extra))).toMatchObject({ code: "INVALID", context: { field } });
  });

  it("says where front matter is wrong", () => {
    expect(failure(() => seal("---\na: 1\nb: &x 1\n---\n")).context).toMatchObject({ line: 3, column: 4 });
    expect(failure(() => seal("---\r\na: 1\r\nregistry.x: 1\r\n---\r\n")).context).toMatchObject({
      line: 3,
      column: 1,
    });
  });

  it("allows the longest text and notes, and their seal is within bounds", () => {
    const escaped = "\u202e";
    const extra = { author: escaped.repeat(200), message: escaped.repeat(2000) };
    const { text } = seal("x".repeat(MAX_TEXT_BYTES), extra);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_STORED_BYTES);
    expect(openDocument(text, slot).text).toHaveLength(MAX_TEXT_BYTES);
    const block = `---\n#${"x".repeat(65_534)}\n---\n`;
    expect(openDocument(seal(block, extra).text, slot).text).toBe(block);
    expect(isSealed(text)).toBe(true);
    expect(() => checkText(text)).toThrow();
    expect(() => checkText(text, MAX_STORED_BYTES)).not.toThrow();
  });
});

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

describe("tombstones", () => {
  const { digest } = seal("x");

  it("keep what was removed, and whose it was", () => {
    const why = 'leaked\n\u202e"key"';
    const tombstone = sealTombstone({
      ...slot,
      digest,
      at: createdAt,
      by: "ada",
      reason: why,
      author: "bob",
      createdAt,
      message: "m",
    });
    expect(tombstone.digest).not.toBe(digest);
    expect(tombstone.digest).toBe(digestByRule(tombstone.text));
    expect(openStored(tombstone.text, slot)).toEqual({
      kind: "tombstone",
      ...slot,
      digest: tombstone.digest,
      removed: { digest, at: createdAt, by: "ada", reason: why },
      author: "bob",
      createdAt,
      message: "m",
    });
    const short = sealTombstone({ ...slot, digest, at: createdAt });
    expect(openStored(short.text, slot)).toEqual({
      kind: "tombstone",
      ...slot,
      digest: short.digest,
      removed: { digest, at: createdAt },
    });
    expect(unseal(short.text).kind).toBe("tombstone");
  });

  it("are no documents", () => {
    const { text } = sealTombstone({ ...slot, digest, at: createdAt, reason: "leak" });
    expect(failure(() => openDocument(text, slot))).toMatchObject({ code: "NOT_FOUND", context: slot });
    expect(isSealed(text)).toBe(false);
    expect(failure(() => readSeal(text)).code).toBe("INVALID");
    expect(failure(() => seal(text)).code).toBe("INVALID");
    expect(sameText(text, "")).toBe(false);
  });

  it("can't be made up by an author", () => {
    const line = `registry.removed: {"digest":"${digest}","at":"${createdAt}"}`;
    expect(failure(() => seal(`---\n${line}\n---\n`)).code).toBe("INVALID");
    expect(openDocument(seal(`${line}\n---\n${line}`).text, slot).kind).toBe("document");
  });

  it("refuse bad input", () => {
    const bad = [
      { digest: "sha256:1" as Digest },
      { at: "now" },
      { by: "x".repeat(201) },
      { reason: "x".repeat(2001) },
    ];
    for (const extra of bad) {
      expect(failure(() => sealTombstone({ ...slot, digest, at: createdAt, ...extra })).code).toBe("INVALID");
    }
  });
});

describe("readSeal and sameText", () => {
  it("take whole sealed documents only", () => {
    const { text } = seal("x");
    for (const other of ["", "x", `${text} `, text.replace("1.0.0", "1.0.1"), text.replace("---", "----")]) {
      expect(isSealed(other)).toBe(false);
      expect(failure(() => readSeal(other))).toMatchObject({ code: "INVALID", context: { field: "text" } });
    }
  });

  it("compare what the author wrote", () => {
    expect(sameText("a", "a")).toBe(true);
    expect(sameText("a", "a\n")).toBe(false);
    expect(sameText(seal("a").text, "a")).toBe(true);
    expect(sameText(seal("a").text, seal("a", { author: "x" }).text)).toBe(true);
    expect(sameText(seal("a").text, seal("b").text)).toBe(false);
    expect(sameText("---\n---\na", "a")).toBe(false);
  });
});

describe("digests", () => {
  it("are spelled in one way", () => {
    const digest = `sha256:${"ab".repeat(32)}`;
    expect(isDigest(digest)).toBe(true);
    expect(parseDigest(digest)).toBe(digest);
    for (const bad of [
      "",
      digest.toUpperCase(),
      digest.slice(7),
      `${digest}0`,
      `${digest}\n`,
      digest.replace("sha256", "sha512"),
    ]) {
      expect(isDigest(bad)).toBe(false);
      expect(failure(() => parseDigest(bad))).toMatchObject({ code: "INVALID", context: { field: "digest" } });
    }
  });

  it("are what the shell line of the docs prints", (context) => {
    const probe = spawnSync("sh", ["-c", "printf abc | sed s/a/a/ | sha256sum"], { encoding: "utf8" });
    if (probe.status !== 0 || !probe.stdout.startsWith("ba7816bf")) {
      context.skip("no sh, sed or sha256sum here");
    }
    const folder = mkdtempSync(join(tmpdir(), "prompt-registry-"));
    try {
      const sealed = [
        ...texts.map((text) => seal(text)),
        sealTombstone({ ...slot, digest: seal("x").digest, at: createdAt }),
      ];
      sealed.forEach(({ text }, i) => {
        writeFileSync(join(folder, `${i}.md`), text);
      });
      const line = String.raw`LC_ALL=C sed '1,/^registry\.digest: /{/^registry\.digest: /d;}' "$f" | sha256sum`;
      const script = `i=0; while [ "$i" -lt ${sealed.length} ]; do f="$i.md"; ${line}; i=$((i+1)); done`;
      const printed = execFileSync("sh", ["-c", script], { cwd: folder, encoding: "utf8" });
      expect(printed.trim().split("\n")).toEqual(sealed.map(({ digest }) => `${digest.slice(7)}  -`));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
