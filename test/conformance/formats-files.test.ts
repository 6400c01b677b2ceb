import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { readParts } from "../../src/transfer/formats/text.ts";
import { dotprompt, exportPrompts, githubModels, importPrompts, prompty } from "../../src/transfer/index.ts";
import { DOTPROMPT, file, GITHUB, loaded, PROMPTY } from "../support/formats-lab.ts";

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
