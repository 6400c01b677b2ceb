import { describe, expect, test } from "vitest";
import { forField, fromField, lineEndOf } from "./line-ends.ts";

describe("line ends", () => {
  test.each(["a\nb\n", "a\r\nb\r\n", "a", "", "a\r\n"])("%j comes back as it was", (text) => {
    expect(fromField(forField(text), lineEndOf(text))).toBe(text);
  });

  test.each(["a\r\nb\n", "a\rb", "a\r\r\n"])("%j can't, and is known for it", (text) => {
    expect(lineEndOf(text)).toBe("mixed");
    expect(forField(text)).not.toContain("\r");
  });
});
