import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Outcome, StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { commitOf, documentOf } from "../../testing/builders.ts";
import { type FsIo, nodeIo, watched } from "./io.ts";
import { bench, counting } from "./support.test.ts";

const { path: newPath, open } = bench();

async function put(driver: StorageDriver, name: string, version = "1.0.0"): Promise<Outcome> {
  return (await driver.commit(commitOf({ name: parseName(name), add: [documentOf(name, version)] })))[0] as Outcome;
}

/** Stops at the first call that matches, until it is told to go on. */
function held(matches: (name: string, path: string) => boolean): {
  io: FsIo;
  reached: Promise<void>;
  go: () => void;
} {
  let reach = () => {};
  let go = () => {};
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const gate = new Promise<void>((resolve) => (go = resolve));
  let armed = true;
  const open: FsIo["async"]["open"] = async (path, flags, mode) => {
    if (armed && matches("open", path)) {
      armed = false;
      reach();
      await gate;
    }
    return await nodeIo.async.open(path, flags, mode);
  };
  return { io: { sync: nodeIo.sync, async: { ...nodeIo.async, open } }, reached, go };
}

describe("a remover that is held up between its head and its tombstone", () => {
  it("does not bury what somebody has restored and labelled since", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path));
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: `${version}\n` });
    const [answer] = await open(path).read([
      { name: parseName("a"), selector: { kind: "version", version: documentOf("a", "1.0.0").version } },
    ]);
    const text = answer?.status === "found" ? answer.document.text : "";
    let writes = 0;
    // Its second file is the tombstone; the first is the head.
    const { io, reached, go } = held((_, at) => at.includes("/.tmp-") && ++writes === 2);
    const removing = new PromptRegistry(open(path, { mode: "server", io })).deleteVersion("a", "1.0.0");
    await reached;
    await registry.restoreVersion({ name: "a", version: "1.0.0", text });
    await registry.setLabel("a", "production", "1.0.0");
    go();
    expect(await removing).toMatchObject({ status: "removed" });
    const after = new PromptRegistry(open(path));
    expect(await after.getPrompt("a@production")).toMatchObject({ version: "1.0.0", text: "1.0.0\n" });
    expect((await after.verify()).problems).toEqual([]);
  });

  it("finishes where the head has moved on and still calls the version removed", async () => {
    const path = newPath();
    const registry = new PromptRegistry(open(path));
    for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: `${version}\n` });
    let writes = 0;
    const { io, reached, go } = held((_, at) => at.includes("/.tmp-") && ++writes === 2);
    const removing = new PromptRegistry(open(path, { mode: "server", io })).deleteVersion("a", "1.0.0");
    await reached;
    await registry.setLabel("a", "production", "1.1.0");
    go();
    expect(await removing).toMatchObject({ status: "removed" });
    const after = new PromptRegistry(open(path));
    await expect(after.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await after.verify()).problems).toEqual([]);
  });
});

describe.each(["embedded", "server"] as const)("folders that somebody made who did not sync them, %s", (mode) => {
  const dying = (): FsIo =>
    watched(nodeIo, (name) => {
      if (name === "fsync") throw Object.assign(new Error("killed"), { code: "EIO" });
    });

  /** Paths below the prompts that were synced by a store. */
  async function synced(path: string, store: (driver: StorageDriver) => Promise<Outcome>): Promise<string[]> {
    const found: string[] = [];
    const io = watched(nodeIo, (name, [fd]) => {
      if (name === "fsync") found.push(nodeIo.sync.readlink(`/proc/self/fd/${fd}`));
    });
    expect(await store(open(path, { mode, io }))).toMatchObject({ status: "done" });
    return found.filter((file) => !file.includes("/.tmp-")).map((file) => file.slice(join(path, "prompts").length));
  }

  it.runIf(process.platform === "linux")("are synced up to the root before anything is stored below them", async () => {
    const path = newPath();
    await put(open(path), "z");
    expect(await put(open(path, { io: dying() }), "team/x")).toMatchObject({ status: "failed" });
    expect(await synced(path, (driver) => put(driver, "team/y"))).toEqual(["/team", "", "/team/y"]);
  });

  it.runIf(process.platform === "linux")("also where the prompt's own folder is there, and empty", async () => {
    const path = newPath();
    await put(open(path), "z");
    let syncs = 0;
    // It makes team, and team/x in it, and dies before it comes to sync that.
    const io = watched(nodeIo, (name) => {
      if (name === "fsync" && ++syncs > 1) throw Object.assign(new Error("killed"), { code: "EIO" });
    });
    await put(open(path, { io }), "team/x");
    expect(await synced(path, (driver) => put(driver, "team/x"))).toEqual(["/team", "", "/team/x"]);
  });

  it("cost one sync more, once in a process", async () => {
    const path = newPath();
    await put(open(path), "team/x");
    const { io, calls, reset } = counting();
    const driver = open(path, { mode, io });
    await put(driver, "team/y");
    expect(calls.fsync).toBe(4);
    for (const name of ["team/z", "team/w"]) {
      reset();
      await put(driver, name);
      expect(calls.fsync).toBe(3);
    }
    reset();
    await put(driver, "team/z/deep/er");
    expect(calls.fsync).toBe(4);
    reset();
    await put(driver, "team/y", "1.1.0");
    expect(calls.fsync).toBe(2);
  });

  it("cost one sync more for many in one commit, however many folders they lie in", async () => {
    const path = newPath();
    for (let i = 0; i < 10; i++) await put(open(path), `team${i}/x`);
    const { io, calls } = counting();
    const driver = open(path, { mode, io });
    const names = Array.from({ length: 10 }, (_, i) => `team${i}/y`);
    await driver.commit(commitOf(names.map((name) => ({ name: parseName(name), add: [documentOf(name, "1.0.0")] }))));
    // Each document, its folder, and the folder above; and the root.
    expect(calls.fsync).toBe(31);
  });
});
