import { describe, expect, test } from "vitest";
import * as registryNames from "../../src/names.ts";
import { bumpVersion, parseVersion } from "../../src/semver.ts";
import { bumped, documentPath, isVersion, labelProblem, nameProblem } from "./names.ts";

describe("names", () => {
  test.each([
    "a",
    "support/triage",
    "a.b/c-d_e",
    "A",
    "a//b",
    "/a",
    "a/",
    "latest",
    "a/latest",
    "x.md",
    "1.0.0",
    "-a",
    "a".repeat(65),
    "",
  ])("%s is judged as by the registry", (name) => {
    expect(nameProblem(name) === undefined).toBe(registryNames.isName(name));
  });

  test.each(["production", "latest", "v1", "v1.2", "x", "1", "Prod", "a-", "a.b", "staging_2"])(
    "label %s, too",
    (label) => {
      expect(labelProblem(label) === undefined).toBe(registryNames.isLabel(label));
    },
  );

  test.each(["1.2.3", "0.0.1", "0.9.9", "2.0.0-rc.1", "1.1.0-beta", "1.0.1-a"])(
    "the versions after %s are those of the registry",
    (version) => {
      for (const bump of ["patch", "minor", "major"] as const) {
        expect(bumped(version, bump)).toBe(bumpVersion(parseVersion(version), bump));
      }
    },
  );

  test("the first version is 1.0.0 whatever the step", () => {
    expect(["patch", "minor", "major"].map((bump) => bumped(undefined, bump as "patch"))).toEqual([
      "1.0.0",
      "1.0.0",
      "1.0.0",
    ]);
  });

  test("selectors of an address lead to one resource each", () => {
    expect(["latest", "1.0.0", "production"].map(documentPath)).toEqual([
      "latest",
      "versions/1.0.0",
      "labels/production",
    ]);
    expect(isVersion("1.0")).toBe(false);
  });
});
