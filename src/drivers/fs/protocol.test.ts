import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import type { Outcome, StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import { commitOf, documentOf, headOf } from "../../testing/builders.ts";
import { nodeIo, watched } from "./io.ts";
import { bench, counting, drop, settle, tree } from "./support.test.ts";

const { path: newPath, open } = bench();

async function put(driver: StorageDriver, name: string, ...versions: string[]): Promise<Outcome> {
  const add = versions.map((version) => documentOf(name, version));
  return (await driver.commit(commitOf({ name: parseName(name), add })))[0] as Outcome;
}

const exact = (name: string, version: string) => ({
  name: parseName(name),
  selector: { kind: "version" as const, version: parseVersion(version) },
});
const latest = (name: string) => ({ name: parseName(name), selector: { kind: "latest" as const } });

describe.each(["embedded", "server"] as const)("the store protocol, %s", (mode) => {
  it("syncs twice for a new version, three times for a new prompt, once more for each new level", async () => {
    const { io, calls, reset } = counting();
    const driver = open(newPath(), { io, mode });
    await put(driver, "first", "1.0.0");
    reset();
    expect(await put(driver, "triage", "1.0.0")).toMatchObject({ status: "done" });
    expect(calls.fsync).toBe(3);
    reset();
    expect(await put(driver, "triage", "1.1.0")).toMatchObject({ status: "done" });
    expect(calls.fsync).toBe(2);
    expect(calls.link).toBe(1);
    reset();
    expect(await put(driver, "a/b", "1.0.0")).toMatchObject({ status: "done" });
    expect(calls.fsync).toBe(4);
  });

  it("syncs each document and each folder once for many prompts", async () => {
    const { io, calls, reset } = counting();
    const driver = open(newPath(), { io, mode });
    await put(driver, "first", "1.0.0");
    reset();
    const names = Array.from({ length: 50 }, (_, i) => `p${i}`);
    const outcomes = await driver.commit(
      commitOf(names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] }))),
    );
    expect(outcomes.every((o) => o.status === "done")).toBe(true);
    expect(calls.fsync).toBe(50 + 50 + 1);
    reset();
    await put(driver, "first", ...Array.from({ length: 50 }, (_, i) => `2.0.${i}`));
    expect(calls.fsync).toBe(50 + 1);
  });

  it("of many prompts, names every document before the first of their folders is synced", async () => {
    const path = newPath();
    const log: string[] = [];
    const driver = open(path, { mode, io: watched(nodeIo, (name) => void log.push(name)) });
    const names = Array.from({ length: 40 }, (_, i) => `p${i}`);
    const add = (version: string) =>
      driver.commit(commitOf(names.map((name) => ({ name: parseName(name), add: [documentOf(name, version)] }))));
    await add("1.0.0");
    log.length = 0;
    expect((await add("1.1.0")).every((o) => o.status === "done")).toBe(true);
    const syncsBefore = log.slice(0, log.lastIndexOf("link")).filter((name) => name === "fsync").length;
    expect(log.filter((name) => name === "fsync").length).toBe(80);
    expect(syncsBefore).toBe(40);
  });

  it("leaves files, a link and nothing else, with the mode that the umask gives", async () => {
    const path = newPath();
    const driver = open(path, { mode });
    await put(driver, "support/triage", "1.0.0");
    await put(driver, "support/triage", "1.0.1-rc.1");
    await put(driver, "support/triage", "0.9.0");
    const folder = join(path, "prompts/support/triage");
    expect(readlinkSync(join(folder, "latest.md"))).toBe("v1.0.0.md");
    expect(readFileSync(join(folder, "v1.0.0.md"), "utf8")).toBe(documentOf("support/triage", "1.0.0").text);
    expect(tree(path).filter((f) => !f.startsWith("."))).toEqual([
      "support",
      "support/triage",
      "support/triage/latest.md",
      "support/triage/v0.9.0.md",
      "support/triage/v1.0.0.md",
      "support/triage/v1.0.1-rc.1.md",
    ]);
    expect(statSync(join(folder, "v1.0.0.md")).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it("says exists only after the bytes that are there were synced", async () => {
    const { io, calls, reset } = counting();
    const driver = open(newPath(), { io, mode });
    await put(driver, "a", "1.0.0");
    reset();
    expect(await put(driver, "a", "1.0.0")).toMatchObject({ status: "exists" });
    // The new temporary file, the file that is there, and the folder.
    expect(calls.fsync).toBe(3);
  });
});

describe("latest.md", () => {
  it("is there at every instant while it is swapped", async () => {
    const path = newPath();
    const driver = open(path);
    await put(driver, "a", "1.0.0");
    const code = `
      const { readFileSync } = require("node:fs");
      const { parentPort, workerData } = require("node:worker_threads");
      let stop = false, reads = 0;
      parentPort.on("message", () => { stop = true; });
      const loop = () => {
        for (let i = 0; i < 200; i++) {
          try { readFileSync(workerData); reads++; } catch (e) { parentPort.postMessage(String(e)); process.exit(1); }
        }
        if (stop) { parentPort.postMessage(reads); process.exit(0); } else setImmediate(loop);
      };
      loop();`;
    const worker = new Worker(code, { eval: true, workerData: join(path, "prompts/a/latest.md") });
    const said = new Promise((resolve) => worker.once("message", resolve));
    for (let i = 1; i <= 100; i++) {
      await put(driver, "a", `1.0.${i}`);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    worker.postMessage("stop");
    expect(await said).toBeGreaterThan(0);
  });

  it("shows the highest version after a swap that came too late", async () => {
    const path = newPath();
    const other = open(path);
    let armed = true;
    // Another writer publishes a higher version just before our link is swapped.
    const io = watched(nodeIo, (name, args) => {
      if (!armed || name !== "rename" || !String(args[1]).endsWith("/latest.md")) return;
      armed = false;
      symlinkSync("v1.0.0.md", join(path, "prompts/a/x"));
      renameSync(join(path, "prompts/a/x"), join(path, "prompts/a/latest.md"));
      writeFileSync(join(path, "prompts/a/v3.0.0.md"), documentOf("a", "3.0.0").text);
    });
    await put(other, "a", "1.0.0");
    expect(await put(open(path, { io }), "a", "2.0.0")).toMatchObject({ status: "done" });
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v3.0.0.md");
  });

  it("is mended by the next version, though a lower one, where who wrote the first head did not come to it", async () => {
    const path = newPath();
    const name = parseName("a");
    await put(open(path), "a", "1.0.0", "2.0.0");
    const io = watched(nodeIo, (call) => {
      if (call === "symlink") throw Object.assign(new Error("no"), { code: "EIO" });
    });
    const next = headOf({ yanked: { "2.0.0": { at: "2026-01-01T00:00:00.000Z" } } });
    const head = { expect: null, next, entries: [] };
    const [yanked] = await open(path, { io }).commit(commitOf({ name, head }));
    expect(yanked).toEqual({ status: "done", warnings: ["pointerPending"] });
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v2.0.0.md");
    expect(await put(open(path), "a", "1.1.0")).toMatchObject({ status: "done", head: { latest: "1.1.0" } });
    expect(readlinkSync(join(path, "prompts/a/latest.md"))).toBe("v1.1.0.md");
  });

  it("that can't be written leaves the store done, with a warning", async () => {
    const path = newPath();
    const io = watched(nodeIo, (name) => {
      if (name === "symlink") throw Object.assign(new Error("no"), { code: "EIO" });
    });
    expect(await put(open(path, { io }), "a", "1.0.0")).toEqual({ status: "done", warnings: ["pointerPending"] });
    expect((await open(path).read([latest("a")]))[0]).toMatchObject({
      status: "found",
      document: { version: "1.0.0" },
    });
  });
});

describe("reads", () => {
  it("give the same object while nothing changed, and another after any change", async () => {
    const path = newPath();
    const driver = open(path);
    await put(driver, "a", "1.0.0");
    await settle();
    for (const ask of [exact("a", "1.0.0"), latest("a")]) {
      const first = driver.peek(ask);
      expect(first).toMatchObject({ status: "found" });
      expect(driver.peek(ask)).toBe(first);
      expect((await driver.read([ask]))[0]).toBe(first);
    }
    const before = driver.peek(exact("a", "1.0.0"));
    writeFileSync(join(path, "prompts/a/v1.0.0.md"), "by hand\n");
    expect(driver.peek(exact("a", "1.0.0"))).toMatchObject({ document: { text: "by hand\n" } });
    expect(driver.peek(exact("a", "1.0.0"))).not.toBe(before);
    await put(open(path), "a", "1.1.0");
    expect(driver.peek(latest("a"))).toMatchObject({ document: { version: "1.1.0" } });
  });

  it("of a remembered latest cost two looks, of an exact version one", async () => {
    const { io, calls, reset } = counting();
    const driver = open(newPath(), { io });
    await put(driver, "a", "1.0.0");
    await settle();
    driver.peek(latest("a"));
    driver.peek(exact("a", "1.0.0"));
    reset();
    driver.peek(latest("a"));
    expect(calls).toEqual({ lstat: 2 });
    reset();
    driver.peek(exact("a", "1.0.0"));
    expect(calls).toEqual({ lstat: 1 });
  });

  it("never trust a folder that was changed just now", async () => {
    const path = newPath();
    const driver = open(path);
    await put(driver, "a", "1.0.0");
    for (let i = 1; i < 50; i++) {
      writeFileSync(join(path, `prompts/a/v1.0.${i}.md`), `text ${i}\n`);
      expect(driver.peek(latest("a"))).toMatchObject({ document: { version: `1.0.${i}` } });
    }
  });

  it("are answered by what is there, whatever stands in the slot", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "-> ../../../secret", "a/v1.0.1.md": "fine\n" });
    mkdirSync(join(path, "prompts/a/v1.0.2.md"));
    writeFileSync(join(path, "prompts/a/v1.0.3.md"), Buffer.from([0x61, 0xff, 0x0a]));
    writeFileSync(join(path, "prompts/a/v1.0.4.md"), Buffer.alloc(3 * 2 ** 20, 0x61));
    writeFileSync(join(path, "../secret"), "secret\n", { flag: "w" });
    const driver = open(path);
    for (const version of ["1.0.0", "1.0.2", "1.0.3", "1.0.4"]) {
      await expect(driver.read([exact("a", version)])).rejects.toMatchObject({ code: "CORRUPT" });
      expect(driver.peek(exact("a", version))).toBeUndefined();
      expect(await put(driver, "a", version)).toMatchObject({ status: "failed", error: { code: "CORRUPT" } });
    }
    expect((await driver.read([exact("a", "1.0.1")]))[0]).toMatchObject({ status: "found" });
  });

  it("of a registry that is not there answer absent and make nothing", async () => {
    const path = newPath();
    const driver = open(path);
    expect(await driver.read([latest("a"), exact("a", "1.0.0")])).toEqual([{ status: "absent" }, { status: "absent" }]);
    expect(await driver.listPrompts({ limit: 10 })).toEqual({ items: [] });
    expect((await driver.check()).ok).toBe(true);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe("a folder that was swapped for a symbolic link", () => {
  const outside = newPath();
  mkdirSync(join(outside, "triage"), { recursive: true });
  writeFileSync(join(outside, "triage/v9.0.0.md"), "outside\n");

  it("is neither read nor written through", async () => {
    const path = newPath();
    const driver = open(path);
    await put(driver, "support/triage", "1.0.0");
    rmSync(join(path, "prompts/support"), { recursive: true });
    symlinkSync(outside, join(path, "prompts/support"));
    for (const one of [driver, open(path)]) {
      await expect(one.read([exact("support/triage", "9.0.0")])).rejects.toMatchObject({ code: "FORBIDDEN" });
      await expect(one.read([latest("support/triage")])).rejects.toMatchObject({ code: "FORBIDDEN" });
      expect(await put(one, "support/triage", "1.0.1")).toMatchObject({
        status: "failed",
        error: { code: "FORBIDDEN" },
      });
      expect(await one.listPrompts({ limit: 10 })).toEqual({ items: [] });
    }
    expect(statSync(join(outside, "triage/v1.0.1.md"), { throwIfNoEntry: false })).toBeUndefined();
  });

  it.runIf(process.platform === "linux")("leads no write out at any call in between", async () => {
    for (let nth = 1; nth < 60; nth++) {
      const path = newPath();
      await put(open(path), "support/triage", "1.0.0");
      let count = 0;
      const io = watched(nodeIo, () => {
        if (++count !== nth) return;
        renameSync(join(path, "prompts/support/triage"), join(path, "moved"));
        symlinkSync(join(outside, "triage"), join(path, "prompts/support/triage"));
      });
      const outcome = await put(open(path, { io }), "support/triage", "1.0.1").catch((error: unknown) => error);
      expect(outcome).toBeDefined();
      expect(statSync(join(outside, "triage/v1.0.1.md"), { throwIfNoEntry: false })).toBeUndefined();
      expect(statSync(join(outside, "triage/latest.md"), { throwIfNoEntry: false })).toBeUndefined();
      if (count < nth) break;
    }
  });
});
