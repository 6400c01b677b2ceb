import { execFileSync, fork } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type Bench, createBench, summary, type Worker, withWorkers } from "../support/process-workers.ts";
import { skipSuite } from "../support/skip.ts";
import type { Answer } from "./workers/registry.ts";

const NAME = "support/triage";
const OUTSIDE = "text from outside\n";
const MODES = ["embedded", "server"] as const;

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench?.dispose());

/** A registry, and outside of it a folder with a well-sealed prompt of the same name that nobody put in the registry. */
async function prepared(): Promise<{ path: string; folder: string; outside: string; park: string }> {
  const path = bench.folder();
  const registry = new PromptRegistry(fs({ path }));
  await registry.storePrompt({ name: NAME, version: "1.0.0", text: "version 1.0.0 inside\n", labels: ["production"] });
  const other = bench.folder("outside");
  const stranger = new PromptRegistry(fs({ path: other }));
  for (const version of ["1.0.0", "9.9.9"]) {
    await stranger.storePrompt({ name: NAME, version, text: OUTSIDE, labels: ["production"] });
  }
  return {
    path,
    folder: join(path, "prompts", NAME),
    outside: join(other, "prompts", NAME),
    park: join(path, ".parked"),
  };
}

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((e) => e.isFile());
  return Object.fromEntries(
    files.map((e) => [join(e.parentPath, e.name), readFileSync(join(e.parentPath, e.name), "utf8")]),
  );
}

/** The answer, or `hangs`. */
async function inTime(worker: Worker, call: Promise<Answer>): Promise<Answer | "hangs"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"hangs">((resolve) => {
    timer = setTimeout(() => resolve("hangs"), 10_000);
  });
  const answer = await Promise.race([call.catch(() => "hangs" as const), late]);
  clearTimeout(timer);
  if (answer === "hangs") await worker.end();
  return answer;
}

if (process.platform === "win32") skipSuite("symbolic link attacks", "Windows lets few users make links");
else {
  describe("symbolic link attacks", () => {
    test.each([
      ["the prompt's folder", "support/triage"],
      ["a folder above it", "support"],
    ])("%s swapped for a link in a loop: nothing outside is read or written", async (_, swapped) => {
      const { path, outside, park } = await prepared();
      const target = swapped === NAME ? outside : dirname(outside);
      const before = contents(target);
      const folder = join(path, "prompts", swapped);
      const swapper = fork(bench.script("swap"), [JSON.stringify({ folder, park, outside: target })]);
      const ends = new Map<string, number>();
      let swaps = 0;
      try {
        await withWorkers(
          bench.script("registry"),
          3,
          (i) => ({ path, mode: MODES[i % 2] as "embedded" | "server" }),
          (workers) =>
            Promise.all(
              workers.map(async (worker, who) => {
                for (let i = 0; i < 60; i++) {
                  const version = `1.${who}.${i}`;
                  const answers = await worker.calls([
                    { method: "storePrompt", args: [{ name: NAME, version, text: `version ${version} inside\n` }] },
                    { method: "getPrompt", args: [NAME] },
                    { method: "getPrompt", args: [`${NAME}@1.0.0`] },
                    { method: "getPrompt", args: [`${NAME}@production`] },
                    { method: "getPrompt", args: [`${NAME}@9.9.9`] },
                    { method: "setLabel", args: [NAME, "staging", "1.0.0"] },
                    { method: "doctor", args: [{ fix: true, minTempAge: 0, name: NAME }] },
                  ]);
                  for (const answer of answers) {
                    const end = answer.ok ? "ok" : answer.code;
                    ends.set(end, (ends.get(end) ?? 0) + 1);
                    if (answer.ok) expect(answer.value.text).not.toBe(OUTSIDE);
                    else expect(answer.code, answer.message).not.toBe("not a RegistryError");
                  }
                }
              }),
            ),
        );
        swapper.send("how many");
        swaps = await new Promise<number>((resolve) => swapper.once("message", (n: number) => resolve(n)));
      } finally {
        swapper.kill("SIGKILL");
        await new Promise((resolve) => swapper.once("exit", resolve));
      }
      expect(contents(target)).toEqual(before);
      const counts = [...ends].map(([end, n]) => `${end} ${n}`).join(", ");
      summary(`symlinks (${swapped}): ${swaps} swaps, 0 reads or writes outside; ends: ${counts}`);
      expect(swaps).toBeGreaterThan(100);
    });

    const planted: readonly [string, (at: { folder: string; outside: string }) => void][] = [
      [
        "a version that is a link",
        ({ folder, outside }) => replace(folder, "v1.0.0.md", (p) => symlinkSync(join(outside, "v1.0.0.md"), p)),
      ],
      [
        "a version that is a link to its neighbour",
        ({ folder }) => replace(folder, "v1.0.0.md", (p) => symlinkSync("latest.md", p)),
      ],
      ["a version that is a FIFO", ({ folder }) => replace(folder, "v1.0.0.md", fifo)],
      ["a version that is a folder", ({ folder }) => replace(folder, "v1.0.0.md", (p) => mkdirSync(p))],
      ["a version that is a device", ({ folder }) => replace(folder, "v1.0.0.md", (p) => symlinkSync("/dev/zero", p))],
      [
        "heads that are a link",
        ({ folder, outside }) => replace(folder, ".heads", (p) => symlinkSync(join(outside, ".heads"), p)),
      ],
      ["a head that is a FIFO", ({ folder }) => replace(join(folder, ".heads"), "000000000001.json", fifo)],
      ["heads that are a FIFO", ({ folder }) => replace(folder, ".heads", fifo)],
      ["a head file that is a FIFO", ({ folder }) => replace(folder, "latest.json", fifo)],
      ["a link that is a FIFO", ({ folder }) => replace(folder, "latest.md", fifo)],
      [
        "a label's link that leads outside",
        ({ folder, outside }) => replace(folder, "production.md", (p) => symlinkSync(join(outside, "v9.9.9.md"), p)),
      ],
      [
        "the folder itself a link",
        ({ folder, outside }) => replace(dirname(folder), "triage", (p) => symlinkSync(outside, p)),
      ],
      ["the folder itself a FIFO", ({ folder }) => replace(dirname(folder), "triage", fifo)],
    ];
    test.each(planted)("%s: no hang, nothing from outside, nothing written there", async (title, plant) => {
      for (const mode of MODES) {
        const { path, folder, outside } = await prepared();
        plant({ folder, outside });
        const before = contents(outside);
        const ends: string[] = [];
        await withWorkers(bench.script("registry"), 1, { path, mode }, async ([worker]) => {
          const w = worker as Worker;
          for (const [method, ...args] of [
            ["getPrompt", `${NAME}@1.0.0`],
            ["getPrompt", NAME],
            ["getPrompt", `${NAME}@production`],
            ["getPrompt", `${NAME}@9.9.9`],
            ["storePrompt", { name: NAME, version: "1.0.0", text: "version 1.0.0 other\n" }],
            ["storePrompt", { name: NAME, version: "1.1.0", text: "version 1.1.0 inside\n", labels: ["production"] }],
            ["yank", NAME, "1.0.0"],
            ["deleteVersion", NAME, "1.0.0"],
            ["verify"],
            ["doctor", { fix: true, minTempAge: 0 }],
            ["getPrompt", NAME],
          ] as const) {
            const answer = await inTime(w, w.call(method, ...args));
            expect(answer, `${mode} ${method} ${JSON.stringify(args)}`).not.toBe("hangs");
            if (answer === "hangs") continue;
            ends.push(`${method} ${answer.ok ? "ok" : answer.code}`);
            if (answer.ok) expect(answer.value.text, `${mode} ${method} ${JSON.stringify(args)}`).not.toBe(OUTSIDE);
            else expect(answer.code, answer.message).not.toMatch(/not a RegistryError|INTERNAL/);
          }
        });
        expect(contents(outside)).toEqual(before);
        if (process.env.PROCESS_VERBOSE) summary(`symlinks: ${title} (${mode}): ${ends.join(", ")}`);
        rmSync(path, { recursive: true, force: true });
      }
    });
  });
}

function replace(folder: string, name: string, make: (path: string) => void): void {
  const path = join(folder, name);
  rmSync(path, { recursive: true, force: true });
  make(path);
}

function fifo(path: string): void {
  execFileSync("mkfifo", [path]);
}
