import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { install, update } from "./index.ts";

type Step = "readdir" | "readFile";
/** What happens once, before the first of these calls below a folder of texts. */
const before = vi.hoisted(() => new Map<string, () => Promise<void>>());

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const meanwhile = async (step: Step, path: unknown) => {
    const work = before.get(step);
    if (work === undefined || !/materialized(?:$|\/.*v[^/]*\.md$)/.test(String(path))) return;
    before.clear();
    await work();
  };
  return {
    ...real,
    async readdir(...args: Parameters<typeof real.readdir>) {
      await meanwhile("readdir", args[0]);
      return await real.readdir(...args);
    },
    async readFile(...args: Parameters<typeof real.readFile>) {
      await meanwhile("readFile", args[0]);
      return await real.readFile(...args);
    },
  };
});

let cwd: string;
let registry: PromptRegistry;

beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), "prompt-registry-lock-"));
  registry = new PromptRegistry(memory());
  for (const name of ["a", "b", "c/d"]) await registry.storePrompt({ name, version: "1.0.0", text: `${name}\n` });
  writeFileSync(join(cwd, "prompts.json"), JSON.stringify({ prompts: { a: "^1", b: "^1", "c/d": "^1" } }));
  await install(registry, { cwd, materialize: false });
});
afterEach(() => {
  before.clear();
  rmSync(cwd, { recursive: true, force: true });
});

const FILES = ["a/v1.0.0.md", "b/v1.0.0.md", "c/d/v1.0.0.md"];
const FOLDER = "prompts/.materialized";

function listed(): string[] {
  return JSON.parse(readFileSync(join(cwd, FOLDER, ".prompts-materialized.json"), "utf8")).files;
}

// Between the look at the list and the look at the folder; and between the looks at the folder and at its files.
test.each(["readdir", "readFile"] as const)(
  "two runs at once in a fresh checkout: the other one at %s",
  async (step) => {
    before.set(step, async () => {
      await install(registry, { cwd, frozen: true });
    });
    await install(registry, { cwd, frozen: true });
    expect(before.size).toBe(0);
    expect(listed()).toEqual(FILES);
    for (const file of FILES) expect(existsSync(join(cwd, FOLDER, file))).toBe(true);
    // What either of them wrote is known, and goes when it is not locked any more.
    await registry.storePrompt({ name: "a", version: "1.1.0", text: "new\n" });
    expect(await update(registry, [], { cwd })).toMatchObject({ written: ["a/v1.1.0.md"], removed: ["a/v1.0.0.md"] });
  },
);

test("many runs at once all succeed", async () => {
  await Promise.all(Array.from({ length: 8 }, () => install(registry, { cwd, frozen: true })));
  expect(listed()).toEqual(FILES);
});
