import { describe, expect, test } from "vitest";
import { formatRoute, parseRoute, promptRoute, type Route, titleOf } from "./route.ts";

const prompt = (name: string, rest: Partial<Route> = {}) => ({ page: "prompt", name, view: "text", ...rest });

describe("routes", () => {
  test.each<[string, unknown]>([
    ["", { page: "list", prefix: "", text: "" }],
    ["#/", { page: "list", prefix: "", text: "" }],
    ["#/?prefix=support/&text=a%20b", { page: "list", prefix: "support/", text: "a b" }],
    ["#/new?name=a/b", { page: "create", name: "a/b" }],
    ["#/p/support/triage", prompt("support/triage")],
    ["#/p/support/triage?v=1.2.0", prompt("support/triage", { selector: "1.2.0" } as Partial<Route>)],
    ["#/p/support/triage/history", prompt("support/triage", { view: "history" } as Partial<Route>)],
    ["#/p/a/diff?from=production&to=latest", { ...prompt("a"), view: "diff", from: "production", to: "latest" }],
    ["#/p/a/b/new", { ...prompt("a/b"), view: "new" }],
    ["#/p/history", prompt("history")],
    ["#/p/a/history/-/text", prompt("a/history")],
    ["#/p/a/history/history", { ...prompt("a/history"), view: "history" }],
    ["#/p/a/-/nonsense", { page: "unknown", path: "/p/a/-/nonsense" }],
    ["#/p/", { page: "unknown", path: "/p/" }],
    ["#/p/Not A Name", { page: "unknown", path: "/p/Not A Name" }],
    [`#/p/${"a/".repeat(5000)}a`, { page: "unknown", path: `/p/${"a/".repeat(5000)}a` }],
    [`#/?prefix=${"a/".repeat(500)}`, { page: "unknown", path: "/" }],
    ["#/elsewhere", { page: "unknown", path: "/elsewhere" }],
    ["#javascript:alert(1)", { page: "unknown", path: "javascript:alert(1)" }],
  ])("%s", (hash, route) => {
    expect(parseRoute(hash)).toEqual(route);
  });

  test.each(["a", "a/b", "history", "a/history", "a/new/diff", "a/versions"])(
    "%s is found again in every view",
    (name) => {
      for (const view of ["text", "versions", "history", "diff", "new"] as const) {
        const route = { page: "prompt", name, view, selector: "^1.2", from: "a&b=c", to: "x#y?z" } as const;
        expect(parseRoute(formatRoute(route))).toEqual(route);
      }
    },
  );

  test("a colon and a slash in front make no address of another origin", () => {
    expect(promptRoute("//evil.example")).toBe("#/p///evil.example");
    expect(promptRoute("javascript:alert(1)").startsWith("#/p/")).toBe(true);
  });

  test("titles name the place first", () => {
    expect(titleOf(parseRoute("#/p/a/b/diff"))).toBe("diff · a/b · prompt-registry");
    expect(titleOf(parseRoute("#/p/a/b?v=1.0.0"))).toBe("a/b@1.0.0 · prompt-registry");
    expect(titleOf(parseRoute("#/"))).toBe("Prompts · prompt-registry");
  });
});
