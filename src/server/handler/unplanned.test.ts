import { describe, expect, it } from "vitest";
import { A, codeOf, NOW, world } from "../../../test/support/commit-lab.ts";
import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { documentOf, headOf, tombstoneOf } from "../../testing/builders.ts";

describe("what no registry would have planned", () => {
  async function prepared() {
    const made = await world();
    for (const version of ["1.0.0", "1.1.0"])
      await made.registry.storePrompt({ name: "a", text: documentOf("a", version).text });
    await made.registry.setLabel("a", "staging", "1.0.0");
    const state = await made.stateOf();
    const revision = state?.revision ?? null;
    const head = (next: Parameters<typeof headOf>[0], expect = revision) => ({
      expect,
      next: headOf(next),
      entries: [],
    });
    return { ...made, revision, head };
  }
  const staging = { staging: "1.0.0" };

  it("a label, or a pin, on a version that is not there, yanked or removed", async () => {
    const { one, head, stateOf } = await prepared();
    const before = await stateOf();
    const yanked = { "1.1.0": { at: NOW } };
    expect(
      codeOf(await one("promoter", { name: A, head: head({ labels: { ...staging, production: "9.9.9" } }) })),
    ).toBe("NOT_FOUND");
    expect(
      codeOf(await one("promoter", { name: A, head: head({ labels: { ...staging, production: "1.1.0" }, yanked }) })),
    ).toBe("CONFLICT");
    expect(codeOf(await one("promoter", { name: A, head: head({ labels: staging, pin: "9.9.9" }) }))).toBe("NOT_FOUND");
    expect(codeOf(await one("promoter", { name: A, head: head({ labels: staging, pin: "1.1.0", yanked }) }))).toBe(
      "CONFLICT",
    );
    expect(
      codeOf(await one("promoter", { name: A, head: head({ labels: staging, yanked: { "9.9.9": { at: NOW } } }) })),
    ).toBe("NOT_FOUND");
    expect(codeOf(await one("importer", { name: A, head: head({ labels: { ...staging, beta: "9.9.9" } }) }))).toBe(
      "NOT_FOUND",
    );
    expect(await stateOf()).toEqual(before);
  });

  it("a tombstone under a label, without its mark, or of another digest; a mark without its tombstone", async () => {
    const { one, head, inner, stateOf } = await prepared();
    const before = await stateOf();
    const first = documentOf("a", "1.0.0");
    const second = documentOf("a", "1.1.0");
    const mark = { "1.1.0": { at: NOW, removed: true as const } };
    const forged = tombstoneOf({
      ...second,
      text: documentOf("a", "1.1.0", "other\n").text,
      digest: documentOf("a", "1.1.0", "other\n").digest,
    });
    expect(codeOf(await one("admin", { name: A, remove: [tombstoneOf(first)] }))).toBe("CONFLICT");
    expect(codeOf(await one("admin", { name: A, remove: [tombstoneOf(second)] }))).toBe("INVALID");
    expect(codeOf(await one("admin", { name: A, head: head({ labels: staging, yanked: mark }) }))).toBe("INVALID");
    expect(
      codeOf(await one("admin", { name: A, head: head({ labels: staging, yanked: mark }), remove: [forged] })),
    ).toBe("INVALID");
    expect(
      codeOf(
        await one("admin", {
          name: A,
          head: head({ labels: { staging: "1.1.0" }, yanked: mark }),
          remove: [tombstoneOf(second)],
        }),
      ),
    ).toBe("CONFLICT");
    expect(
      codeOf(
        await one("promoter", {
          name: A,
          head: head({ labels: staging, yanked: mark }),
          remove: [tombstoneOf(second)],
        }),
      ),
    ).toBe("FORBIDDEN");
    expect(await stateOf()).toEqual(before);
    const outcome = await one("admin", {
      name: A,
      head: head({ labels: staging, yanked: mark }),
      remove: [tombstoneOf(second, { by: "forger", reason: "leak" })],
    });
    expect(outcome.status).toBe("done");
    const [answer] = await inner.read([{ name: A, selector: { kind: "version", version: second.version } }]);
    const stored = answer?.status === "removed" ? openStored(answer.document.text, second) : undefined;
    expect(stored).toMatchObject({ removed: { digest: second.digest, by: "admin", at: NOW, reason: "leak" } });
  });

  it("a head of a prompt that is not there", async () => {
    const { one, registry } = await prepared();
    const name = parseName("nobody");
    const deprecated = { at: NOW, message: "x" };
    expect(
      codeOf(await one("promoter", { name, head: { expect: null, next: headOf({ deprecated }), entries: [] } })),
    ).toBe("NOT_FOUND");
    expect((await registry.listPrompts({ includeRemoved: true })).items.map((i) => i.name)).toEqual(["a"]);
  });

  it("a head that was planned on another one is a conflict, before anybody asks what it takes", async () => {
    const { one, head } = await prepared();
    expect(await one("promoter", { name: A, head: head({}, "old") })).toEqual({ status: "conflict", added: false });
    expect(codeOf(await one("reader", { name: A, head: head({}) }))).toBe("FORBIDDEN");
  });

  it("removal and restore through a registry are in the caller's name", async () => {
    const { registryOf, registry } = await prepared();
    const admin = await registryOf("admin");
    await admin.deleteVersion("a", "1.1.0", { message: "leak" });
    await admin.restoreVersion({ name: "a", version: "1.1.0", text: documentOf("a", "1.1.0").text });
    const entries = (await registry.history("a").all()).filter(({ by }) => by === "admin");
    expect(entries).toMatchObject([
      { action: "restore", by: "admin", to: "1.1.0" },
      { action: "remove", by: "admin", from: "1.1.0", message: "leak" },
    ]);
    await admin.deletePrompt("a");
    expect((await registry.listPrompts()).items).toEqual([]);
  });
});
