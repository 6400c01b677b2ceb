import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { decodeMessages, encodeMessages } from "../../src/transfer/formats/chat.ts";
import { readParts, withFrontMatter } from "../../src/transfer/formats/text.ts";
import {
  detectFormat,
  exportPrompts,
  FORMATS,
  formatByName,
  importPrompts,
  langfuse,
} from "../../src/transfer/index.ts";
import { DOTPROMPT, file, GITHUB, MLFLOW, OPENAI, PROMPTY } from "../support/formats-lab.ts";

const UNRESOLVED = "$" + "{env:HOME} {{constructor}}";

describe("hostile texts", () => {
  it.each([
    ["not JSON", "{"],
    ["numbers", "[1]"],
    ["no name", '[{"prompt":"x","version":1}]'],
    ["a climbing name", '[{"name":"../../etc","version":1,"prompt":5}]'],
    ["names that can't be", '[{"name":"\u0000","version":1,"prompt":"x"}]'],
    ["a version that is none", '[{"name":"a","version":-1,"prompt":"x"}]'],
    ["a version of 1e21", '[{"name":"a","version":1e21,"prompt":"x"}]'],
    ["the same twice", '[{"name":"a","version":1,"prompt":"x"},{"name":"A","version":1,"prompt":"y"}]'],
    ["depth", `[{"name":"a","version":1,"prompt":"x","config":${"[".repeat(5000)}${"]".repeat(5000)}}]`],
    ["a type that lies", '[{"name":"a","version":1,"type":"chat","prompt":"x"}]'],
  ])("Langfuse: %s", (_, text) => {
    expect(() => langfuse.import(text)).toThrow(expect.objectContaining({ name: "RegistryError", code: "INVALID" }));
  });

  it("are stored or refused, never evaluated, and harm no other", async () => {
    const registry = new PromptRegistry(memory());
    const text = JSON.stringify([
      { name: "a", version: 1, prompt: "nul \0" },
      {
        name: "b",
        version: 1,
        prompt: UNRESOLVED,
        config: JSON.parse('{"__proto__":{"x":1},"ok":1}'),
      },
      { name: "c", version: 1, prompt: [{ role: "user", content: "nul \0 \ud800" }] },
    ]);
    const { prompts, lost } = langfuse.import(text);
    const outcomes = await importPrompts(registry, prompts);
    expect(outcomes.map((o) => o.status)).toEqual(["failed", "created", "created"]);
    expect(lost).toEqual(["b@1.0.0: langfuse.config does not fit into front matter"]);
    expect((await registry.getPrompt("b")).body).toBe(UNRESOLVED);
    const back = JSON.parse(file(await exportPrompts(registry, langfuse, { names: ["c"] })));
    expect(back[0].prompt).toEqual([{ role: "user", content: "nul \0 \ud800" }]);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it("never make a format throw anything but INVALID, nor detect throw at all", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary" }), fc.json(), fc.constant(GITHUB), fc.constant(PROMPTY)),
        fc.constantFrom(...FORMATS),
        (text, format) => {
          format.detect(text);
          try {
            format.import(text, { name: "x" });
          } catch (error) {
            expect(error).toMatchObject({ name: "RegistryError", code: "INVALID" });
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(() => formatByName("zip")).toThrow(expect.objectContaining({ code: "INVALID" }));
  });
});

describe("texts", () => {
  const line = fc.constantFrom(
    "user:",
    "\\user:",
    "\\\\message:",
    "message:",
    "x",
    "",
    "---",
    "system: ",
    "user:\r",
    "{}",
  );
  const content = fc.oneof(
    fc.array(line).map((l) => l.join("\n")),
    fc.string({ unit: "binary" }),
  );

  it("messages come back exactly", () => {
    const message = fc.oneof(
      fc.record({ role: fc.constantFrom("system", "user", "assistant", "weird role"), content }),
      fc.record({ type: fc.constant("placeholder"), name: fc.string() }),
      fc.record({
        role: fc.constant("user"),
        content: fc.array(fc.record({ type: fc.constant("text"), text: content })),
      }),
    );
    fc.assert(
      fc.property(fc.array(message, { minLength: 1 }), (messages) => {
        expect(decodeMessages(encodeMessages(messages))).toEqual(messages);
      }),
      { numRuns: 1000 },
    );
  });

  it("front matter gives back every field or names it, and the body exactly", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ minLength: 1 }).map((k) => `ns.${k}`),
          fc.jsonValue(),
        ),
        content,
        (fields, body) => {
          const { text, dropped } = withFrontMatter(fields, body);
          const parts = readParts(text);
          expect(parts.body).toBe(body);
          for (const [key, value] of Object.entries(fields)) {
            if (!dropped.includes(key)) expect(JSON.stringify(parts.metadata[key])).toBe(JSON.stringify(value));
          }
          expect(Object.keys(parts.metadata).length + dropped.length).toBe(Object.keys(fields).length);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("large data that front matter can't hold is told", () => {
    const entry = { name: "a", version: 1, prompt: "x", config: { a: "y".repeat(70_000) }, tags: ["t"] };
    const { prompts, lost } = langfuse.import(JSON.stringify(entry));
    expect(lost).toEqual(["a@1.0.0: langfuse.config does not fit into front matter"]);
    expect(readParts(prompts[0]?.text as string).metadata["langfuse.tags"]).toEqual(["t"]);
  });

  it("are detected", () => {
    expect(detectFormat(DOTPROMPT, "a.prompt")?.name).toBe("dotprompt");
    expect(detectFormat(PROMPTY)?.name).toBe("prompty");
    expect(detectFormat(GITHUB)?.name).toBe("github");
    expect(detectFormat(JSON.stringify(MLFLOW))?.name).toBe("mlflow");
    expect(detectFormat(JSON.stringify(OPENAI))?.name).toBe("openai");
    expect(detectFormat("# Hello\n", "README.md")).toBeUndefined();
  });
});
