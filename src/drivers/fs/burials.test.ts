import { describe, expect, it } from "vitest";
import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { parseVersion } from "../../semver.ts";
import { askOf, commitOf, headOf, tombstoneOf } from "../../testing/builders.ts";
import { type FsIo, nodeIo } from "./io.ts";
import { bench } from "./support.test.ts";

const { path: newPath, open } = bench();

type Move = "rename" | "link";

/** Stops right before the first call that matches, until it is told to go on. */
function stalled(call: Move, matches: (from: string, to: string) => boolean) {
  let reach = () => {};
  let go = () => {};
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const gate = new Promise<void>((resolve) => (go = resolve));
  let armed = true;
  const moved = async (from: string, to: string) => {
    if (armed && matches(from, to)) {
      armed = false;
      reach();
      await gate;
    }
    return await nodeIo.async[call](from, to);
  };
  const io: FsIo = { sync: nodeIo.sync, async: { ...nodeIo.async, [call]: moved } };
  return { io, reached, go };
}

const overFirst = (_: string, to: string) => to.endsWith("/v1.0.0.md");
const toHead = (_: string, to: string) => /\/\d+\.json$/.test(to);

async function stocked() {
  const path = newPath();
  const registry = new PromptRegistry(open(path));
  for (const version of ["1.0.0", "1.1.0"]) await registry.storePrompt({ name: "a", version, text: `${version}\n` });
  const [answer] = await open(path).read([askOf("a", "1.0.0")]);
  const text = answer?.status === "found" ? answer.document.text : "";
  const name = parseName("a");
  const version = parseVersion("1.0.0");
  const document = { name, version, text, digest: openStored(text, { name, version }).digest };
  const restore = (of = registry) => of.restoreVersion({ name: "a", version: "1.0.0", text });
  const remove = (of = registry) => of.deleteVersion("a", "1.0.0");
  const through = (io: FsIo) => new PromptRegistry(open(path, { mode: "server", io }));
  const expectThere = async () => {
    const after = new PromptRegistry(open(path));
    expect(await after.getPrompt("a@1.0.0", { status: true })).toMatchObject({ text: "1.0.0\n" });
    expect((await after.verify()).problems).toEqual([]);
    expect((await after.doctor({ fix: true, minTempAge: 0 })).findings).toEqual([]);
  };
  const expectGone = async () => {
    const after = new PromptRegistry(open(path));
    await expect(after.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await after.verify()).problems).toEqual([]);
    expect((await after.doctor({ fix: true, minTempAge: 0 })).findings).toEqual([]);
  };
  return { registry, driver: open(path), document, restore, remove, through, expectThere, expectGone };
}

describe("a remover that is stalled between its last look and its rename", () => {
  it("buries nothing that was restored in between", async () => {
    const { restore, remove, through, expectThere } = await stocked();
    const { io, reached, go } = stalled("rename", overFirst);
    const removing = remove(through(io));
    await reached;
    expect(await restore()).toMatchObject({ status: "changed" });
    go();
    expect(await removing).toMatchObject({ status: "removed" });
    await expectThere();
  });

  it("nor where it comes to it while the restore is about to move the head: that puts it back", async () => {
    const { registry, restore, remove, through, expectThere } = await stocked();
    const remover = stalled("rename", overFirst);
    const removing = remove(through(remover.io));
    await remover.reached;
    const restorer = stalled("link", toHead);
    const restoring = restore(through(restorer.io));
    await restorer.reached;
    remover.go();
    expect(await removing).toMatchObject({ status: "removed" });
    await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "NOT_FOUND" });
    restorer.go();
    expect(await restoring).toMatchObject({ status: "changed" });
    await expectThere();
  });

  it("nor where it comes to it after the restore looked, and before that is committed: it is planned anew", async () => {
    const { driver, restore, remove, through, expectThere } = await stocked();
    const { io, reached, go } = stalled("rename", overFirst);
    const removing = remove(through(io));
    await reached;
    const late: typeof driver = {
      ...driver,
      async commit(commit, op) {
        go();
        await removing;
        return await driver.commit(commit, op);
      },
    };
    expect(await restore(new PromptRegistry(late))).toMatchObject({ status: "changed" });
    await expectThere();
  });

  it("goes on where the version was restored and removed again", async () => {
    const { restore, remove, through, expectGone } = await stocked();
    const { io, reached, go } = stalled("rename", overFirst);
    const removing = remove(through(io));
    await reached;
    await restore();
    await remove();
    go();
    expect(await removing).toMatchObject({ status: "removed" });
    await expectGone();
  });
});

describe("a restorer that is stalled between its last look and its rename", () => {
  it("brings nothing back that was removed again in between", async () => {
    const { driver, document, restore, remove, through, expectGone } = await stocked();
    const remover = stalled("rename", overFirst);
    const removing = remove(through(remover.io));
    await remover.reached;
    const moving = stalled("link", toHead);
    let writes = 0;
    // Its first rename over the version is the one that puts it back after the head was moved.
    const back = stalled("rename", (from, to) => overFirst(from, to) && ++writes === 1);
    const io: FsIo = { sync: nodeIo.sync, async: { ...back.io.async, link: moving.io.async.link } };
    const restoring = restore(through(io));
    await moving.reached;
    remover.go();
    await removing;
    moving.go();
    await back.reached;
    // As one planned it that looked while the document was still there.
    const [state] = await driver.read([askOf("a", "head")]);
    const held = state?.status === "head" ? state.head.revision : null;
    const next = headOf({ yanked: { "1.0.0": { at: "2026-01-01T00:00:00.000Z", removed: true } } });
    const head = { expect: held, next, entries: [] };
    const [outcome] = await driver.commit(commitOf({ name: document.name, head, remove: [tombstoneOf(document)] }));
    expect(outcome).toMatchObject({ status: "done" });
    back.go();
    await restoring;
    await expectGone();
  });
});
