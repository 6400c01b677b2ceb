import {
  cpSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Change, Outcome, ReadAnswer, StorageDriver } from "../../driver.ts";
import { encodeHead } from "../../head.ts";
import { parseLabel, parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import { commitOf, documentOf, headOf } from "../../testing/builders.ts";
import { nodeIo, watched } from "./io.ts";
import { bench, drop, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const AT = "2026-01-01T00:00:00.000Z";

async function apply(driver: StorageDriver, change: Change): Promise<Outcome> {
  return (await driver.commit(commitOf(change)))[0] as Outcome;
}

async function ask(driver: StorageDriver, name: string, what: string): Promise<ReadAnswer> {
  const selector =
    what === "latest" || what === "head"
      ? ({ kind: what } as const)
      : /^\d/.test(what)
        ? ({ kind: "version", version: parseVersion(what) } as const)
        : ({ kind: "label", label: parseLabel(what) } as const);
  return (await driver.read([{ name: parseName(name), selector }]))[0] as ReadAnswer;
}

async function label(driver: StorageDriver, name: string, to: string, expect?: string | null): Promise<Outcome> {
  const head = await ask(driver, name, "head");
  const state = head.status === "head" ? head.head : undefined;
  const { generation: _, ...before } = state?.head ?? { generation: 0, labels: {}, yanked: {} };
  const version = parseVersion(to);
  return await apply(driver, {
    name: parseName(name),
    head: {
      expect: expect === undefined ? (state?.revision ?? null) : expect,
      next: { ...before, labels: { ...before.labels, [parseLabel("production")]: version }, updatedAt: AT },
      entries: [{ at: AT, action: "label", label: parseLabel("production"), to: version, commit: `to ${to}` }],
    },
  });
}

describe("a folder without head generations", () => {
  it("takes its labels from the links, and the first head carries them on", async () => {
    const path = newPath();
    drop(path, {
      "a/v1.0.0.md": "one\n",
      "a/v1.1.0.md": "two\n",
      "a/staging.md": "-> v1.0.0.md",
      "a/canary.md": "v1.1.0.md\n",
      "a/broken.md": "-> v9.0.0.md",
      "a/evil.md": "-> ../../etc/v1.0.0.md",
    });
    const driver = open(path);
    expect(await ask(driver, "a", "staging")).toMatchObject({ status: "found", document: { version: "1.0.0" } });
    expect(await ask(driver, "a", "canary")).toMatchObject({ status: "found", document: { version: "1.1.0" } });
    expect(await ask(driver, "a", "head")).toMatchObject({
      head: { revision: null, head: { generation: 0, labels: { staging: "1.0.0", canary: "1.1.0" } } },
    });
    expect(await label(driver, "a", "1.1.0")).toMatchObject({ status: "done" });
    expect(await ask(open(path), "a", "head")).toMatchObject({
      head: { head: { generation: 1, labels: { staging: "1.0.0", canary: "1.1.0", production: "1.1.0" } } },
    });
    expect(readlinkSync(join(path, "prompts/a/production.md"))).toBe("v1.1.0.md");
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v1.1.0.md");
  });

  it("goes on from latest.json: generation, history, and no label without its version", async () => {
    const path = newPath();
    const first = open(path);
    for (const version of ["1.0.0", "1.1.0"])
      await apply(first, { name: parseName("a"), add: [documentOf("a", version)] });
    for (const to of ["1.0.0", "1.1.0", "1.0.0"]) expect(await label(first, "a", to)).toMatchObject({ status: "done" });
    const clone = newPath();
    cpSync(path, clone, { recursive: true, verbatimSymlinks: true });
    rmSync(join(clone, "prompts/a/.heads"), { recursive: true });
    const driver = open(clone);
    const head = await ask(driver, "a", "head");
    expect(head).toMatchObject({ head: { head: { generation: 3, labels: { production: "1.0.0" } } } });
    expect(await driver.history(parseName("a"), { limit: 100 })).toEqual(
      await first.history(parseName("a"), { limit: 100 }),
    );
    expect(await label(driver, "a", "1.1.0")).toMatchObject({ status: "done", head: { revision: "g4" } });
    expect(readdirSync(join(clone, "prompts/a/.heads"))).toEqual(["000000000004.json"]);
    const { items } = await open(clone).history(parseName("a"), { limit: 100 });
    expect(items.filter((entry) => entry.action === "label").map((entry) => entry.to)).toEqual([
      "1.1.0",
      "1.0.0",
      "1.1.0",
      "1.0.0",
    ]);
    rmSync(join(clone, "prompts/a/.heads"), { recursive: true });
    rmSync(join(clone, "prompts/a/v1.1.0.md"));
    expect(await ask(open(clone), "a", "production")).toMatchObject({ status: "absent" });
  });

  it("lets a newer latest.json win over the generations, and an older one not", async () => {
    const path = newPath();
    const driver = open(path);
    const name = parseName("a");
    for (const version of ["1.0.0", "1.1.0"]) await apply(driver, { name, add: [documentOf("a", version)] });
    await label(driver, "a", "1.0.0");
    const write = (generation: number, to: string) =>
      writeFileSync(
        join(path, "prompts/a/latest.json"),
        encodeHead({ name, head: { ...headOf({ labels: { production: to } }), generation }, history: [] }),
      );
    write(1, "1.1.0");
    expect(await ask(driver, "a", "production")).toMatchObject({ document: { version: "1.0.0" } });
    write(9, "1.1.0");
    expect(await ask(driver, "a", "production")).toMatchObject({ document: { version: "1.1.0" } });
    expect(await label(driver, "a", "1.0.0", "g1")).toEqual({ status: "conflict", added: false });
    expect(await label(driver, "a", "1.0.0")).toMatchObject({ head: { revision: "g10" } });
    expect(await ask(open(path), "a", "production")).toMatchObject({ document: { version: "1.0.0" } });
  });

  it("does not guess at a head that can't be read", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "one\n", "a/latest.json": "<<<<<<< ours\n" });
    const driver = open(path);
    await expect(ask(driver, "a", "production")).rejects.toMatchObject({ code: "CORRUPT" });
    await expect(ask(driver, "a", "latest")).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await ask(driver, "a", "1.0.0")).toMatchObject({ status: "found" });
  });
});

describe("layouts of old", () => {
  it("are read: versions without v, and flat files", async () => {
    const path = newPath();
    drop(path, {
      "a/1.0.0.md": "one\n",
      "a/v1.1.0.md": "two\n",
      "a/latest.md": "one\n",
      "flat.md": "---\nversion: 2.1.0\n---\nflat\n",
      "group/dot.prompt": "no version\n",
      "group/note.md": "-> v1.0.0.md",
    });
    const driver = open(path);
    expect((await driver.listPrompts({ limit: 10 })).items.map((i) => i.name)).toEqual(["a", "flat", "group/dot"]);
    expect(await ask(driver, "a", "1.0.0")).toMatchObject({ status: "found", document: { text: "one\n" } });
    expect(await ask(driver, "a", "latest")).toMatchObject({ document: { version: "1.1.0" } });
    expect(await ask(driver, "flat", "latest")).toMatchObject({ document: { version: "2.1.0" } });
    expect(await ask(driver, "flat", "2.1.0")).toMatchObject({ status: "found" });
    expect(await ask(driver, "group/dot", "0.0.0")).toMatchObject({ status: "found" });
    expect(await ask(driver, "flat", "1.0.0")).toMatchObject({ status: "absent", head: { latest: "2.1.0" } });
  });

  it("hold their slots, and stay readable when the first version is written beside them", async () => {
    const path = newPath();
    drop(path, { "a/1.0.0.md": "one\n", "flat.md": "---\nversion: 2.1.0\n---\nflat\n" });
    const driver = open(path);
    const put = (name: string, version: string) =>
      apply(driver, { name: parseName(name), add: [documentOf(name, version)] });
    expect(await put("a", "1.0.0")).toMatchObject({ status: "exists", existing: { text: "one\n" } });
    expect(await put("flat", "2.1.0")).toMatchObject({ status: "exists" });
    expect(await put("flat", "3.0.0")).toMatchObject({ status: "done" });
    expect((await driver.listVersions(parseName("flat"), { limit: 10 })).items.map((v) => v.version)).toEqual([
      "3.0.0",
      "2.1.0",
    ]);
    expect(await label(driver, "flat", "2.1.0")).toMatchObject({ status: "done" });
    expect(await ask(driver, "flat", "production")).toMatchObject({ status: "found" });
    expect(lstatSync(join(path, "prompts/flat.md")).isFile()).toBe(true);
  });
});

describe("without links", () => {
  it("small files stand in for symbolic links, also where the system refuses them", async () => {
    const refusing = watched(nodeIo, (name) => {
      if (name === "symlink") throw Object.assign(new Error("no"), { code: "EPERM" });
    });
    for (const options of [{ links: "text" as const }, { io: refusing }]) {
      const path = newPath();
      const driver = open(path, options);
      await apply(driver, { name: parseName("a"), add: [documentOf("a", "1.0.0")] });
      await apply(driver, { name: parseName("a"), add: [documentOf("a", "1.1.0")] });
      await label(driver, "a", "1.0.0");
      expect(readFileSync(join(path, "prompts/a/latest.md"), "utf8")).toBe("v1.1.0.md");
      expect(readFileSync(join(path, "prompts/a/production.md"), "utf8")).toBe("v1.0.0.md");
      expect((await driver.listPrompts({ limit: 10 })).items).toEqual([{ name: "a" }]);
      expect((await driver.repair({ repair: [], at: AT })).findings).toEqual([]);
    }
  });

  it("slots are claimed by folders, also where the system turns out to have no hard links", async () => {
    const refusing = watched(nodeIo, (name) => {
      if (name === "link") throw Object.assign(new Error("no"), { code: "ENOTSUP" });
    });
    for (const options of [{ hardLinks: "never" as const }, { io: refusing }]) {
      const path = newPath();
      const drivers = Array.from({ length: 8 }, () => open(path, { ...options, mode: "server" }));
      const name = parseName("a");
      for (let i = 0; i < 10; i++) {
        const outcomes = await Promise.all(
          drivers.map((driver, k) => apply(driver, { name, add: [documentOf("a", `1.0.${i}`, `text ${k}\n`)] })),
        );
        expect(outcomes.filter((o) => o.status === "done").length).toBe(1);
        expect(outcomes.filter((o) => o.status === "exists").length).toBe(7);
        const winner = outcomes.findIndex((o) => o.status === "done");
        const answer = await ask(open(path), "a", `1.0.${i}`);
        expect(answer).toMatchObject({ document: { text: documentOf("a", `1.0.${i}`, `text ${winner}\n`).text } });
      }
      expect(tree(path).filter((file) => file.includes(".tmp-") || file.includes(".claim-"))).toEqual([]);
    }
  });

  it("a claim that was left behind is completed by the next writer", async () => {
    const path = newPath();
    let dead = false;
    const io = watched(nodeIo, (name, args) => {
      if (name === "rename" && String(args[0]).includes(".claim-")) dead = true;
      if (dead) throw Object.assign(new Error("dead"), { code: "EDEAD" });
    });
    const name = parseName("a");
    const add = [documentOf("a", "1.0.0")];
    const outcome = await apply(open(path, { io, hardLinks: "never" }), { name, add });
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    const next = open(path, { hardLinks: "never" });
    expect(await ask(next, "a", "1.0.0")).toMatchObject({ status: "absent" });
    expect(await apply(next, { name, add: [documentOf("a", "1.0.0", "other\n")] })).toMatchObject({
      status: "exists",
      existing: { text: add[0]?.text },
    });
  });
});

describe("a reservation of a writer that died", () => {
  it.each(["auto", "never"] as const)(
    "is completed by the next that looks at the head, hard links: %s",
    async (hardLinks) => {
      const path = newPath();
      const name = parseName("a");
      await apply(open(path, { hardLinks }), { name, add: [documentOf("a", "1.0.0")] });
      let announced = false;
      const io = watched(nodeIo, (call, args) => {
        if (announced && (call === "link" || call === "rename" || call === "unlink")) {
          throw Object.assign(new Error("dead"), { code: "EDEAD" });
        }
        if (/\/000000000001\.json$/.test(String(args[1]))) announced = true;
      });
      await apply(open(path, { hardLinks, io }), { name, guard: null, add: [documentOf("a", "1.1.0")] });
      const driver = open(path, { hardLinks });
      const before = await ask(driver, "a", "head");
      expect(before).toMatchObject({ status: "head", head: { latest: "1.0.0" } });
      // Old temporary files are cleared away, but not this one.
      const { findings } = await driver.repair({ repair: ["temp"], minTempAge: -1, at: AT });
      expect(findings.filter((finding) => finding.path?.startsWith("a/.tmp-"))).toEqual([]);
      // It was decided before 1.1.0 came to be seen, so it must be decided again.
      const revision = before.status === "head" ? before.head.revision : null;
      const late = await apply(driver, { name, guard: revision, add: [documentOf("a", "1.2.0")] });
      expect(late).toEqual({ status: "conflict", added: false });
      expect(await ask(driver, "a", "1.1.0")).toMatchObject({ status: "found" });
      expect(await ask(driver, "a", "head")).toMatchObject({ head: { latest: "1.1.0" } });
      expect(await label(driver, "a", "1.1.0")).toMatchObject({ status: "done" });
    },
  );
});

it("a link that stands where a version belongs is never followed or replaced", async () => {
  const path = newPath();
  drop(path, { "a/v1.1.0.md": "text\n" });
  symlinkSync("v1.1.0.md", join(path, "prompts/a/v1.0.0.md"));
  const outcome = await apply(open(path), { name: parseName("a"), add: [documentOf("a", "1.0.0")] });
  expect(outcome).toMatchObject({ status: "failed", error: { code: "CORRUPT" } });
  expect(readlinkSync(join(path, "prompts/a/v1.0.0.md"))).toBe("v1.1.0.md");
});
