import { describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { readParts } from "../../src/transfer/formats/text.ts";
import { detectFormat, exportPrompts, importPrompts, langfuse, mlflow, openai } from "../../src/transfer/index.ts";
import { file, LANGFUSE, loaded, MLFLOW, OPENAI } from "../support/formats-lab.ts";

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
