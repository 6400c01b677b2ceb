import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shortest } from "../test/support/time.ts";
import { RegistryError } from "./errors.ts";
import { isLabel, isName, parseLabel, parseName, parseRef, parseSelector } from "./names.ts";

const RUNS = 10_000;

function codeOf(action: () => unknown): string {
  try {
    action();
    return "accepted";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

describe("names", () => {
  it.each(["a", "support/triage", "a.b", "a-b_c.d", "0", "v1", "gpt-4.1", "a/b/c/d/e/f/g/h", "x".repeat(64), "1.2"])(
    "accepts %s",
    (name) => {
      expect(parseName(name)).toBe(name);
      expect(isName(name)).toBe(true);
    },
  );

  it.each([
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    ".",
    "..",
    "a/../b",
    "../etc/passwd",
    ".hidden",
    "a/.git",
    "-a",
    "a-",
    "a.",
    "A",
    "é",
    "ß",
    "a b",
    "a\\b",
    "a\0b",
    "a%2fb",
    "a?b",
    "a#b",
    "a@b",
    "a:b",
    "latest",
    "support/latest",
    "a.md",
    "a.json",
    "v1.0.0",
    "1.0.0",
    "a/v1.0.0",
    "v1.0.0-beta.1",
    "v1.0.0.md",
    "con",
    "con.txt",
    "a/nul",
    "com1",
    "lpt9.x",
    "aux",
    "prn.a.b",
    "x".repeat(65),
    "a/b/c/d/e/f/g/h/i",
    Array.from({ length: 8 }, () => "x".repeat(30)).join("/"),
  ])("refuses %j and says which field and rule", (name) => {
    expect(isName(name)).toBe(false);
    try {
      parseName(name);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID", outcome: "final", context: { field: "name" } });
    }
  });

  it("shows a hostile value cut and escaped", () => {
    const hostile = `\u001b[2J\u202e${"x".repeat(500)}`;
    try {
      parseName(hostile);
      expect.unreachable();
    } catch (error) {
      const { message } = error as RegistryError;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      expect(message).not.toMatch(/[\u0000-\u001f\u202e]/);
      expect(message.length).toBeLessThan(250);
    }
  });

  it("never hands two names to one file on any system, and never leaves the root", () => {
    const alphabet = fc.constantFrom(..."abAB01.-_/\\ ~ßéİ:%\0\u202e@".split(""));
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 24 }), (input) => {
        if (codeOf(() => parseName(input)) !== "accepted") return;
        expect(isName(input)).toBe(true);
        for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) expect(input.normalize(form)).toBe(input);
        expect(input.toLowerCase()).toBe(input);
        expect(input).toMatch(/^[a-z0-9._/-]+$/);
        expect(input.split("/").some((s) => s === "" || s.startsWith(".") || s.endsWith("."))).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  it("answers any input at once, with INVALID or a name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (input) => {
        const code = codeOf(() => parseName(input));
        expect(["accepted", "INVALID"]).toContain(code);
        expect(code === "accepted").toBe(isName(input));
        expect(shortest(() => codeOf(() => parseName(input)))).toBeLessThan(50);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("labels", () => {
  it.each(["production", "staging", "a", "canary-2", "eu.west_1", "constructor", "beta1"])("accepts %s", (label) => {
    expect(parseLabel(label)).toBe(label);
  });

  it.each([
    "",
    "latest",
    "1",
    "1.0.0",
    "v1",
    "v1.2",
    "v1.2.3",
    "x",
    "v",
    "Prod",
    "prod ",
    "prod.",
    "a.md",
    "con",
    "nul.x",
    "^1",
    "a/b",
    "-a",
    "x".repeat(65),
  ])("refuses %j", (label) => {
    expect(() => parseLabel(label)).toThrow(expect.objectContaining({ code: "INVALID" }));
    expect(isLabel(label)).toBe(false);
  });

  it("never reads a label as a version or range, or the reverse", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."abvx019.-_*^~><= |".split("")), maxLength: 12 }), (input) => {
        if (isLabel(input)) expect(parseSelector(input)).toEqual({ kind: "label", label: input });
        else if (codeOf(() => parseSelector(input)) === "accepted") expect(parseSelector(input).kind).not.toBe("label");
      }),
      { numRuns: RUNS },
    );
  });
});

describe("selectors", () => {
  it.each([
    ["a", { kind: "latest" }],
    ["a@latest", { kind: "latest" }],
    ["a@1.2.0", { kind: "version", version: "1.2.0" }],
    ["a@v1.2.0", { kind: "version", version: "1.2.0" }],
    ["a@1.2.0-rc.1", { kind: "version", version: "1.2.0-rc.1" }],
    ["a@^1.2", { kind: "range", range: "^1.2" }],
    ["a@1", { kind: "range", range: "1" }],
    ["a@1.x", { kind: "range", range: "1.x" }],
    ["a@*", { kind: "range", range: "*" }],
    ["a@>=1.0.0 <2.0.0", { kind: "range", range: ">=1.0.0 <2.0.0" }],
    ["a@production", { kind: "label", label: "production" }],
  ])("%s", (input, selector) => {
    expect(parseRef(input)).toEqual({ name: "a", selector });
  });

  it.each([
    "",
    "@",
    "a@",
    "@1.0.0",
    "a@@",
    "a@b@c",
    "a@1.2.0+build",
    "a@PROD",
    "a@../x",
    "a@^",
    "a@{}",
    `a@${">".repeat(70)}`,
  ])("refuses %j", (input) => {
    expect(() => parseRef(input)).toThrow(expect.objectContaining({ code: "INVALID" }));
  });

  it("answers any input within 50 ms", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."a@0123.x-^~<>=| *+".split("")), maxLength: 400 }), (input) => {
        expect(["accepted", "INVALID"]).toContain(codeOf(() => parseRef(input)));
        expect(shortest(() => codeOf(() => parseRef(input)))).toBeLessThan(50);
      }),
      { numRuns: RUNS },
    );
  });
});
