/** What other tools write, and the way there and back. */
import { expect } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { exportPrompts, importPrompts, type PromptFormat } from "../../src/transfer/index.ts";

export const LANGFUSE = [
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

export const MLFLOW = {
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

export const OPENAI = [
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

export const GITHUB = `name: Text Summarizer
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

export const DOTPROMPT = `---
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

export const PROMPTY = `---
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

export async function loaded(format: PromptFormat, text: string, path?: string) {
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

export const file = (exported: { files: readonly { text: string }[] }) => exported.files[0]?.text ?? "";
