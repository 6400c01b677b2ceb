import fc from "fast-check";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { decodeMessages, encodeMessages } from "../../src/transfer/formats/chat.ts";
import { readParts, withFrontMatter } from "../../src/transfer/formats/text.ts";
import {
  detectFormat,
  dotprompt,
  exportPrompts,
  FORMATS,
  formatByName,
  githubModels,
  importPrompts,
  langfuse,
  mlflow,
  openai,
  type PromptFormat,
  prompty,
} from "../../src/transfer/index.ts";

const LANGFUSE = [
  {
    id: "cm5x1",
    createdAt: "2025-03-01T10:20:30.123Z",
    updatedAt: "2025-06-01T00:00:00.000Z",
    projectId: "proj-1",
    createdBy: "user-7",
    name: "support/triage",
    version: 1,
    type: "text",
    prompt: "---\nnot front matter: {{ticket}}\n---\nuser:\nkeep me",
    config: { model: "gpt-4o", temperature: 0.2, nested: { "a b": [1, null, "é\u2028"] }, stop: ["\n\n"] },
    labels: [],
    tags: ["support", "prod: yes"],
    commitMessage: null,
  },
  {
    id: "cm5x2",
    createdAt: "2025-03-02T10:20:30.123Z",
    updatedAt: "2025-06-01T00:00:00.000Z",
    projectId: "proj-1",
    createdBy: "user-7",
    name: "support/triage",
    version: 2,
    type: "chat",
    prompt: [
      { role: "system", content: "Sort {{ticket}}.\nuser:\n\\user:\n" },
      { type: "placeholder", name: "history" },
      { role: "user", content: "" },
    ],
    config: {},
    labels: ["production", "latest"],
    tags: [],
    commitMessage: "as chat",
  },
  {
    id: "cm5x3",
    createdAt: "2025-03-02T10:20:30Z",
    createdBy: "API",
    name: "Movie Critic (v2)",
    version: 4,
    type: "text",
    prompt: "Judge {{movie}}",
    config: null,
    labels: ["staging", "1"],
    tags: ["x"],
  },
];

const MLFLOW = {
  prompts: [
    {
      name: "qa",
      version: 1,
      template: "Answer {{question}}",
      commit_message: "first",
      creation_timestamp: 1740824430123,
      last_updated_timestamp: 1740824430999,
      user_id: "ann",
      tags: { team: "nlp" },
      aliases: [],
      response_format: { type: "object", properties: { answer: { type: "string" } } },
      model_config: { provider: "openai", model_name: "gpt-4o", temperature: 0 },
    },
    {
      name: "qa",
      version: 2,
      template: [{ role: "user", content: "{{question}}" }],
      creation_timestamp: 1740824431123,
      tags: {},
      aliases: ["production"],
    },
  ],
};

const OPENAI = [
  {
    object: "prompt",
    id: "pmpt_68ABC",
    name: "Weather",
    version: "1",
    created_at: 1750000000,
    model: "gpt-5",
    tools: [{ type: "function", name: "get_weather", parameters: { type: "object" }, strict: true }],
    text: { format: { type: "json_schema", name: "w", schema: { type: "object" } } },
    variables: { city: { type: "string" } },
    messages: [
      { role: "developer", content: [{ type: "input_text", text: "Weather in {{city}}" }] },
      { role: "user", content: "{{city}}?" },
    ],
  },
  {
    object: "prompt",
    id: "pmpt_68ABC",
    name: "Weather",
    version: "2",
    is_default: true,
    created_at: 1750000100,
    model: "gpt-5.1",
    instructions: "user:\nSay the weather in {{city}}",
  },
];

const GITHUB = `name: Text Summarizer
description: Summarizes input text concisely
model: openai/gpt-4o-mini
modelParameters:
  temperature: 0.5
messages:
  - role: system
    content: You are a text summarizer.
  - role: user
    content: |
      Summarize the given text, beginning with "Summary -":
      <text>
      {{input}}
      </text>
testData:
  - input: |
      The quick brown fox
    expected: Summary - A fox
evaluators:
  - name: Output should start with 'Summary -'
    string:
      startsWith: 'Summary -'
`;

const DOTPROMPT = `---
model: googleai/gemini-2.5-flash
config:
  temperature: 0.9
input:
  schema:
    location: string, where
  default: { location: a restaurant }
output:
  format: json
myext.limit: 3
---
{{role "system"}}
You are the maitre d' of {{location}}.
{{#if name}}Hi {{name}}{{/if}}
`;

const PROMPTY = `---
name: basic
description: A basic prompt
metadata:
  authors:
    - ada
  version: 1.2.0
model:
  id: gpt-4o
  connection:
    endpoint: \${env:ENDPOINT:none}
    key: \${file:/etc/passwd}
inputs:
  properties:
    - { name: question, kind: string, required: true }
template:
  format: { kind: jinja2 }
  parser: { kind: prompty }
---
system:
You are {{ name }}.

user:
{{ question }}
`;

const UNRESOLVED = "$" + "{env:HOME} {{constructor}}";

async function loaded(format: PromptFormat, text: string, path?: string) {
  const registry = new PromptRegistry(memory());
  const { prompts, lost } = format.import(text, path === undefined ? {} : { path });
  const outcomes = await importPrompts(registry, prompts, { labels: true });
  expect(outcomes.filter((o) => o.status !== "created")).toEqual([]);
  const again = await importPrompts(registry, format.import(text, path === undefined ? {} : { path }).prompts, {
    labels: true,
  });
  expect(again.map((o) => o.status)).toEqual(outcomes.map(() => "unchanged"));
  return { registry, lost, exported: await exportPrompts(registry, format, { versions: "all" }) };
}

const file = (exported: { files: readonly { text: string }[] }) => exported.files[0]?.text ?? "";

describe("Langfuse", () => {
  it("comes back as it was", async () => {
    const { registry, lost, exported } = await loaded(langfuse, JSON.stringify(LANGFUSE));
    const chat = await registry.getPrompt("support/triage@production");
    expect(chat).toMatchObject({
      version: "2.0.0",
      author: "user-7",
      message: "as chat",
      createdAt: "2025-03-02T10:20:30.123Z",
    });
    expect(chat.body).toContain("system:\nSort {{ticket}}.");
    expect((await registry.getPrompt("support/triage@1.0.0")).body).toBe(LANGFUSE[0]?.prompt);
    expect((await registry.getPrompt("movie-critic-v2")).version).toBe("4.0.0");
    expect(lost).toEqual([
      "support/triage@1.0.0: updatedAt changes on the other side",
      "support/triage@2.0.0: updatedAt changes on the other side",
      'movie-critic-v2@4.0.0: the label "1" can\'t be a label here',
    ]);
    expect(exported.lost).toEqual([]);
    const back = JSON.parse(file(exported)) as typeof LANGFUSE;
    const wanted = [LANGFUSE[2], LANGFUSE[0], LANGFUSE[1]].map((entry) => {
      const { updatedAt: _, ...rest } = entry as Record<string, unknown>;
      return {
        commitMessage: null,
        ...rest,
        labels: (rest.labels as string[]).filter((l) => l !== "latest" && l !== "1"),
      };
    });
    expect(back).toEqual(wanted);
  });

  it("reads every shape of it, and moves no labels unless asked", async () => {
    const one = LANGFUSE[0];
    for (const text of [
      JSON.stringify(one),
      JSON.stringify({ data: [one], meta: {} }),
      `${JSON.stringify(one)}\n${JSON.stringify(LANGFUSE[1])}\n`,
    ]) {
      expect(langfuse.import(text).prompts[0]).toMatchObject({ name: "support/triage", version: "1.0.0" });
      expect(detectFormat(text)?.name).toBe("langfuse");
    }
    const registry = new PromptRegistry(memory());
    await importPrompts(registry, langfuse.import(JSON.stringify(LANGFUSE), { prefix: "lf" }).prompts);
    await expect(registry.getPrompt("lf/support/triage@production")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await registry.getPrompt("lf/support/triage")).version).toBe("2.0.0");
  });

  it("says what a prompt of ours can't be there", async () => {
    const registry = new PromptRegistry(memory(), { author: "Ada" });
    await registry.storePrompt({
      name: "a",
      version: "1.2.0",
      text: "---\nmodel: x\n---\nbody {{v}}\n",
      labels: ["production"],
    });
    await registry.storePrompt({ name: "a", version: "2.0.0", text: "user:\nhi\n" });
    await registry.yank("a", "2.0.0");
    const { files, lost } = await exportPrompts(registry, langfuse, { versions: "all" });
    expect(JSON.parse(files[0]?.text as string)).toMatchObject([
      { name: "a", version: 1, type: "text", prompt: "body {{v}}\n", config: { model: "x" }, labels: ["production"] },
      { name: "a", version: 2, type: "chat", prompt: [{ role: "user", content: "hi" }], labels: [] },
    ]);
    expect(lost).toEqual([
      "a: versions are integers there, so they are numbered anew: 1.2.0 as 1, 2.0.0 as 2",
      "a@2.0.0: no place for its yank",
    ]);
  });
});

describe("MLflow", () => {
  it("comes back as it was", async () => {
    const { registry, lost, exported } = await loaded(mlflow, JSON.stringify(MLFLOW));
    expect(await registry.getPrompt("qa@1.0.0")).toMatchObject({
      author: "ann",
      message: "first",
      createdAt: "2025-03-01T10:20:30.123Z",
    });
    expect((await registry.getPrompt("qa@production")).version).toBe("2.0.0");
    expect(lost).toEqual(["qa@1.0.0: last_updated_timestamp changes on the other side"]);
    const { last_updated_timestamp: _, ...first } = MLFLOW.prompts[0] as (typeof MLFLOW.prompts)[0];
    expect(JSON.parse(file(exported))).toEqual([first, MLFLOW.prompts[1]]);
  });

  it("reads the model registry's answer", () => {
    const text = JSON.stringify({
      model_versions: [
        {
          name: "main.default.qa",
          version: "3",
          creation_timestamp: 1740824430123,
          description: "why",
          tags: [
            { key: "mlflow.prompt.is_prompt", value: "true" },
            { key: "mlflow.prompt.text", value: "Answer {{question}}" },
            { key: "team", value: "nlp" },
          ],
        },
      ],
    });
    expect(detectFormat(text)?.name).toBe("mlflow");
    const [prompt] = mlflow.import(text).prompts;
    expect(prompt).toMatchObject({
      name: "main.default.qa",
      version: "3.0.0",
      message: "why",
      createdAt: "2025-03-01T10:20:30.123Z",
    });
    expect(readParts(prompt?.text as string)).toMatchObject({
      body: "Answer {{question}}",
      metadata: { "mlflow.tags": { team: "nlp" } },
    });
  });
});

describe("OpenAI", () => {
  it("comes back as it was", async () => {
    const { registry, lost, exported } = await loaded(openai, JSON.stringify(OPENAI));
    expect((await registry.getPrompt("weather@production")).body).toBe("user:\nSay the weather in {{city}}");
    expect(lost).toEqual([]);
    expect(JSON.parse(file(exported))).toEqual(OPENAI);
  });

  it("reads versions inside, and tells of mere references", () => {
    const nested = {
      id: "pmpt_1",
      default_version: 2,
      versions: OPENAI.map(({ id: _i, name: _n, is_default: _d, ...v }) => v),
    };
    expect(openai.import(JSON.stringify(nested)).prompts).toMatchObject([
      { name: "pmpt_1", version: "1.0.0", labels: [] },
      { name: "pmpt_1", version: "2.0.0", labels: ["production"] },
    ]);
    const reference = JSON.stringify({ prompt: { id: "pmpt_123", version: "1", variables: { a: "b" } } });
    expect(openai.import(reference)).toMatchObject({
      prompts: [],
      lost: [expect.stringMatching(/^pmpt_123: only a reference/)],
    });
  });
});

describe("GitHub Models", () => {
  it("comes back with the same data", async () => {
    const { registry, lost, exported } = await loaded(githubModels, GITHUB, "docs/summarize.prompt.yml");
    const prompt = await registry.getPrompt("docs/summarize");
    expect(prompt.version).toBe("1.0.0");
    expect(prompt.metadata).toMatchObject({ "github.model": "openai/gpt-4o-mini" });
    expect(lost).toEqual([]);
    expect(exported.files[0]?.path).toBe("docs/summarize.prompt.yml");
    expect(load(file(exported))).toEqual(load(GITHUB));
    expect(exported.lost).toEqual([expect.stringMatching(/no place for version, createdAt/)]);
  });

  it("is written for a prompt of ours", async () => {
    const registry = new PromptRegistry(memory());
    await registry.storePrompt({
      name: "a",
      version: "1.0.0",
      text: "---\nmodel: m\ntemperature: 1\nodd: 1\n---\nBe {{x}}.\n",
    });
    const { files, lost } = await exportPrompts(registry, githubModels);
    expect(load(files[0]?.text as string)).toEqual({
      name: "a",
      model: "m",
      modelParameters: { temperature: 1 },
      messages: [{ role: "system", content: "Be {{x}}.\n" }],
    });
    expect(lost.join()).toMatch(/"odd"/);
  });

  it.each([
    ["aliases", "messages: &a [{role: user, content: x}]\nother: *a\n"],
    ["a bomb", `a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nmessages: [*c,*c]\n`],
    ["a tag", "messages: !!js/function 'function(){}'\n"],
    ["a prototype", "__proto__: {a: 1}\nmessages: []\n"],
    ["a merge", "<<: {a: 1}\nmessages: []\n"],
    ["two documents", "messages: []\n---\nmessages: []\n"],
    ["twice a key", "messages: []\nmessages: []\n"],
    ["depth", `messages: ${"[".repeat(50_000)}`],
    ["no messages", "name: x\n"],
    ["infinity", "messages: []\nx: .inf\n"],
    ["no mapping", "- 1\n"],
  ])("refuses %s", (_, text) => {
    expect(() => githubModels.import(text, { name: "x" })).toThrow(expect.objectContaining({ code: "INVALID" }));
  });
});

describe("Dotprompt", () => {
  it("comes back with everything, by its seal", async () => {
    const { registry, exported } = await loaded(dotprompt, DOTPROMPT, "dining/greet.formal.prompt");
    const prompt = await registry.getPrompt("dining/greet.formal");
    expect(prompt.text).toBe(DOTPROMPT);
    expect(exported.files[0]?.path).toBe("dining/greet.formal.prompt");
    const other = new PromptRegistry(memory());
    await importPrompts(other, dotprompt.import(file(exported), { path: "elsewhere.prompt" }).prompts);
    expect(await other.getPrompt("dining/greet.formal")).toMatchObject({ digest: prompt.digest, text: DOTPROMPT });
  });

  it("has partials, versions, and lists versions it can't say", async () => {
    const text = "---\nversion: 3\n---\nx\n";
    expect(dotprompt.import(text, { path: "a/_header.prompt" }).prompts[0]).toMatchObject({
      name: "a/header.partial",
      version: "3.0.0",
    });
    const prompts = ["1.0.0", "1.1.0"].map((version) => ({
      name: "a/header.partial",
      version,
      text: "x\n",
      labels: ["production"],
    }));
    expect(dotprompt.export(prompts)).toMatchObject({
      files: [{ path: "a/_header.prompt" }],
      lost: [
        "a/header.partial: a file holds one version, 1.1.0; left out: 1.0.0",
        "a/header.partial@1.1.0: no place for labels",
      ],
    });
    const edited = file(dotprompt.export(prompts)).replace("x\n", "y\n");
    expect(() => dotprompt.import(edited, { path: "a.prompt" })).toThrow(expect.objectContaining({ code: "INVALID" }));
  });
});

describe("Prompty", () => {
  it("comes back byte for byte, with nothing resolved", async () => {
    process.env.ENDPOINT = "secret";
    const { registry, exported } = await loaded(prompty, PROMPTY, "basic.prompty");
    const prompt = await registry.getPrompt("basic");
    expect(prompt).toMatchObject({ version: "1.2.0", author: "ada", text: PROMPTY });
    expect(file(exported)).toBe(PROMPTY);
    expect(JSON.stringify(exported)).not.toContain("secret");
    delete process.env.ENDPOINT;
  });

  it("is written for a prompt of ours", async () => {
    const registry = new PromptRegistry(memory(), { author: "Ada" });
    await registry.storePrompt({
      name: "b",
      version: "1.5.0",
      text: "---\nmodel: m\nodd: 1\n---\nuser: \nBe {{x}}.\n",
    });
    const { files, lost } = await exportPrompts(registry, prompty);
    const back = prompty.import(files[0]?.text as string, { path: files[0]?.path as string }).prompts[0];
    expect(back).toMatchObject({ name: "b", version: "1.5.0", author: "Ada" });
    expect(readParts(back?.text as string).body).toBe("user: \nBe {{x}}.\n");
    expect(lost.join("\n")).toMatch(/createdAt[\s\S]*"odd"[\s\S]*starts a message/);
  });
});

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
