import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createdAt, digestByRule, seal, slot, texts } from "../../test/support/document-lab.ts";
import { failure } from "../../test/support/failure.ts";
import {
  canonicalSeal,
  checkText,
  isDigest,
  isSealed,
  MAX_STORED_BYTES,
  MAX_TEXT_BYTES,
  openDocument,
  parseDigest,
  readSeal,
  type SealedDocument,
  type SealInput,
  sameText,
  sealTombstone,
  unseal,
} from "../document.ts";
import { isRegistryError } from "../errors.ts";
import { splitFrontMatter } from "../frontmatter.ts";
import { parseFull } from "../yaml.ts";

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
