import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure } from "../test/support/failure.ts";
import { compileTemplate, renderTemplate, type TemplateValues, templateVariables } from "./template.ts";

describe("templateVariables", () => {
  it.each<[string, readonly string[]]>([
    ["", []],
    ["plain text", []],
    ["{{a}}", ["a"]],
    ["{{ a }} {{\ta\t}} {{_b-C9}} {{a}}", ["a", "_b-C9"]],
    ["{{b}}{{a}}", ["b", "a"]],
    ['{"k": {{v}}}', ["v"]],
    ["{{a}}}}", ["a"]],
    ["{{{a}}}", []],
    ["{{{{a}}}}", []],
    ["{ {a}}", []],
    ["{{a} }", []],
    ["{{}}", []],
    ["{{ }}", []],
    ["{{\na\n}}", []],
    ["{{a b}}", []],
    ["{{a.b}}", []],
    ["{{1a}}", []],
    ["{{-a}}", []],
    ["{{é}}", []],
    ["{{#if a}}x{{else}}y{{/if}}", []],
    ["{{>partial}} {{!note}} {{&raw}} {{this}} {{@index}} {{../a}}", []],
    ["{{constructor.constructor('return process')()}}", []],
    ["{{__proto__}} {{constructor}} {{prototype}}", []],
    ["{{'a'}} {{a|upper}} {{a()}} $(a) <%= a %> {% a %}", []],
    ["{{x {{a}}", ["a"]],
    ["{{a}}{{", ["a"]],
    ["{{{a}}{{b}}", ["b"]],
  ])("of %j are %j", (body, variables) => {
    expect(templateVariables(body)).toEqual(variables);
  });
});

describe("renderTemplate", () => {
  it("puts in values and leaves everything else as it is", () => {
    const body = "{{a}}-{{ b }}-{{a}} {{#if a}}{{c.d}}{{else}}{{{a}}}{{constructor}}\r\n{{n}}{{t}}{{big}}";
    expect(renderTemplate(body, { a: "A", b: "", n: 0, t: false, big: 12n })).toBe(
      "A--A {{#if a}}{{c.d}}{{else}}{{{a}}}{{constructor}}\r\n0false12",
    );
  });

  it("does not read values again", () => {
    expect(renderTemplate("{{a}}{{b}}", { a: "{{b}}", b: "$& $1 {{a}}" })).toBe("{{b}}$& $1 {{a}}");
    expect(renderTemplate("{{a}}{{b}}", { a: "{", b: "{c}}" })).toBe("{{c}}");
  });

  it("names everything that is missing, unknown or unfit at once", () => {
    const values = { b: null, x: 1, y: "2", u: undefined, "\u202ez": 1 } as unknown as TemplateValues;
    const error = failure(() => renderTemplate("{{a}} {{b}} {{c}} {{u}}", values));
    expect(error).toMatchObject({ code: "INVALID", outcome: "final", context: { field: "values" } });
    expect(error.context.issues).toEqual([
      'missing: "a"',
      'missing: "c"',
      'missing: "u"',
      'unknown: "x"',
      'unknown: "y"',
      'unknown: "\\u{202e}z"',
      'not a string, number, boolean or bigint: "b"',
    ]);
    expect(error.message).toContain('missing: "a"; missing: "c"');
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`v${i}`, 1]));
    expect(failure(() => renderTemplate("", many)).message).toMatch(/and 20 more$/);
  });

  it("reads own enumerable properties only", () => {
    const inherited = Object.create({ a: "inherited" }) as TemplateValues;
    expect(failure(() => renderTemplate("{{a}}", inherited)).context.issues).toEqual(['missing: "a"']);
    const hidden = Object.defineProperty({}, "a", { value: "hidden" }) as TemplateValues;
    expect(failure(() => renderTemplate("{{a}}", hidden)).context.issues).toEqual(['missing: "a"']);
    for (const name of ["toString", "valueOf", "hasOwnProperty"]) {
      expect(failure(() => renderTemplate(`{{${name}}}`, {})).context.issues).toEqual([`missing: "${name}"`]);
      expect(renderTemplate(`{{${name}}}`, { [name]: "own" })).toBe("own");
    }
    const bare = Object.assign(Object.create(null), { a: 1 }) as TemplateValues;
    expect(renderTemplate("{{a}}", bare)).toBe("1");
    for (const values of [null, undefined, 1, "a"]) {
      expect(failure(() => renderTemplate("", values as unknown as TemplateValues)).context.field).toBe("values");
    }
  });

  it("gives back any text around its variables", () => {
    const piece = fc.oneof(
      fc.constantFrom("{", "}", "{{", "}}", "{{{", " ", "a", "{{a}}", "{{ b }}", "\n"),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const body = pieces.join("");
        const { variables, render } = compileTemplate(body);
        const same = Object.fromEntries(variables.map((name) => [name, `{{${name}}}`]));
        const spaceless = (text: string) => text.replaceAll(/\{\{[ \t]*([\w-]+)[ \t]*\}\}/g, "{{$1}}");
        expect(spaceless(render(same))).toBe(spaceless(body));
      }),
      { numRuns: 5000 },
    );
  });

  it("takes linear time", () => {
    const size = 1 << 20;
    for (const unit of ["{", "}", "{{", "{{ ", "{{a", "{{a ", "{{a}", "{{a}}", "{{{a}}}", "{{ \t", "{{a.b}}"]) {
      const body = unit.repeat(size / unit.length);
      const start = performance.now();
      const template = compileTemplate(body);
      template.render(Object.fromEntries(template.variables.map((name) => [name, "x"])));
      expect(performance.now() - start, unit).toBeLessThan(500);
    }
    for (const body of [`{{${" ".repeat(size)}`, `{{a${" ".repeat(size)}}`, `{{${"a".repeat(size)}`]) {
      const start = performance.now();
      expect(templateVariables(body)).toEqual([]);
      expect(performance.now() - start).toBeLessThan(500);
    }
  });
});

describe("compileTemplate", () => {
  it("is frozen and may be rendered many times", () => {
    const template = compileTemplate("a {{b}} c");
    expect(Object.isFrozen(template) && Object.isFrozen(template.variables)).toBe(true);
    expect([template.render({ b: 1 }), template.render({ b: "2" })]).toEqual(["a 1 c", "a 2 c"]);
  });
});
