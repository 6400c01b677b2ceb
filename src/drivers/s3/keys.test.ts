import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareNames, isName, type PromptName, parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import { layout } from "./keys.ts";

const segment = fc.stringMatching(/^[a-z0-9](?:[a-z0-9._-]{0,6}[a-z0-9])?$/);
const name = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((segments) => segments.join("/"))
  .filter((text): text is PromptName => isName(text));

describe("keys", () => {
  it("of heads stand in the byte order of the names", () => {
    const names = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/c", "a0", "a_b", "aa", "b"].map(parseName);
    const keys = names.map(layout("p").head);
    expect([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))).toEqual(keys);
  });

  it("of heads stand in the byte order of any names", () => {
    const { head } = layout("team/prompts/");
    fc.assert(
      fc.property(name, name, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(head(a)), Buffer.from(head(b)));
        expect(Math.sign(bytes)).toBe(Math.sign(compareNames(a, b)));
      }),
      { numRuns: 2000 },
    );
  });

  it("are read back as what they were made of, and as nothing else", () => {
    fc.assert(
      fc.property(name, fc.constantFrom("", "p", "/a/b/"), (one, prefix) => {
        const keys = layout(prefix);
        const version = parseVersion("1.2.0-rc.1");
        expect(keys.headOf(keys.head(one))).toBe(one);
        expect(keys.documentOf(keys.document(one, version))).toEqual({ name: one, version });
        expect(keys.versionOf(one, keys.document(one, version))).toBe(version);
        for (const other of [keys.latest(one), keys.archive(one, "0-a.json"), keys.probe, keys.probing("x")]) {
          expect([keys.headOf(other), keys.documentOf(other)]).toEqual([undefined, undefined]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("of one prompt's versions lie between the bounds that are listed", () => {
    const keys = layout("");
    const { prefix, after, last } = keys.versions(parseName("a"));
    for (const text of ["0.0.1", "9.9.9", "10.0.0", "999999.0.0-x.9"]) {
      const key = keys.document(parseName("a"), parseVersion(text));
      expect(key.startsWith(prefix) && key > after && key < last, text).toBe(true);
    }
  });
});
