import { expect, it } from "vitest";
import { highestStable } from "../../rules/latest.ts";
import { isVersion, type Version } from "../../semver.ts";
import { highest } from "./highest.ts";

it("gives what the rule gives", () => {
  let seed = 1;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % n;
  };
  const pre = ["", "", "-0", "-1", "-10", "-alpha", "-alpha.1", "-alpha.beta", "-beta.2", "-beta.11", "-rc.1", "-x-y"];
  for (let round = 0; round < 500; round++) {
    const versions = Array.from({ length: 1 + random(8) }, () => {
      const version = `${random(3)}.${random(12)}.${random(101)}${pre[random(pre.length)]}`;
      if (!isVersion(version)) throw new Error(version);
      return version;
    });
    const yanked = Object.fromEntries(versions.filter(() => random(4) === 0).map((v: Version) => [v, { at: "" }]));
    expect(highest(versions, yanked), versions.join(" ")).toBe(highestStable(versions, yanked));
  }
});
