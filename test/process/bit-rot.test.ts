import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { describeError, gist } from "../support/process-check.ts";
import { type Bench, createBench, summary } from "../support/process-workers.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await createBench("memory");
});
afterAll(() => bench?.dispose());

const NAME = "rot/one";
const TEXT = "---\nmodel: small\ntemperature: 0.5\n---\nSort this: {{ticket}}\nÜber alles, 日本 🙂.\n";

async function prepared(): Promise<{ path: string; folder: string }> {
  const path = bench.folder();
  const registry = new PromptRegistry(fs({ path }));
  await registry.storePrompt({ name: NAME, version: "1.0.0", text: TEXT, author: "me", message: "why" });
  await registry.storePrompt({ name: NAME, version: "1.1.0", text: `${TEXT}more\n`, labels: ["production"] });
  await registry.storePrompt({ name: "rot/two", version: "1.0.0", text: "another\n" });
  await registry.setLabel(NAME, "staging", "1.0.0");
  return { path, folder: join(path, "prompts", NAME) };
}

/** What is wrong with how damage to v1.0.0 of rot/one is met. Reading the others must go on. */
async function met(path: string, verifies: boolean): Promise<string[]> {
  const problems: string[] = [];
  for (const selector of [`${NAME}@1.0.0`, `${NAME}@staging`]) {
    try {
      const { text, sealed } = await new PromptRegistry(fs({ path })).getPrompt(selector);
      problems.push(`${selector} served ${text === TEXT ? "the right text" : JSON.stringify(text)}, sealed: ${sealed}`);
    } catch (error) {
      // INVALID where what is left is no valid text any more, sealed or not.
      const refused = isRegistryError(error, "CORRUPT") || isRegistryError(error, "INVALID");
      if (!refused) problems.push(`${selector}: ${describeError(error)}`);
    }
  }
  const registry = new PromptRegistry(fs({ path }));
  if ((await registry.getPrompt(NAME)).text !== `${TEXT}more\n`) problems.push("latest is wrong");
  if (verifies) {
    const report = await registry.verify();
    if (!report.problems.some((p) => p.kind === "corrupt" && p.name === NAME && p.version === "1.0.0")) {
      problems.push(`verify finds ${JSON.stringify(report.problems)}`);
    }
  }
  return problems;
}

describe("bit rot", () => {
  test("each bit of a stored version flipped in turn: never served, always found", async () => {
    const { path, folder } = await prepared();
    const file = join(folder, "v1.0.0.md");
    const good = readFileSync(file);
    const problems: string[] = [];
    let flips = 0;
    for (let i = 0; i < good.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = Buffer.from(good);
        bad[i] = (bad[i] as number) ^ (1 << bit);
        writeFileSync(file, bad);
        flips++;
        const found = await met(path, bit === i % 8);
        problems.push(
          ...found.map(
            (p) => `byte ${i}, bit ${bit} (${JSON.stringify(good.subarray(i - 8, i + 8).toString())}): ${p}`,
          ),
        );
      }
    }
    writeFileSync(file, good);
    expect((await new PromptRegistry(fs({ path })).verify()).problems).toEqual([]);
    summary(`bit rot: ${flips} flips in ${good.length} bytes, ${problems.length} served or missed`);
    expect(gist(problems)).toEqual([]);
  });

  test("cut, emptied, zeroed, exchanged", async () => {
    const { path, folder } = await prepared();
    const file = join(folder, "v1.0.0.md");
    const good = readFileSync(file);
    const damages: [string, Buffer][] = [
      ["zeroed", Buffer.alloc(good.length)],
      ["its neighbour", readFileSync(join(folder, "v1.1.0.md"))],
      ["another prompt's", readFileSync(join(path, "prompts/rot/two/v1.0.0.md"))],
      ["appended to", Buffer.concat([good, Buffer.from("\n")])],
    ];
    for (let length = 0; length < good.length; length++) damages.push([`cut to ${length}`, good.subarray(0, length)]);
    const problems: string[] = [];
    for (const [what, bytes] of damages) {
      writeFileSync(file, bytes);
      problems.push(...(await met(path, true)).map((p) => `${what}: ${p}`));
    }
    summary(`bit rot: ${damages.length} cuts and exchanges, ${problems.length} served or missed`);
    expect(gist(problems)).toEqual([]);
  });

  test("a process that has read a version before does not serve what it became", async () => {
    const { path, folder } = await prepared();
    const file = join(folder, "v1.0.0.md");
    const registry = new PromptRegistry(fs({ path }));
    expect((await registry.getPrompt(`${NAME}@1.0.0`)).text).toBe(TEXT);
    const bad = readFileSync(file);
    bad[bad.length - 3] = (bad[bad.length - 3] as number) ^ 1;
    writeFileSync(file, bad);
    // From memory the right text, from disk an error; the damaged one never.
    const answer = await registry.getPrompt(`${NAME}@1.0.0`).then(
      (prompt) => prompt.text,
      (error) => error.code,
    );
    expect([TEXT, "CORRUPT"]).toContain(answer);
    expect((await registry.verify()).ok).toBe(false);
    rmSync(path, { recursive: true });
  });

  test("a head that can't be read is reported, and everything else is still looked at", async () => {
    const { path, folder } = await prepared();
    writeFileSync(join(folder, ".heads", "000000000002.json"), "{");
    const two = join(path, "prompts/rot/two/v1.0.0.md");
    writeFileSync(two, `${readFileSync(two, "utf8")}x`);
    const registry = new PromptRegistry(fs({ path }));
    const { problems } = await registry.verify();
    expect(problems.map((p) => `${p.kind} ${p.name}`).sort()).toEqual(["corrupt rot/two", `head ${NAME}`]);
    const { ok, findings } = await registry.doctor();
    expect(ok).toBe(false);
    expect(findings.map((f) => f.name)).toEqual(expect.arrayContaining([NAME, "rot/two"]));
  });

  test("each byte of a head flipped in turn: a label is right or an error", async () => {
    const { path, folder } = await prepared();
    const heads = join(folder, ".heads");
    const file = join(heads, "000000000002.json");
    const good = readFileSync(file);
    const problems: string[] = [];
    for (let i = 0; i < good.length; i++) {
      const bad = Buffer.from(good);
      bad[i] = (bad[i] as number) ^ (1 << (i % 3));
      writeFileSync(file, bad);
      for (const [label, version] of [
        ["production", "1.1.0"],
        ["staging", "1.0.0"],
      ] as const) {
        try {
          const prompt = await new PromptRegistry(fs({ path })).getPrompt(`${NAME}@${label}`);
          if (prompt.version !== version) problems.push(`byte ${i}: ${label} is ${prompt.version}: ${bad.toString()}`);
        } catch (error) {
          // An answer that the label is not there would be taken for the truth.
          if (!isRegistryError(error, "CORRUPT"))
            problems.push(`byte ${i}: ${describeError(error)}: ${bad.toString()}`);
        }
      }
    }
    summary(`bit rot: ${good.length} flips in a head, ${problems.length} wrong labels`);
    expect(gist(problems)).toEqual([]);
  });
});
