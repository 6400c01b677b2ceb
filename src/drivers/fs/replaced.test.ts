import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { PromptRegistry } from "../../registry.ts";
import { nodeIo, watched } from "./io.ts";
import { bench, counting } from "./support.test.ts";

const { path: newPath, open } = bench();

/** A registry in what looks like a work tree, at a first commit. */
async function prepared({ git = true } = {}) {
  const path = newPath();
  mkdirSync(join(path, ".git"), { recursive: true });
  if (!git) rmSync(join(path, ".git"), { recursive: true });
  const registry = () => new PromptRegistry(open(path));
  await registry().storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
  await registry().storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
  await registry().setLabel("a", "production", "1.0.0");
  const file = join(path, "prompts/a/latest.json");
  const first = readFileSync(file, "utf8");
  /** As Git does it: another file, with the time of now; here seconds after the last generation. */
  const put = (text: string, seconds = 1.2345) => {
    rmSync(file);
    writeFileSync(file, text);
    const heads = join(path, "prompts/a/.heads");
    const last = Math.max(...readdirSync(heads).map((head) => statSync(join(heads, head)).mtimeMs)) / 1000;
    utimesSync(file, last + seconds, last + seconds);
  };
  const checkout = (text: string) => {
    put(text);
    const folder = join(path, "prompts/a");
    for (const link of readdirSync(folder, { withFileTypes: true })) {
      if (link.isSymbolicLink() && link.name !== "latest.md") rmSync(join(folder, link.name));
    }
    for (const [label, to] of Object.entries(JSON.parse(text).labels))
      symlinkSync(`v${to}.md`, join(folder, `${label}.md`));
  };
  const actions = async () =>
    (await registry().history("a").all())
      .filter((entry) => entry.action !== "publish")
      .map(({ label, to }) => `${label} ${to}`)
      .reverse();
  return { path, registry, file, first, put, checkout, actions };
}

describe("a latest.json that Git put there", () => {
  it("counts instead of generations that another branch left, and is gone on from", async () => {
    const { registry, file, first, checkout, actions } = await prepared();
    await registry().setLabel("a", "production", "1.1.0");
    await registry().setLabel("a", "exp", "1.1.0");
    const exp = readFileSync(file, "utf8");
    const held = registry();
    expect((await held.getPrompt("a@production")).version).toBe("1.1.0");
    checkout(first);
    expect((await held.getPrompt("a@production")).version).toBe("1.0.0");
    await expect(registry().getPrompt("a@exp")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await actions()).toEqual(["production 1.0.0"]);
    expect(await registry().doctor()).toMatchObject({ ok: true });
    await registry().setLabel("a", "staging", "1.1.0");
    const json = JSON.parse(readFileSync(file, "utf8"));
    expect(json).toMatchObject({ generation: 4, labels: { production: "1.0.0", staging: "1.1.0" } });
    expect(await actions()).toEqual(["production 1.0.0", "staging 1.1.0"]);
    // And back.
    checkout(exp);
    expect((await registry().getPrompt("a@exp")).version).toBe("1.1.0");
    expect(await actions()).toEqual(["production 1.0.0", "production 1.1.0", "exp 1.1.0"]);
    await expect(registry().getPrompt("a@staging")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("counts also where its generation is the same", async () => {
    const { registry, file, first, checkout } = await prepared();
    await registry().setLabel("a", "exp", "1.1.0");
    checkout(first);
    await registry().setLabel("a", "beta", "1.1.0");
    const ours = readFileSync(file, "utf8");
    checkout(ours.replace('"beta"', '"zeta"').replace('"label":"beta"', '"label":"zeta"'));
    expect((await registry().getPrompt("a@zeta")).version).toBe("1.1.0");
    await registry().setLabel("a", "beta", "1.0.0");
    expect(Object.keys(JSON.parse(readFileSync(file, "utf8")).labels)).toEqual(["beta", "production", "zeta"]);
  });

  it("goes on to count when a version is published", async () => {
    const { registry, first, checkout } = await prepared();
    await registry().setLabel("a", "production", "1.1.0");
    checkout(first);
    await registry().storePrompt({ name: "a", version: "1.2.0", text: "three\n" });
    expect((await registry().getPrompt("a@production")).version).toBe("1.0.0");
    expect(await registry().getPrompt("a")).toMatchObject({ version: "1.2.0" });
    expect(await registry().doctor()).toMatchObject({ ok: true });
  });

  it("loses nothing where a publish shows its version in it, whatever is not here and whenever the power goes", async () => {
    const { path, registry, file, first, checkout } = await prepared();
    await registry().setLabel("a", "production", "1.1.0");
    checkout(first.replace('"production": "1.0.0"', '"elsewhere": "0.9.0",\n    "production": "1.0.0"'));
    const done: string[] = [];
    const io = watched(nodeIo, (name, args) => {
      if (name === "fsync") done.push(name);
      if (name === "rename" && String(args[1]).endsWith("/latest.json")) done.push("shown");
      if (name === "symlink") done.push("linked");
    });
    await new PromptRegistry(open(path, { io })).storePrompt({ name: "a", version: "1.2.0", text: "three\n" });
    expect(done.slice(-3)).toEqual(["linked", "fsync", "shown"]);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      latest: "1.2.0",
      labels: { elsewhere: "0.9.0", production: "1.0.0" },
    });
    await expect(registry().getPrompt("a@elsewhere")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("is told from one of ours that a writer left behind when it died", async () => {
    const { registry, file, first, put } = await prepared();
    // As it is written here, whatever the clock said: over the one of the next generation, and then the end.
    const { mtimeMs } = statSync(file);
    expect(mtimeMs % 1000).toBe(0);
    await registry().setLabel("a", "production", "1.1.0");
    put(first);
    utimesSync(file, mtimeMs / 1000 + 60, mtimeMs / 1000 + 60);
    expect((await registry().getPrompt("a@production")).version).toBe("1.1.0");
    await registry().setLabel("a", "staging", "1.1.0");
    expect(JSON.parse(readFileSync(file, "utf8")).labels).toEqual({ production: "1.1.0", staging: "1.1.0" });
  });

  it("is over once a generation is there that went on from it", async () => {
    const { registry, file, first, checkout, put } = await prepared();
    await registry().setLabel("a", "production", "1.1.0");
    checkout(first);
    const { mtimeMs } = statSync(file);
    await registry().setLabel("a", "exp", "1.1.0");
    // Its writer died before it showed it.
    put(first);
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000);
    expect((await registry().getPrompt("a@exp")).version).toBe("1.1.0");
    expect(await registry().doctor({ fix: true })).toMatchObject({
      findings: [{ kind: "projection", path: "a/latest.json", repaired: true }],
    });
    expect(readFileSync(file, "utf8")).toContain('"exp"');
  });

  it("counts also where the repository was begun after the registry was opened", async () => {
    const { path, registry, first, put } = await prepared({ git: false });
    const held = registry();
    await held.setLabel("a", "production", "1.1.0");
    mkdirSync(join(path, ".git"));
    const now = performance.now();
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now + 1500);
    try {
      put(first);
      expect((await held.getPrompt("a@production")).version).toBe("1.0.0");
      await held.setLabel("a", "staging", "1.1.0");
      expect((await registry().getPrompt("a@production")).version).toBe("1.0.0");
    } finally {
      clock.mockRestore();
    }
  });

  it("is looked for no further than a process may look", async () => {
    const { path, registry } = await prepared({ git: false });
    const io = watched(nodeIo, (name, args) => {
      if (name !== "lstat" || !String(args[0]).endsWith("/.git")) return;
      throw Object.assign(new Error("not for you"), { code: "ERR_ACCESS_DENIED" });
    });
    const shut = new PromptRegistry(open(path, { io }));
    expect(await shut.setLabel("a", "production", "1.1.0")).not.toHaveProperty("warnings");
    expect(await registry().doctor()).toMatchObject({ ok: true });
  });

  it("costs a read nothing", async () => {
    const { path, registry } = await prepared();
    await registry().setLabel("a", "production", "1.1.0");
    const { io, calls } = counting();
    await new PromptRegistry(open(path, { io })).getPrompt("a@production");
    const within = { ...calls };
    rmSync(join(path, ".git"), { recursive: true });
    const other = counting();
    await new PromptRegistry(open(path, { io: other.io })).getPrompt("a@production");
    expect(within).toEqual(other.calls);
  });
});

describe("a latest.json that contradicts the generations", () => {
  it("stops changes of the head, and nothing writes over it", async () => {
    const { registry, file, first, checkout, actions } = await prepared({ git: false });
    await registry().setLabel("a", "exp", "1.1.0");
    const ours = readFileSync(file, "utf8");
    const theirs = first.replaceAll("production", "beta");
    for (const text of [theirs, ours.replace('"exp"', '"beta"')]) {
      checkout(text);
      expect((await registry().getPrompt("a@exp")).version).toBe("1.1.0");
      await expect(registry().setLabel("a", "staging", "1.1.0")).rejects.toMatchObject({
        code: "CONFLICT",
        outcome: "final",
        message: expect.stringContaining("doctor --repair head"),
      });
      await expect(
        registry().storePrompt({ name: "a", version: "2.0.0", text: "x\n", labels: ["beta"] }),
      ).rejects.toMatchObject({ code: "CONFLICT" });
      expect(await registry().doctor({ fix: true })).toMatchObject({
        findings: expect.arrayContaining([expect.objectContaining({ kind: "head", path: "a/latest.json" })]),
      });
      expect(readFileSync(file, "utf8")).toBe(text);
    }
    await registry().storePrompt({ name: "a", version: "1.2.0", text: "three\n" });
    expect(readFileSync(file, "utf8")).toContain("beta");
    await registry().doctor({ fix: ["head"] });
    await registry().setLabel("a", "staging", "1.1.0");
    expect(Object.keys(JSON.parse(readFileSync(file, "utf8")).labels)).toEqual(["exp", "production", "staging"]);
    expect(await actions()).toEqual(["production 1.0.0", "exp 1.1.0", "staging 1.1.0"]);
  });

  it("and one with a merge conflict, too", async () => {
    const { registry, file, put } = await prepared();
    put(`{\n<<<<<<< HEAD\n  "a": 1\n=======\n>>>>>>> work\n}\n`);
    expect((await registry().getPrompt("a@production")).version).toBe("1.0.0");
    await expect(registry().setLabel("a", "staging", "1.1.0")).rejects.toMatchObject({
      message: expect.stringMatching(/merge conflict.*make your move again/),
    });
    expect(await registry().doctor({ fix: true })).toMatchObject({
      findings: [{ kind: "head", path: "a/latest.json", repaired: false }],
    });
    // Nor does a publish, which needs no head: the other side of the merge is told nowhere else.
    expect(await registry().storePrompt({ name: "a", version: "1.2.0", text: "three\n" })).toMatchObject({
      status: "created",
    });
    expect((await registry().getPrompt("a")).version).toBe("1.2.0");
    expect(readFileSync(file, "utf8")).toContain("<<<<<<<");
    await registry().doctor({ fix: ["head"] });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ latest: "1.2.0", labels: { production: "1.0.0" } });
  });

  it("and is not made to look like one that was left behind by adopting a link", async () => {
    const { path, registry, file, put } = await prepared({ git: false });
    await registry().setLabel("a", "exp", "1.1.0");
    const theirs = readFileSync(file, "utf8").replace('"exp": "1.1.0"', '"exp": "1.0.0"');
    put(theirs);
    const link = join(path, "prompts/a/production.md");
    rmSync(link);
    symlinkSync("v1.1.0.md", link);
    expect(await registry().doctor({ fix: ["moved-link", "projection"] })).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({ kind: "moved-link", label: "production", repaired: false }),
        expect.objectContaining({ kind: "head", path: "a/latest.json", repaired: false }),
      ]),
    });
    expect(readFileSync(file, "utf8")).toBe(theirs);
    await registry().doctor({ fix: ["head"] });
    await registry().doctor({ fix: ["moved-link"] });
    expect((await registry().getPrompt("a@production")).version).toBe("1.1.0");
    expect((await registry().getPrompt("a@exp")).version).toBe("1.1.0");
  });
});
