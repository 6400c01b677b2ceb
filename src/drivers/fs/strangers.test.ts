import { mkdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PromptRegistry } from "../../registry.ts";
import { nodeIo } from "./io.ts";
import { bench, drop } from "./support.test.ts";

const { path: newPath, open } = bench();

const kinds: Readonly<Record<string, (file: string) => void>> = {
  "a link": (file) => symlinkSync("v1.0.0.md", file),
  "a link to nothing": (file) => symlinkSync("nowhere", file),
  "a folder": (file) => mkdirSync(file),
};

describe.each(["embedded", "server"] as const)("what is named like a version and is none, %s", (mode) => {
  it.each(Object.keys(kinds))("%s is no version", async (kind) => {
    const path = newPath();
    const registry = new PromptRegistry(open(path, { mode }));
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    const file = join(path, "prompts/a/v3.0.0.md");
    kinds[kind]?.(file);
    mkdirSync(join(path, "prompts/none"));
    kinds[kind]?.(join(path, "prompts/none/v1.0.0.md"));
    for (const reader of [registry, new PromptRegistry(open(path, { mode }))]) {
      expect(await reader.getPrompt("a")).toMatchObject({ version: "1.0.0" });
      expect(await reader.getPrompt("a@>=1")).toMatchObject({ version: "1.0.0" });
      expect((await reader.listVersions("a").all()).map((v) => v.version)).toEqual(["1.0.0"]);
      expect((await reader.listPrompts().all()).map((p) => p.name)).toEqual(["a"]);
      // Asked for by its number, it is not absent: something is wrong there.
      await expect(reader.getPrompt("a@3.0.0")).rejects.toMatchObject({ code: "CORRUPT" });
    }
    expect(await registry.storePrompt({ name: "a", version: "1.1.0", text: "two\n" })).toMatchObject({
      latest: "1.1.0",
    });
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v1.1.0.md");
    const { findings } = await registry.doctor({ fix: true });
    expect(findings.map((f) => [f.kind, f.path]).sort()).toEqual([["foreign", "a/v3.0.0.md"]]);
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v1.1.0.md");
  });

  it("in the way of a version, it is said to be damaged, and the version surely not stored", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path, { mode }));
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    symlinkSync("v1.0.0.md", join(path, "prompts/a/v1.1.0.md"));
    for (const which of [{ bump: "minor" }, { version: "1.1.0" }] as const) {
      const store = registry.storePrompt({ name: "a", text: "two\n", ...which });
      await expect(store).rejects.toMatchObject({ code: "CORRUPT", outcome: "final" });
    }
    expect(await registry.storePrompt({ name: "a", version: "1.2.0", text: "two\n" })).toMatchObject({
      status: "created",
    });
  });

  it("a label whose version has a link in its place is damaged, not absent", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path, { mode }));
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: `${version}\n` });
    await registry.setLabel("a", "production", "1.1.0");
    rmSync(join(path, "prompts/a/v1.1.0.md"));
    await expect(new PromptRegistry(open(path, { mode })).getPrompt("a@production")).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    symlinkSync("v1.0.0.md", join(path, "prompts/a/v1.1.0.md"));
    await expect(new PromptRegistry(open(path, { mode })).getPrompt("a@production")).rejects.toMatchObject({
      code: "CORRUPT",
    });
    expect(await registry.verify()).toMatchObject({ ok: false });
  });

  it("is told where folders don't say what is in them, and a file goes while they are asked", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "one\n", "a/v3.0.0.md": "-> v1.0.0.md" });
    const gone = () => Object.assign(new Error("gone"), { code: "ENOENT", syscall: "lstat" });
    const io = {
      sync: {
        ...nodeIo.sync,
        readdir: (at: string, marked?: boolean) => {
          if (marked === true) throw gone();
          return nodeIo.sync.readdir(at);
        },
      },
      async: {
        ...nodeIo.async,
        readdir: (at: string, marked?: boolean) =>
          marked === true ? Promise.reject(gone()) : nodeIo.async.readdir(at),
      },
    };
    const registry = new PromptRegistry(open(path, { mode, io }));
    expect(await registry.getPrompt("a")).toMatchObject({ version: "1.0.0" });
    expect((await registry.listPrompts().all()).map((p) => p.name)).toEqual(["a"]);
  });
});
