import { describe, expect, test } from "vitest";
import { covers, describeGrant, may, mayPromoteSome, maySomewhere } from "./grants.ts";
import type { Grant, Principal } from "./types.ts";

const who = (...grants: Grant[]): Principal => ({ id: "token:x", name: "x", grants });

describe("grants", () => {
  test.each<[string, string, boolean]>([
    ["", "anything", true],
    ["support", "support", true],
    ["support", "support/triage", true],
    ["support", "supporters", false],
    ["support", "supporters/a", false],
    ["support/a", "support", false],
  ])("%s covers %s: %s", (prefix, name, expected) => {
    expect(covers(prefix, name)).toBe(expected);
  });

  test("no right contains another, but admin", () => {
    expect(may(who({ right: "write", prefix: "" }), "read", "a")).toBe(false);
    expect(may(who({ right: "import", prefix: "" }), "write", "a")).toBe(false);
    for (const right of ["read", "write", "promote", "import", "admin"] as const) {
      expect(may(who({ right: "admin", prefix: "a" }), right, "a/b")).toBe(true);
      expect(may(who({ right: "admin", prefix: "a" }), right, "b")).toBe(false);
    }
  });

  test("a grant for some labels is one for nothing else", () => {
    const one = who({ right: "promote", prefix: "support", labels: ["beta"] });
    expect(may(one, "promote", "support/a", "beta")).toBe(true);
    expect(may(one, "promote", "support/a", "production")).toBe(false);
    expect(may(one, "promote", "support/a")).toBe(false);
    expect(may(one, "promote", "other", "beta")).toBe(false);
    expect(mayPromoteSome(one, "support/a")).toBe(true);
    expect(mayPromoteSome(one, "other")).toBe(false);
  });

  test("rights of later versions and nonsense grant nothing", () => {
    expect(may(who({ right: "everything" as never, prefix: "" }), "read", "a")).toBe(false);
    expect(may(who({ right: "admin", prefix: "", labels: ["beta"] }), "read", "a")).toBe(false);
    expect(maySomewhere(who(), "read")).toBe(false);
  });

  test("they are said in words", () => {
    expect(describeGrant({ right: "read", prefix: "" })).toBe("read: every prompt");
    expect(describeGrant({ right: "promote", prefix: "a", labels: ["x", "y"] })).toBe("promote: x, y of a and below");
  });
});
