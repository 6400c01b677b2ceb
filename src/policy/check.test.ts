import { describe, expect, test } from "vitest";
import { sealDocument } from "../document.ts";
import { isRegistryError, type RegistryError } from "../errors.ts";
import { parseName } from "../names.ts";
import { parseVersion } from "../semver.ts";
import { checkPublication, createPolicy } from "./check.ts";
import { checkAllowance, enforce, findingLine, readOverride, withOverride } from "./enforce.ts";
import { guardOf } from "./guard.ts";
import { POLICY_RULES, type PolicyFinding, type PolicyOptions } from "./types.ts";

const token = `gh${"p_"}${"a1B2c3D4e5F6".repeat(3)}`;
const of = (text: string) => ({ name: "a", version: "1.0.0", text });
const thrown = (run: () => unknown): RegistryError => {
  try {
    run();
  } catch (error) {
    if (isRegistryError(error)) return error;
    throw error;
  }
  return expect.unreachable();
};

describe("checkPublication", () => {
  test("a plain text, and none, are fine", () => {
    expect(checkPublication(of("You are a triage agent. {{ticket}}\n"))).toEqual([]);
    expect(checkPublication(of(""))).toEqual([]);
  });

  test("findings come by position, with the default severities", () => {
    const findings = checkPublication(of(`one\u200b\ntwo ${token}\n\u202ethree`));
    expect(findings.map(({ rule, severity, line, column }) => [rule, severity, line, column])).toEqual([
      ["invisible/zero-width", "warn", 1, 4],
      ["secret/github", "block", 2, 5],
      ["invisible/bidi", "block", 3, 1],
    ]);
    expect(findings[1]?.shown).toBe("ghp_… (40 characters)");
  });

  test("author and message are looked at, too", () => {
    const findings = checkPublication({ ...of("text"), author: "A\u202eda", message: `use ${token}` });
    expect(findings.map(({ rule, field, column }) => [rule, field, column])).toEqual([
      ["invisible/bidi", "author", 2],
      ["secret/github", "message", 5],
    ]);
  });

  test("a rule can be more or less severe, or off", () => {
    const text = `${token}\u200b`;
    const rules = { "secret/github": "warn", "invisible/zero-width": "off" } as const;
    expect(checkPublication(of(text), { rules })).toMatchObject([{ rule: "secret/github", severity: "warn" }]);
  });

  test("many findings of a rule are cut, and counted", () => {
    const findings = checkPublication(of("a\u202e".repeat(1000)));
    expect(findings).toHaveLength(20);
    expect(findings.at(-1)?.message).toContain("(and 980 more after it)");
  });

  test("required keys of the front matter, also inside others", () => {
    const required = ["description", "input.schema", "registry.team"];
    const missing = (text: string) => checkPublication(of(text), { required }).map((f) => f.message);
    expect(missing("text")).toHaveLength(3);
    expect(missing('---\ndescription: ""\ninput: {}\n---\n')).toHaveLength(3);
    expect(missing("---\ndescription: d\ninput:\n  schema: S\n---\n")).toEqual([
      'the front matter has no "registry.team"; add it',
    ]);
    expect(checkPublication(of("---\na: [\n---\n"), { required })).toMatchObject([{ rule: "front-matter", line: 3 }]);
  });

  test("the size is that of the author's text in bytes", () => {
    const options: PolicyOptions = { maxBytes: 10 };
    expect(checkPublication(of("0123456789"), options)).toEqual([]);
    expect(checkPublication(of("012345678\u00e9"), options)).toMatchObject([{ rule: "size", severity: "block" }]);
    const sealed = sealDocument({
      ...{ name: parseName("a"), version: parseVersion("1.0.0"), text: "0123456789" },
      createdAt: "2026-11-24T05:00:00.000Z",
    });
    expect(checkPublication(of(sealed.text), options)).toEqual([]);
  });

  test("of a sealed text, positions are those of the stored one, and keys those of its author", () => {
    const text = `---\ndescription: d\n---\nsay ${token}`;
    const sealed = sealDocument({
      ...{ name: parseName("a"), version: parseVersion("1.0.0"), text },
      createdAt: "2026-11-24T05:00:00.000Z",
    });
    const findings = checkPublication(of(sealed.text), { required: ["description", "registry.name"] });
    expect(findings.map((f) => [f.rule, f.line])).toEqual([
      ["front-matter", 1],
      ["secret/github", 8],
    ]);
  });

  test("the bump is compared with the release before", () => {
    const previous = { version: "0.9.0", text: "{{a}}" };
    expect(checkPublication({ ...of("{{b}}"), version: "0.9.1", previous })).toMatchObject([
      { rule: "bump", severity: "block" },
    ]);
    expect(checkPublication({ ...of("{{b}}"), version: "0.10.0", previous })).toEqual([]);
  });

  test.each<[PolicyOptions, string]>([
    [{ rules: { secrets: "block" } } as unknown as PolicyOptions, "no rule"],
    [{ rules: { bump: "loud" } } as unknown as PolicyOptions, "block, warn, info or off"],
    [{ required: "description" } as unknown as PolicyOptions, "list"],
    [{ maxBytes: 0 }, "whole number"],
  ])("options that are none: %j", (options, message) => {
    const error = thrown(() => createPolicy(options));
    expect(error.code).toBe("CONFIG");
    expect(error.message).toContain(message);
  });
});

describe("enforce", () => {
  const findings = createPolicy()(of(`${token} \u202e \u200b`));

  test("throws what is blocked, each as an issue, and never the secret", () => {
    const error = thrown(() => enforce(findings, { name: "a", version: "1.0.0" }));
    expect(error).toMatchObject({
      code: "INVALID",
      outcome: "final",
      context: { field: "policy", name: "a", version: "1.0.0", line: 1, column: 1 },
    });
    expect(error.context.issues).toHaveLength(2);
    expect(error.message).toContain("a@1.0.0 is refused by the publish policy: secret/github at line 1, column 1");
    expect(error.message.split("\n")).toHaveLength(1);
    expect(JSON.stringify(error)).not.toContain(token.slice(4, 12));
  });

  test("an allowance covers its rules and no others, and what it covered is told", () => {
    const reason = "a token of a test, revoked";
    expect(() => enforce(findings, { allow: { rules: ["secret/github"], reason } })).toThrow("invisible/bidi");
    const allow = { rules: ["secret/github", "invisible/bidi"] as const, reason };
    const { overridden, warnings } = enforce(findings, { allow });
    expect(overridden.map((f) => f.rule)).toEqual(["secret/github", "invisible/bidi"]);
    expect(warnings.map((f) => f.rule)).toEqual(["invisible/zero-width"]);
  });

  test("warnings block nothing", () => {
    expect(enforce(createPolicy()(of("a\u200b")))).toMatchObject({ overridden: [], warnings: [{ severity: "warn" }] });
  });

  test("a finding in one line", () => {
    const finding: PolicyFinding = { rule: "size", severity: "warn", message: "m", line: 1, column: 2, shown: "" };
    expect(findingLine(finding)).toBe("size at line 1, column 2: m");
    expect(findingLine({ ...finding, field: "message", shown: "s" })).toBe("size at message, line 1, column 2: m [s]");
  });

  test("an allowance needs rules that there are, and a reason", () => {
    for (const allow of [
      null,
      { rules: [], reason: "r" },
      { rules: ["secret"], reason: "r" },
      { rules: ["bump"], reason: " " },
      { rules: ["bump"], reason: "r".repeat(501) },
      { rules: ["bump"] },
    ]) {
      expect(
        thrown(() => checkAllowance(allow as never)),
        JSON.stringify(allow),
      ).toMatchObject({ code: "INVALID" });
    }
    expect(checkAllowance({ rules: ["bump", "bump"], reason: " as \n agreed " })).toEqual({
      rules: ["bump"],
      reason: "as agreed",
    });
  });

  test("an override stands at the end of the message, and is read back", () => {
    for (const message of [undefined, "shorter", "x [policy override: bump: no]"]) {
      for (const rules of [["bump"], [...POLICY_RULES]] as const) {
        const allow = { rules, reason: "as agreed: [see] the ticket" };
        const noted = withOverride(message, allow);
        expect(noted?.startsWith(message ?? "[policy override: ")).toBe(true);
        expect(readOverride(noted)).toEqual(allow);
      }
    }
    expect(withOverride("m", undefined)).toBe("m");
    for (const message of [
      undefined,
      "",
      "m",
      "[policy override: everything: x]",
      "[policy override: bump: x] and on",
    ]) {
      expect(readOverride(message)).toBeUndefined();
    }
  });
});

describe("guardOf", () => {
  test("throws what is blocked, unless the version's message allows it, and tells so", async () => {
    const told: unknown[] = [];
    const guard = guardOf(createPolicy(), { onOverride: ({ name }, found) => void told.push(name, found[0]?.rule) });
    await guard(of("fine"));
    await expect(guard(of(token))).rejects.toMatchObject({ code: "INVALID", context: { field: "policy" } });
    const message = withOverride("m", { rules: ["secret/github"], reason: "revoked" }) as string;
    await guard({ ...of(token), message });
    expect(told).toEqual(["a", "secret/github"]);
    const strict = guardOf(createPolicy(), { override: false });
    await expect(strict({ ...of(token), message })).rejects.toMatchObject({ code: "INVALID" });
  });
});
