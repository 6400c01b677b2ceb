import { describe, expect, test } from "vitest";
import { parseVersion, type Version } from "../semver.ts";
import { bumpProblem, isEnough, nextVersion, promisedStep, requiredBump } from "./bump.ts";

const withSchema = (schema: string, body = "Text\n") => `---\nmodel: m\ninput:\n  schema:\n${schema}\n---\n${body}`;
const field = (...lines: string[]) => withSchema(lines.map((line) => `    ${line}`).join("\n"));

describe("what a change of the variables needs", () => {
  test.each<[string, string, string, string, string[]]>([
    ["the same text", "Sort: {{a}}", "Sort: {{a}}", "none", []],
    ["wording", "Sort: {{a}}", "Sort this: {{a}}", "patch", []],
    ["another model", "---\nmodel: a\n---\n{{a}}", "---\nmodel: b\n---\n{{a}}", "patch", []],
    ["the order of variables", "{{a}} {{b}}", "{{b}} {{a}} {{a}}", "patch", []],
    ["a variable of the body removed", "{{a}} {{b}}", "{{a}}", "major", ['variable "b" is removed']],
    ["a variable of the body added", "{{a}}", "{{a}} {{b}}", "major", ['variable "b" is new and required']],
    ["a variable renamed", "{{a}}", "{{b}}", "major", ['variable "a" is removed', 'variable "b" is new and required']],
    ["a field removed", field("a: string", "b: string"), field("a: string"), "major", ['variable "b" is removed']],
    [
      "a required field",
      field("a: string"),
      field("a: string", "b: string"),
      "major",
      ['variable "b" is new and required'],
    ],
    [
      "an optional field",
      field("a: string"),
      field("a: string", "b?: string"),
      "minor",
      ['variable "b" is new and optional'],
    ],
    ["newly required", field("a?: string"), field("a: string"), "major", ['variable "a" is newly required']],
    ["no longer required", field("a: string"), field("a?: string"), "minor", ['variable "a" is no longer required']],
    ["a description", field("a: string"), field("a: string, what it is about"), "patch", []],
    [
      "another type",
      field("a: string"),
      field("a: number"),
      "major",
      ['variable "a" must now be "number", not "string"'],
    ],
    ["any type", field("a: string"), field("a: any"), "minor", ['variable "a" may now be anything']],
    ["a wildcard", field("a: string"), field("a: string", "(*): any"), "patch", []],
    [
      "a value more",
      field("a(enum): [x, y]"),
      field("a(enum): [x, y, z]"),
      "minor",
      ['variable "a" may now be "\\"z\\""'],
    ],
    [
      "a value less",
      field("a(enum): [x, y]"),
      field("a(enum, size): [x]"),
      "major",
      ['variable "a" may no longer be "\\"y\\""'],
    ],
    ["values listed", field("a: string"), field("a(enum): [x]"), "major", ['variable "a" must now be one of a list']],
    [
      "an array's items",
      field("a(array): string"),
      field("a(array, many): number"),
      "major",
      ['variable "a" must now be "array number", not "array string"'],
    ],
    [
      "inside an object",
      field("a(object):", "  x: string"),
      field("a(object):", "  x: string", "  y: string"),
      "major",
      ['variable "a" must now be "object {x: string; y: string}", not "object {x: string}"'],
    ],
    [
      "a default",
      `${field("a: string")}`,
      field("a: string").replace("input:\n", "input:\n  default:\n    a: x\n"),
      "minor",
      ['variable "a" is no longer required'],
    ],
    ["a variable that the schema names", `${field("a?: string")}`, `${field("a?: string")}{{a}}`, "patch", []],
    [
      "a declaration of what the body asks",
      "{{a}}",
      `${field("a: string")}{{a}}`,
      "major",
      ['variable "a" must now be "string"'],
    ],
  ])("%s", (_, before, after, bump, reasons) => {
    expect(requiredBump(before, after)).toEqual({ bump, reasons });
  });

  test("JSON Schema is read as Picoschema is", () => {
    const json = (required: string, properties: string) =>
      withSchema(`    type: object\n    required: [${required}]\n    properties:\n${properties}`);
    const a = "      a: { type: string, description: one }\n";
    const b = "      b: { type: integer }\n";
    expect(requiredBump(json("a", a), json("a", a + b))).toMatchObject({ bump: "minor" });
    expect(requiredBump(json("a", a), json("a, b", a + b))).toMatchObject({ bump: "major" });
    expect(requiredBump(json("a", a), json("", a))).toMatchObject({ bump: "minor" });
    expect(requiredBump(json("a", a), json("a", a.replace("one", "two")))).toMatchObject({ bump: "patch" });
    expect(requiredBump(json("a", a), json("a", a.replace("string", "number")))).toMatchObject({ bump: "major" });
    expect(requiredBump(json("a", a), field("a: string"))).toMatchObject({ bump: "patch" });
    expect(requiredBump(field("a: string"), withSchema("    properties: {}"))).toMatchObject({ bump: "major" });
  });

  test("a schema by name, or one that is none, asks for nothing", () => {
    const named = "---\ninput:\n  schema: Ticket\n---\n{{a}}";
    expect(requiredBump(named, "{{a}}")).toEqual({ bump: "patch", reasons: [] });
    expect(requiredBump("---\ninput: [1]\n---\n{{a}}", named)).toEqual({ bump: "patch", reasons: [] });
    expect(requiredBump("---\na: [\n---\n", "x")).toBeUndefined();
  });
});

describe("what a number promises", () => {
  test.each([
    ["1.2.3", "2.0.0", "major"],
    ["1.2.3", "1.3.0", "minor"],
    ["1.2.3", "1.2.4", "patch"],
    ["1.2.3", "3.1.0", "major"],
    ["1.2.3", "2.0.0-beta.1", "major"],
    ["1.2.3", "1.3.0-beta.1", "minor"],
    ["0.2.3", "0.3.0", "major"],
    ["0.2.3", "0.2.4", "patch"],
    ["0.2.3", "1.0.0", "major"],
    ["0.0.3", "0.0.4", "major"],
    ["0.0.3", "0.1.0", "major"],
    ["0.0.0", "0.0.1", "major"],
  ])("%s to %s: %s", (from, to, step) => {
    expect(promisedStep(parseVersion(from), parseVersion(to))).toBe(step);
  });

  test("the version that is proposed is enough, and the one before it is not", () => {
    for (const from of ["1.2.3", "0.2.3", "0.0.3", "0.0.0", "10.0.0"] as Version[]) {
      for (const needed of ["major", "minor", "patch"] as const) {
        const next = nextVersion(from, needed);
        expect(isEnough(from, promisedStep(from, next), needed), `${from} ${needed} ${next}`).toBe(true);
      }
    }
    expect(nextVersion("1.2.3" as Version, "major")).toBe("2.0.0");
    expect(nextVersion("1.2.3" as Version, "minor")).toBe("1.3.0");
    expect(nextVersion("0.2.3" as Version, "major")).toBe("0.3.0");
    expect(nextVersion("0.2.3" as Version, "minor")).toBe("0.2.4");
    expect(nextVersion("0.0.3" as Version, "major")).toBe("0.0.4");
  });

  test("a version that is too low is told which one to take, and why", () => {
    const previous = { version: "1.0.0" as Version, text: "{{a}}" };
    expect(bumpProblem("1.0.1" as Version, "{{a}} {{b}} {{c}}", previous)?.message).toBe(
      '1.0.1 is too low after 1.0.0: variable "b" is new and required, and 1 more, which is a major change; make it 2.0.0',
    );
    expect(bumpProblem("2.0.0" as Version, "{{a}} {{b}}", previous)).toBeUndefined();
    expect(bumpProblem("2.0.0-rc.1" as Version, "{{a}} {{b}}", previous)).toBeUndefined();
    expect(bumpProblem("1.1.0-rc.1" as Version, "{{a}} {{b}}", previous)).toBeDefined();
    expect(bumpProblem("1.0.1" as Version, "{{b}}", { ...previous, version: "1.0.0-rc.1" as Version })).toBeUndefined();
    expect(bumpProblem("1.0.1" as Version, "---\na: [\n---\n", previous)).toBeUndefined();
    expect(bumpProblem("0.9.9" as Version, "{{b}}", previous)).toBeUndefined();
  });
});
