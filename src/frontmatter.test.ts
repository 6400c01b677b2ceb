import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shortest } from "../test/support/time.ts";
import { isRegistryError, type RegistryError } from "./errors.ts";
import { isWellFormed, MAX_FRONT_MATTER_BYTES, splitFrontMatter } from "./frontmatter.ts";
import { type JsonValue, parseFlat, parseFrontMatter, parseFull } from "./yaml.ts";

function failure(run: () => unknown): RegistryError {
  try {
    run();
  } catch (error) {
    if (isRegistryError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Plain objects, so that `toEqual` compares content and not prototypes. */
function plain(value: JsonValue): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe("splitFrontMatter", () => {
  it.each([
    ["---\na: 1\n---\nbody", [4, 9, 13], "\n"],
    ["---\r\na: 1\r\n---\r\nbody", [5, 11, 16], "\r\n"],
    ["---\n---\n", [4, 4, 8], "\n"],
    ["---\n---", [4, 4, 7], "\n"],
    ["--- \t\na: 1\n---\t \r\nbody", [6, 11, 18], "\n"],
    ["---\na: 1\n---  ", [4, 9, 14], "\n"],
    ["\ufeff---\na: 1\n---\n", [5, 10, 14], "\n"],
    ["---\na: |\n  ---\n---\n---\n", [4, 15, 19], "\n"],
    ["---\n----\n---x\n --- \n---\n", [4, 20, 24], "\n"],
  ])("finds the block of %j", (text, [blockStart, blockEnd, bodyStart], eol) => {
    const bom = text.startsWith("\ufeff");
    expect(splitFrontMatter(text)).toEqual({ bom, blockStart, blockEnd, bodyStart, eol });
  });

  it.each([
    "",
    "-",
    "--",
    "\ufeff",
    "Hello",
    " ---\na: 1\n---\n",
    "\n---\na: 1\n---\n",
    "\ufeff\ufeff---\n---\n",
    "----\n---\n",
    "---------\n",
    "--- a rule with words\n---\n",
    "--- !yaml\n---\n",
    "---{}\n---\n",
    "---\ra: 1\r---\r",
    "---\u00a0\n---\n",
  ])("sees none in %j", (text) => {
    expect(splitFrontMatter(text)).toBe("none");
  });

  it.each(["---js", "---javascript", "--- json", "---coffee", "---yaml", "---\ttoml  ", "--- c++"])(
    "refuses %j",
    (first) => {
      for (const rest of ["", "\n", "\r\nx\r\n---\r\n", "\nprocess.exit(3)\n---\nbody"]) {
        for (const bom of ["", "\ufeff"]) {
          const error = failure(() => splitFrontMatter(bom + first + rest));
          expect(error).toMatchObject({ code: "INVALID", context: { field: "text", line: 1, column: 1 } });
          expect(error.message).toContain("names a language");
        }
      }
    },
  );

  it.each(["---", "---\n", "---\na: 1\n", "---\na: 1\n --- \n", "---\na: 1\n---x\n", "---\na: 1\n---\r"])(
    "refuses %j, which is never closed",
    (text) => {
      const error = failure(() => splitFrontMatter(text));
      expect(error.code).toBe("INVALID");
      expect(error.message).toContain("never closed");
    },
  );

  it("counts the limit in UTF-8 bytes", () => {
    const block = (content: string) => `---\n${content}\n---\n`;
    expect(splitFrontMatter(block(`#${"x".repeat(MAX_FRONT_MATTER_BYTES - 2)}`))).not.toBe("none");
    const tooLong = [`#${"x".repeat(MAX_FRONT_MATTER_BYTES - 1)}`, `#${"€".repeat(22_000)}`, "x".repeat(1 << 20)];
    for (const content of tooLong) {
      expect(failure(() => splitFrontMatter(block(content))).message).toContain("longer than 65536 bytes");
    }
    expect(splitFrontMatter(block("12345"), 6)).not.toBe("none");
    expect(failure(() => splitFrontMatter(block("12345"), 5)).code).toBe("INVALID");
  });

  it("takes linear time", () => {
    const size = 1 << 20;
    const texts = ["\n---x", "\n---   ", "\n---\t", "\n", "---", "- ", "\r"].map((s) => s.repeat(size / s.length));
    for (const text of texts) {
      for (const open of ["---\n", "---", "---js"]) {
        expect(
          shortest(() => {
            try {
              splitFrontMatter(open + text);
            } catch {}
          }),
        ).toBeLessThan(50);
      }
    }
  });
});

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

describe("the fast path", () => {
  const token = fc.oneof(
    fc.constantFrom(
      ..."a,b, ,  ,:,: ,#, #,-,- ,?,? ,\",',\\,\\n,\\u0041,[,],{,},|,>,&,*,!,%,@,`,~,.,=,<<".split(","),
      ",",
    ),
    fc.constantFrom(
      "null",
      "true",
      "1",
      "-1",
      "0x1",
      ".5",
      "1e999",
      ".inf",
      "key",
      "é",
      "\u2028",
      "\u00a0",
      "\ufeff",
      "😀",
    ),
    fc.constantFrom(
      "\t",
      "\n",
      "\r\n",
      "\r",
      "\u0000",
      "\u0007",
      "\u0085",
      "\ud800",
      "---",
      "...",
      "__proto__",
      "registry.x",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  );
  const value = fc.oneof(
    fc.array(token, { maxLength: 6 }).map((tokens) => tokens.join("")),
    fc.string({ unit: "grapheme-ascii" }),
    fc.string().map((s) => JSON.stringify(s)),
    fc.double().map(String),
    fc.constantFrom("", "yes", "a b c", "a: b", "- a", "a #b", "http://x/#y", "{a: 1}", "[1, 2]", "|\n  x", "1_0"),
  );
  const key = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom("a", "b", "c.d", "e-f", "_g", "input", "toString") },
    {
      weight: 1,
      arbitrary: fc.constantFrom("null", "True", "y", "__proto__", "constructor", "<<", "1", "a b", '"q"', " x", "é"),
    },
  );
  const line = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(key, fc.constantFrom(":", ": ", ":  ", " : "), value).map((parts) => parts.join("")),
    },
    { weight: 1, arbitrary: fc.constantFrom("", "# c", " # c", "  ", "- x", "  x: 1", "\tx", "#", "...", "--- x") },
    { weight: 1, arbitrary: value },
  );
  const eol = fc.constantFrom("\n", "\n", "\n", "\r\n", "\r", " \n");
  const block = fc.array(fc.tuple(line, eol), { maxLength: 5 }).map((lines) => lines.flat().join(""));

  it("gives what the full parser gives, or nothing", () => {
    let taken = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          block,
          block.map((b) => b.trimEnd()),
        ),
        (yaml) => {
          const flat = parseFlat(yaml);
          if (flat === undefined) return;
          taken++;
          const full = parseFull(yaml, 2);
          expect(Object.entries(flat)).toEqual(Object.entries(full));
        },
      ),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(2000);
  });

  // Lines of blocks that mostly fit together, with something in between that does not.
  const mostly = <A, B>(usual: fc.Arbitrary<A>, rare: fc.Arbitrary<B>) =>
    fc.oneof({ weight: 15, arbitrary: usual }, { weight: 1, arbitrary: rare });
  const item = mostly(
    fc.constantFrom("x", "1", "a b", '"q: #"', "[a, 1]", '[ "a,b" ]', "[]", "# c", "x # c", ""),
    fc.oneof(value, fc.constantFrom("[a,]", "[a b]", "[.5, -1]", "[- 1]", "[[a]]", "[a: b]", "- a", "a: b", "|")),
  );
  const name = mostly(
    fc.nat(50).map((n) => `k${n}`),
    key,
  );
  const entry = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(name, fc.constantFrom(": ", ":  ", "?: "), item) },
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom("- ", "-  "), item) },
    { weight: 4, arbitrary: fc.tuple(name, fc.constant(":")) },
    { weight: 1, arbitrary: fc.constantFrom(["# c"], [""], ["-"], ["x"], ["\t"], ["--- "]) },
  );
  const nested = fc
    .array(fc.tuple(fc.constantFrom("", "  ", "  ", "    ", " "), entry, mostly(fc.constant("\n"), eol)), {
      maxLength: 7,
    })
    .map((lines) => lines.map(([space, parts, end]) => space + parts.join("") + end).join(""));

  it("gives what the full parser gives, or nothing, below keys too", () => {
    let taken = 0;
    fc.assert(
      fc.property(nested, (yaml) => {
        const flat = parseFlat(yaml);
        if (flat === undefined) return;
        if (/[-:][ ]*\r?\n +/.test(yaml)) taken++;
        expect(JSON.stringify(flat)).toBe(JSON.stringify(parseFull(yaml, 2)));
      }),
      { numRuns: 40_000 },
    );
    expect(taken).toBeGreaterThan(200);
  });

  it("takes settings below their keys, and lists", () => {
    const yaml =
      'config: # of the model\n  temperature: 0.2\n  stop: ["#", END]\ninput:\n  schema:\n    ticket: string, the text\n' +
      "    language?: string\n  default:\n      language: en\ntags:\n- a\n- b c\nmore:\n  - 1\n\n  -\nlast:\n";
    const flat = parseFlat(yaml);
    expect(flat).toBeDefined();
    expect(JSON.stringify(flat)).toBe(JSON.stringify(parseFull(yaml, 2)));
    const walk = (one: JsonValue): void => {
      if (typeof one !== "object" || one === null) return;
      expect(Object.isFrozen(one)).toBe(true);
      if (!Array.isArray(one)) expect(Object.getPrototypeOf(one)).toBeNull();
      Object.values(one).forEach(walk);
    };
    walk(flat as JsonValue);
  });

  it("takes what most prompts have", () => {
    const yaml =
      'model: gpt-5\ntemperature: 0.2\n# note\n\ndescription: "Says \\"no\\", politely"\ntitle: Ärger im Büro\nurl: http://x/y\nempty:\n';
    expect(parseFlat(yaml)).toBeDefined();
    expect(parseFlat(yaml.replaceAll("\n", "\r\n"))).toEqual(parseFlat(yaml));
  });
});

describe("isWellFormed", () => {
  it("finds lone surrogates only", () => {
    for (const text of ["", "a", "😀", "\ud83d\ude00a", "\uffff"]) expect(isWellFormed(text)).toBe(true);
    for (const text of ["\ud83d", "\ude00", "a\ude00\ud83d", "😀\ud83d"]) expect(isWellFormed(text)).toBe(false);
  });
});
