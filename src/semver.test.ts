import fc from "fast-check";
import semver from "semver";
import { describe, expect, it } from "vitest";
import {
  bumpVersion,
  compareVersions,
  isVersion,
  maxSatisfying,
  parseRange,
  parseVersion,
  type Version,
  versionSortKey,
} from "./semver.ts";

const number = fc.oneof(fc.nat(30), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const identifier = fc.oneof(
  number.map(String),
  fc
    .string({ unit: fc.constantFrom(..."ab-z09".split("")), minLength: 1, maxLength: 5 })
    .filter((s) => !/^\d+$/.test(s)),
);
const version = fc
  .tuple(number, number, number, fc.array(identifier, { maxLength: 3 }))
  .map(([a, b, c, pre]) => `${a}.${b}.${c}${pre.length > 0 ? `-${pre.join(".")}` : ""}`)
  .filter((v) => v.length <= 64) as fc.Arbitrary<Version>;

describe("versions", () => {
  it.each([
    ["1.2.0", "1.2.0"],
    ["v1.2.0", "1.2.0"],
    ["1.0.0-rc.1", "1.0.0-rc.1"],
    ["0.0.0", "0.0.0"],
    ["1.0.0-0a", "1.0.0-0a"],
    ["1.0.0--", "1.0.0--"],
  ])("%s", (input, expected) => {
    expect(parseVersion(input)).toBe(expected);
  });

  it.each([
    "",
    "1",
    "1.2",
    "1.2.3.4",
    "01.0.0",
    "1.0.0-01",
    "1.0.0-",
    "1.0.0-a..b",
    "1.0.0+b",
    "vv1.0.0",
    "V1.0.0",
    " 1.0.0",
    "1.0.0\n",
    "1.0.0-RC.1",
    "9007199254740993.0.0",
    "1.0.0-99999999999999999999",
    `1.0.0-${"a".repeat(70)}`,
  ])("refuses %j", (input) => {
    expect(() => parseVersion(input)).toThrow(
      expect.objectContaining({ code: "INVALID", context: { field: "version" } }),
    );
  });

  it("accepts just what semver accepts, less build metadata and upper case", () => {
    fc.assert(
      fc.property(version, (v) => {
        expect(parseVersion(v)).toBe(v);
        expect(semver.valid(v)).toBe(v);
      }),
      { numRuns: 10_000 },
    );
  });

  it("compares as the semver package does", () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(Math.sign(compareVersions(a, b))).toBe(semver.compare(a, b));
        expect(isVersion(a)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
  });

  it("takes for a version only what it parses to itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789.-avR+ ".split("")), maxLength: 20 }), (input) => {
        let parsed: string | undefined;
        try {
          parsed = parseVersion(input);
        } catch {}
        expect(isVersion(input)).toBe(parsed === input);
      }),
      { numRuns: 20_000 },
    );
  });

  it("gives sort keys whose byte order is precedence", () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        const keys = Buffer.from(versionSortKey(a)).compare(Buffer.from(versionSortKey(b)));
        expect(Math.sign(keys)).toBe(Math.sign(compareVersions(a, b)));
      }),
      { numRuns: 10_000 },
    );
    const order = [
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-alpha.beta",
      "1.0.0-beta",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0-rc.1",
      "1.0.0",
      "1.0.1-a",
      "1.0.1",
      "1.2.0",
      "1.10.0",
      "2.0.0",
      "10.0.0",
    ] as Version[];
    expect([...order].sort((a, b) => (versionSortKey(a) < versionSortKey(b) ? -1 : 1))).toEqual(order);
  });

  it("follows npm in ranges: prereleases only where the range names one", () => {
    const all = ["1.0.0", "1.2.0", "1.3.0-beta.1", "2.0.0-rc.1"] as Version[];
    expect(maxSatisfying(all, parseRange("^1.0"))).toBe("1.2.0");
    expect(maxSatisfying(all, parseRange("*"))).toBe("1.2.0");
    expect(maxSatisfying(all, parseRange("^1.3.0-beta.0"))).toBe("1.3.0-beta.1");
    expect(maxSatisfying(all, parseRange("^3"))).toBeUndefined();
  });

  it("bumps", () => {
    expect(bumpVersion("1.2.3" as Version, "major")).toBe("2.0.0");
    expect(bumpVersion("1.2.3" as Version, "minor")).toBe("1.3.0");
    expect(bumpVersion("1.2.3-beta.1" as Version, "patch")).toBe("1.2.3");
  });
});
