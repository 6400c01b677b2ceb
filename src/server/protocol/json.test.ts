import { describe, expect, it, vi } from "vitest";
import { type JsonLimits, parseJson } from "./json.ts";

/** What reading a text takes: keys that are kept, and whether a value is made of it at all. */
function work(
  text: string,
  limits: JsonLimits,
): { readonly kept: number; readonly parsed: boolean; readonly problem: string } {
  const parse = vi.spyOn(JSON, "parse");
  const add = vi.spyOn(Set.prototype, "add");
  let problem = "";
  try {
    parseJson(text, limits);
  } catch (error) {
    problem = (error as Error).message;
  }
  const isKey = (given: unknown) => typeof given === "string" && /^(?:k\d+|list|map|a|b|c)$/.test(given);
  const told = {
    kept: add.mock.calls.filter(([given]) => isKey(given)).length,
    parsed: parse.mock.calls.some(([given]) => given === text),
    problem,
  };
  vi.restoreAllMocks();
  return told;
}

const keys = (count: number, start = 0) => Array.from({ length: count }, (_, i) => `"k${start + i}":0`).join(",");
const LIMITS: JsonLimits = { keys: 10, maps: new Set(["list.map"]), mapKeys: 30, allKeys: 100, parts: 50 };

describe("a body that is full of", () => {
  it.each([
    ["keys in one object", `{${keys(5000)}}`, 10, "more than 10 keys in one object"],
    [
      "keys where a map is, but deeper",
      `{"list":[{"map":{"a":{${keys(5000)}}}}]}`,
      13,
      "more than 10 keys in one object",
    ],
    ["keys in a map that is somewhere else", `{"map":{${keys(5000)}}}`, 11, "more than 10 keys in one object"],
    ["keys in a map", `{"list":[{"map":{${keys(5000)}}}]}`, 32, "more than 30 keys in its maps"],
    [
      "maps",
      `{"list":[${Array.from({ length: 40 }, () => `{"map":{${keys(10)}}}`).join(",")}]}`,
      35,
      "more than 30 keys in its maps",
    ],
    [
      "objects with keys",
      `{"list":[${Array.from({ length: 40 }, () => `{${keys(9)}}`).join(",")}]}`,
      100,
      "more than 100 keys",
    ],
    ["objects", `{"list":[${"{},".repeat(5000)}{}]}`, 1, "more than 50 objects and lists"],
    ["lists", `[${"[],".repeat(5000)}[]]`, 0, "more than 50 objects and lists"],
  ])("%s is given up where there are too many", (_, text, kept, problem) => {
    expect(work(text, LIMITS)).toEqual({ kept, parsed: false, problem: `the body has ${problem}` });
  });

  it("what is allowed is read", () => {
    const text = `{"list":[{"map":{${keys(30)}}},{"a":[],"b":{}}],"c":1}`;
    expect(work(text, LIMITS)).toEqual({ kept: 35, parsed: true, problem: "" });
    expect(parseJson(text, LIMITS)).toEqual(JSON.parse(text));
    expect(work('{"a":{"b":1,"\\u0062":2}}', LIMITS)).toMatchObject({ problem: 'the body has the key "b" twice' });
  });
});
