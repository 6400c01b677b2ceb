import { describe, expect, it } from "vitest";
import { failure } from "../test/support/failure.ts";
import { shortest } from "../test/support/time.ts";
import { isRegistryError } from "./errors.ts";
import { MAX_FRONT_MATTER_BYTES } from "./frontmatter.ts";
import { type JsonValue, parseFrontMatter, parseFull } from "./yaml.ts";

/** Plain objects, so that `toEqual` compares content and not prototypes. */
function plain(value: JsonValue): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe("parseFrontMatter", () => {
  it.each(["", "\n", "\r\n\r\n", "# only a comment", "  \n\t\n # c\n"])("reads %j as empty", (yaml) => {
    expect(plain(parseFrontMatter(yaml))).toEqual({});
  });

  // https://yaml.org/spec/1.2.2/#103-core-schema, and what YAML 1.1 or js-yaml read otherwise.
  it.each<[string, unknown]>([
    ["", null],
    ["~", null],
    ["null", null],
    ["Null", null],
    ["NULL", null],
    ["nUll", "nUll"],
    ["true", true],
    ["True", true],
    ["FALSE", false],
    ["tRue", "tRue"],
    ["yes", "yes"],
    ["no", "no"],
    ["on", "on"],
    ["Off", "Off"],
    ["y", "y"],
    ["0", 0],
    ["-0", 0],
    ["-0.0", 0],
    ["+12", 12],
    ["-12", -12],
    ["007", 7],
    ["0o14", 12],
    ["0o8", "0o8"],
    ["-0o14", "-0o14"],
    ["0x1F", 31],
    ["-0x1F", "-0x1F"],
    ["0b11", "0b11"],
    ["1_000", "1_000"],
    ["1:30", "1:30"],
    ["1.5", 1.5],
    ["1.", 1],
    [".5", 0.5],
    ["-.5", -0.5],
    ["1e3", 1000],
    ["1E-2", 0.01],
    ["1.5e+3", 1500],
    ["1e", "1e"],
    [".", "."],
    ["1.2.3", "1.2.3"],
    ["2026-11-24", "2026-11-24"],
    ["2026-11-24T05:00:00.000Z", "2026-11-24T05:00:00.000Z"],
    ["12345678901234567890", 12345678901234567000],
    ["=", "="],
    ["gpt-5", "gpt-5"],
    ["http://example.com/#x", "http://example.com/#x"],
    ["a #comment", "a"],
    ["a#b", "a#b"],
    ["'it''s'", "it's"],
    ['"\\u00e9\\x41\\U0001F600"', "éA😀"],
    ['"\\uD83D\\uDE00"', "😀"],
    ['"true"', "true"],
    ["'1'", "1"],
    ['""', ""],
    ["[1, '2', three]", [1, "2", "three"]],
    ["[a: b, {c: d}]", [{ a: "b" }, { c: "d" }]],
    ["{a: 1, b: [~, x], 'c': }", { a: 1, b: [null, "x"], c: null }],
    ["\n  b: 1\n  c:\n  - 2\n  -\n  - d: 3", { b: 1, c: [2, null, { d: 3 }] }],
    ["|\n  ---\n  registry.name: x\n", "---\nregistry.name: x\n"],
    [">-\n  a\n  b\n", "a b"],
    ["a\n  b", "a b"],
  ])("reads the value %j", (source, value) => {
    expect(plain(parseFrontMatter(`k: ${source}`))).toEqual({ k: value });
    expect(plain(parseFull(`k: ${source}`, 2))).toEqual({ k: value });
    expect(plain(parseFrontMatter(`k: ${source}\n`.replaceAll("\n", "\r\n")))).toEqual({ k: value });
  });

  it("takes numbers as keys as they are written", () => {
    expect(plain(parseFrontMatter("1: a\n0x10: b\n1.50: c\n'true': d\n? e\n: f"))).toEqual({
      "1": "a",
      "0x10": "b",
      "1.50": "c",
      true: "d",
      e: "f",
    });
  });

  it.each<[string, string, number, number]>([
    ["a: 1\nb: !!str x", "tags", 3, 4],
    ["a: !<plain> x", "tags", 2, 4],
    ["a: !<?> 'x'", "tags", 2, 4],
    ["a: ! x", "tags", 2, 4],
    ["!t a: 1", "tags", 2, 1],
    ["a: !!js/function 'x'", "tags", 2, 4],
    ["a: &x 1", "anchors", 2, 4],
    ["a: [&x b]", "anchors", 2, 5],
    ["a: 1\n\n# c\n&x b: 1", "anchors", 5, 1],
    ["a: *x", "aliases", 2, 4],
    ["a:\n  # c\n  * item", "aliases", 4, 3],
    ["<<: {a: 1}", '"<<"', 2, 1],
    ["a:\n  b: 1\n  <<: [{c: 1}]", '"<<"', 4, 3],
    ["a: 1\nb: 2\na: 3", "duplicated mapping key", 4, 1],
    ["a: {b: 1, 'b': 2}", "duplicated mapping key", 2, 11],
    ["__proto__: {x: 1}", "__proto__", 2, 1],
    ["'__proto__': 1", "__proto__", 2, 1],
    ['"\\x5f_proto__": 1', "__proto__", 2, 1],
    ["a:\n - {constructor: 1}", "constructor", 3, 5],
    ["a: [prototype: 1]", "prototype", 2, 5],
    ["a: 1\n---\nb: 2", "second document", 3, 1],
    ["--- a: 1", "second document", 2, 1],
    ["---a: 1", "second document", 2, 1],
    ["a: 1\n...", "second document", 3, 1],
    ["a: 1\n...\nb: 2", "second document", 3, 1],
    ["a: 1\r---\rb: 2", "second document", 3, 1],
    ["%YAML 1.2\na: 1", "directives", 2, 1],
    ["a:\n\tb: 1", "tab", 3, 1],
    ["null: 1", "must be a string", 2, 1],
    ["true: 1", "must be a string", 2, 1],
    ["~: 1", "must be a string", 2, 1],
    ["[a]: 1", "must be a string", 2, 1],
    ["{a: 1}: 1", "first column", 2, 1],
    ["k: {[a]: 1}", "must be a string", 2, 5],
    ["k: {{name}}", "must be a string", 2, 5],
    ["k: {? : 1}", "must be a string", 2, 4],
    ["k: [: 1]", "must be a string", 2, 4],
    ["?\n: 1", "must be a string", 2, 1],
    ["? [a]\n: 1", "must be a string", 2, 3],
    ["k: .nan", "JSON", 2, 4],
    ["k: [1, -.INF]", "JSON", 2, 8],
    ["k: 1e999", "JSON", 2, 4],
    ["{a: 1}", "first column", 2, 1],
    [" a: 1", "first column", 2, 2],
    ["\n  a: 1\nb: 2", "first column", 3, 3],
    ["- a", "key: value", 2, 1],
    ["[a]", "key: value", 2, 1],
    ["just words", "key: value", 2, 1],
    ["'a'", "key: value", 2, 1],
    ["~", "key: value", 2, 1],
    ["a: b: c", "bad indentation", 2, 5],
    ['a: "x\ny"', "deficient indentation", 3, 1],
    ['a: "\\ud800"', "half a surrogate", 2, 4],
    ['a: "\\0"', "NUL", 2, 4],
    ['a: "\\U00110000"', "not a character", 2, 4],
    ['a: "\\\\\\UFFFFFFFF"', "not a character", 2, 4],
    ["\ufeffa: 1", "byte order mark", 2, 1],
    ["a: @b", "", 2, 4],
    ["a: `b`", "", 2, 4],
    ["a: [1", "", 2, 7],
  ])("refuses %j: %s", (yaml, problem, line, column) => {
    const error = failure(() => parseFrontMatter(yaml));
    expect(error.code).toBe("INVALID");
    expect(error.message).toContain(problem);
    if (problem !== "") expect([error.context.line, error.context.column]).toEqual([line, column]);
    expect(error.context.line).toBeGreaterThanOrEqual(2);
    expect(error.message).not.toMatch(/[\n\r]/);
  });

  it("counts lines from where the block starts, with any line ends", () => {
    for (const eol of ["\n", "\r\n"]) {
      expect(failure(() => parseFrontMatter(["a: 1", "b: 2", "a: 3"].join(eol), 10)).context).toMatchObject({
        line: 12,
        column: 1,
      });
    }
  });

  it("allows 16 levels and 2000 nodes, and no more", () => {
    const flow = (levels: number) => `k: ${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}`;
    const block = (levels: number) => Array.from({ length: levels }, (_, i) => `${" ".repeat(i)}k:`).join("\n");
    const dashes = (levels: number) => `k:\n  ${"- ".repeat(levels - 2)}- x`;
    for (const build of [flow, block, dashes]) {
      expect(() => parseFrontMatter(build(16))).not.toThrow();
      for (const levels of [17, 40, 300]) {
        expect(failure(() => parseFrontMatter(build(levels))).message).toContain("16 levels");
      }
    }
    const keys = (count: number) => Array.from({ length: count }, (_, i) => `k${i}: v`).join("\n");
    expect(() => parseFrontMatter(keys(999))).not.toThrow();
    expect(() => parseFull(keys(999), 2)).not.toThrow();
    const items = (count: number) => `k: [${"x,".repeat(count)}]`;
    expect(() => parseFrontMatter(items(1997))).not.toThrow();
    for (const yaml of [keys(1000), items(1998), items(30_000), `k:\n${"-\n".repeat(2000)}`]) {
      expect(failure(() => parseFrontMatter(yaml)).message).toContain("2000");
    }
  });

  it("ends within 50 ms on hostile blocks", () => {
    const full = (unit: string, head = "", tail = "") =>
      head + unit.repeat(Math.floor((MAX_FRONT_MATTER_BYTES - head.length - tail.length) / unit.length)) + tail;
    const laughs = "abcdefghi".split("").map((c, i, all) => `${c}: &${c} [${`*${all[i - 1] ?? "z"},`.repeat(9)}]`);
    const hostile = [
      laughs.join("\n"),
      full("<<: *a\n", "a: &a {x: 1}\n"),
      full("<<: {a: 1}\n"),
      full("a: 1\n"),
      full("[", "k: "),
      full(" ", "k: [", "x"),
      full("a, ", "k: [", "x"),
      full("a,", "k: [", "]"),
      full('"a", ', "k: [", '"'),
      full(" ", "k: [a", "x"),
      full("a/", "k: [", ":"),
      full("{", "k: "),
      full("{a: ", "k: "),
      full("[a: ", "k: "),
      full("- ", "k:\n  "),
      full("? "),
      full("? - "),
      full("x,", "k: [", "]"),
      full("[],", "k: [", "]"),
      full("a: b,", "k: [", "]"),
      full('"",', "k: [", "]"),
      full("\n", "k: ["),
      full("# c\n", "k:\n", "\n  v: 1"),
      full("#\n", "k: [", "]"),
      full(" ", "k:", "x: y"),
      full(" ", "k: a", "\u0001"),
      full(" ", "k: a"),
      full(" ", "k: "),
      full("a ", "k: ", "\u0001"),
      full("a  ", "k: ", ": "),
      full(":a", "k: a", ": "),
      full("x", "k: ", "\u0001"),
      full("\\n", 'k: "'),
      full("\\u0041", 'k: "', '"'),
      full("\\U00000041", 'k: "', '"'),
      full('"', 'k: "'),
      full("'", "k: '"),
      full("a\n  ", "k: "),
      full("\n  ", "k: a", ": b"),
      full("\n", "k: |\n  a"),
      full(" \n", "k: >\n  a"),
      full("\t", "k: "),
      full("\t", ""),
      full("é"),
      full("-"),
      full("k"),
      full("---\n", "a: 1\n"),
      full("...\n"),
      full("!", "k: "),
      full("!!a ", "k: "),
      full("&a ", "k: "),
      full("%Y\n"),
      full("\r"),
      full("\u2028"),
      Array.from({ length: 6000 }, (_, i) => `k${i}: v`).join("\n"),
      Array.from({ length: 6000 }, (_, i) => `"k${i}": v`).join("\n"),
      `k: {${Array.from({ length: 6000 }, (_, i) => `k${i}`).join(", ")}}`,
    ];
    const run = (yaml: string) => () => {
      try {
        parseFrontMatter(yaml);
      } catch (error) {
        if (!isRegistryError(error, "INVALID")) throw error;
      }
    };
    for (const yaml of hostile) {
      expect(shortest(run(yaml)), JSON.stringify(yaml.slice(0, 40))).toBeLessThan(50);
    }
    const long = "a: b\n".repeat(1 << 18);
    expect(shortest(() => expect(failure(() => parseFrontMatter(long)).message).toContain("longer than"))).toBeLessThan(
      50,
    );
  });

  it("gives frozen objects without prototype, and leaves Object.prototype alone", () => {
    const before = Reflect.ownKeys(Object.prototype);
    for (const parse of [parseFrontMatter, (yaml: string) => parseFull(yaml, 2)]) {
      const meta = parse("toString: 1\nvalueOf: x") as Record<string, JsonValue>;
      expect(Object.getPrototypeOf(meta)).toBeNull();
      expect(Object.isFrozen(meta)).toBe(true);
      expect(meta.hasOwnProperty).toBeUndefined();
    }
    const deep = parseFrontMatter("a: [{b: {c: [1]}}, x: y]");
    const walk = (value: JsonValue): void => {
      if (typeof value !== "object" || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      if (!Array.isArray(value)) expect(Object.getPrototypeOf(value)).toBeNull();
      Object.values(value).forEach(walk);
    };
    walk(deep);
    for (const yaml of [
      "__proto__: {polluted: 1}",
      "a: {__proto__: {polluted: 1}}",
      "constructor: {prototype: {polluted: 1}}",
    ]) {
      expect(failure(() => parseFrontMatter(yaml)).code).toBe("INVALID");
    }
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
