import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Label, PromptName } from "../../names.ts";
import type { Grant, Principal, Resource, Right } from "../types.ts";
import { grantsOf } from "./claims.ts";
import { formatScope, isGranted, isGrantedSomewhere, parseScope, parseScopes, RIGHTS } from "./grants.ts";

// Few and alike, so that prefixes meet names, and nearly meet them.
const segment = fc.constantFrom("a", "ab", "abc", "b", "a-b", "team");
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/") as PromptName);
const label = fc.constantFrom("production", "staging", "beta") as fc.Arbitrary<Label>;
const right = fc.constantFrom(...RIGHTS);
const grant: fc.Arbitrary<Grant> = fc.oneof(
  fc.record({ right, prefix: fc.oneof(fc.constant(""), path) }),
  fc.record({
    right: fc.constant<Right>("promote"),
    prefix: fc.oneof(fc.constant(""), path),
    labels: fc.uniqueArray(label, { minLength: 1 }),
  }),
);
const resource: fc.Arbitrary<Resource> = fc.record({ name: path, label }, { requiredKeys: [] });
const guarded = fc.uniqueArray(label).map((labels) => new Set(labels));

/** The rules once more, by segments instead of characters. */
function oracle(
  grants: readonly Grant[],
  wanted: Right,
  { name, label }: Resource,
  guard: ReadonlySet<Label>,
): boolean {
  return grants.some((one) => {
    const prefix = one.prefix === "" ? [] : one.prefix.split("/");
    const segments = name === undefined ? [] : name.split("/");
    if (prefix.length > segments.length || prefix.some((part, i) => part !== segments[i])) return false;
    if (one.right === "admin") return true;
    if (one.right !== wanted) return false;
    if (wanted !== "promote") return true;
    if (one.labels === undefined) return label === undefined || !guard.has(label);
    return label !== undefined && one.labels.includes(label);
  });
}

describe("scopes", () => {
  test.each([
    ["read", { right: "read", prefix: "" }],
    ["write:support", { right: "write", prefix: "support" }],
    ["promote:support/triage:production", { right: "promote", prefix: "support/triage", labels: ["production"] }],
    ["promote::production,beta", { right: "promote", prefix: "", labels: ["production", "beta"] }],
    ["admin:team", { right: "admin", prefix: "team" }],
  ])("%s", (text, parsed) => {
    expect(parseScope(text)).toEqual(parsed);
    expect(formatScope(parseScope(text))).toBe(text);
  });

  test.each([
    ["", "no right that is known"],
    ["Read", "no right that is known"],
    ["readwrite", "no right that is known"],
    ["*", "no right that is known"],
    ["__proto__", "no right that is known"],
    ["read:", "ends with a colon"],
    ["read:support/", "empty segment"],
    ["read:support/*", "lower-case"],
    ["read:support/**", "lower-case"],
    ["read:../x", "starts and ends"],
    ["read:Support", "lower-case"],
    ["read:a:b", "only promote"],
    ["promote:a:", "must start with"],
    ["promote:a:b:c", "too many colons"],
    ["promote:a:latest", "reserved"],
    ["promote:a:beta,,rc", "must start with"],
    [" read", "no right that is known"],
  ])("%j is refused", (text, message) => {
    expect(() => parseScope(text)).toThrow(message);
  });

  test("what was parsed is written as it was", () => {
    fc.assert(
      fc.property(grant, (one) => {
        expect(parseScope(formatScope(one))).toEqual(one);
      }),
    );
    expect(parseScopes(["read", "read", "write:a"]).map(formatScope)).toEqual(["read", "write:a"]);
  });
});

describe("what grants allow", () => {
  test("is what the rules say, for every right, name and label", () => {
    const args = [fc.array(grant, { maxLength: 4 }), right, resource, guarded] as const;
    fc.assert(
      fc.property(...args, (grants, wanted, what, guard) => {
        expect(isGranted(grants, wanted, what, guard)).toBe(oracle(grants, wanted, what, guard));
      }),
      { numRuns: 5000 },
    );
  });

  test("never shrinks by another grant, and nothing allows nothing", () => {
    fc.assert(
      fc.property(fc.array(grant), grant, right, resource, guarded, (grants, more, wanted, what, guard) => {
        expect(isGranted([], wanted, what, guard)).toBe(false);
        if (isGranted(grants, wanted, what, guard))
          expect(isGranted([...grants, more], wanted, what, guard)).toBe(true);
      }),
    );
  });

  const name = "team/a" as PromptName;
  const production = "production" as Label;

  test("ends at whole segments", () => {
    const grants = parseScopes(["read:team/a"]);
    expect(isGranted(grants, "read", { name })).toBe(true);
    expect(isGranted(grants, "read", { name: "team/a/b" as PromptName })).toBe(true);
    for (const other of ["team/ab", "team", "team/a-b", "x/team/a"])
      expect(isGranted(grants, "read", { name: other as PromptName }), other).toBe(false);
    expect(isGranted(grants, "read", {})).toBe(false);
  });

  test("a protected label is named, or moved by an admin", () => {
    const guard = new Set([production]);
    const may = (scope: string) => isGranted(parseScopes([scope]), "promote", { name, label: production }, guard);
    expect(may("promote")).toBe(false);
    expect(may("promote:team")).toBe(false);
    expect(may("promote:team:staging")).toBe(false);
    expect(may("promote:team:production")).toBe(true);
    expect(may("promote:other:production")).toBe(false);
    expect(may("write")).toBe(false);
    expect(may("admin:team")).toBe(true);
    // Rolling back moves what everybody gets: labels that are named are all that is granted.
    expect(isGranted(parseScopes(["promote:team:production"]), "promote", { name }, guard)).toBe(false);
  });

  test("what is not understood is denied", () => {
    const all = parseScopes(["admin"]);
    for (const unknown of ["", "own", "toString", "__proto__", "READ"])
      expect(isGranted(all, unknown as Right, { name }), unknown).toBe(false);
    expect(isGranted([{ right: "all" as Right, prefix: "" }], "read", { name })).toBe(false);
    expect(isGranted([{ right: "read", prefix: "team/" }], "read", { name })).toBe(false);
    expect(isGranted([{ right: "read", prefix: "", labels: [production] }], "read", { name })).toBe(false);
    expect(isGranted([{ right: "promote", prefix: "", labels: [] }], "promote", { name, label: production })).toBe(
      false,
    );
  });

  test("claims that ask for nothing grant nothing", () => {
    expect(grantsOf([{ claims: {}, scopes: ["admin"] }], { sub: "x" })).toEqual([]);
    expect(grantsOf([{ claims: { n: 1 }, scopes: ["admin"] }], { n: "1" })).toEqual([]);
    expect(grantsOf([{ claims: { toString: "x" }, scopes: ["admin"] }], {})).toEqual([]);
    expect(grantsOf([{ claims: { sub: "x" }, scopes: ["read", "read:a"] }], { sub: "x" }).map(formatScope)).toEqual([
      "read",
      "read:a",
    ]);
  });

  test("a right somewhere is what a list asks for", () => {
    const principal = (...scopes: string[]): Principal => ({ id: "token:x", name: "x", grants: parseScopes(scopes) });
    expect(isGrantedSomewhere(principal("read:team"), "read")).toBe(true);
    expect(isGrantedSomewhere(principal("promote:team:production"), "promote")).toBe(true);
    expect(isGrantedSomewhere(principal("admin:team"), "read")).toBe(true);
    expect(isGrantedSomewhere(principal("write"), "read")).toBe(false);
    expect(isGrantedSomewhere(principal(), "read")).toBe(false);
  });
});
