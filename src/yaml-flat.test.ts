import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JsonValue, parseFlat, parseFull } from "./yaml.ts";

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
