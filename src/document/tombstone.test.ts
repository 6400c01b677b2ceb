import { describe, expect, it } from "vitest";
import { createdAt, digestByRule, seal, slot } from "../../test/support/document-lab.ts";
import { failure } from "../../test/support/failure.ts";
import {
  type Digest,
  isSealed,
  openDocument,
  openStored,
  readSeal,
  sameText,
  sealTombstone,
  unseal,
} from "../document.ts";

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
