import { setTimeout as sleep } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf, commitOf, documentOf, headOf, tombstoneOf } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { answered, meddle } from "../support/s3-meddle.ts";
import { BUCKET, clientOf, optionsOf, type S3Place } from "../support/s3-suite.ts";

let fake: FakeS3;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
let count = 0;
const fresh = () => `burials/${count++}`;
const open = (more: Partial<S3Options> = {}) => s3(optionsOf(place(), { prefix: fresh(), latestJson: false, ...more }));
const name = parseName("a");

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

describe("a tombstone that is held up on its way", () => {
  const yank = { at: "2026-11-24T00:00:00.000Z", removed: true as const };
  const document = documentOf("a", "1.0.0");
  const removal = (expect: string | null) =>
    commitOf({
      name,
      head: { expect, next: headOf({ yanked: { "1.0.0": yank } }), entries: [] },
      remove: [tombstoneOf(document)],
    });
  const restore = async (driver: StorageDriver, expect: string) => {
    const head = { expect, next: headOf({}), entries: [] };
    return (await driver.commit(commitOf({ name, head, restore: [document] })))[0];
  };
  const isThere = async (driver: StorageDriver) => (await driver.read([askOf("a", "1.0.0")]))[0]?.status === "found";
  const burials = (prefix: string) => {
    const head = JSON.parse(String(fake.object(BUCKET, `${prefix}/heads/a!.json`)?.bytes));
    return Object.keys(head.s3.burials ?? {});
  };

  /** Loses what comes of one tombstone. @returns sends it all the same, and tells what the store said */
  async function removeWith(prefix: string, meanwhile: (send: () => Promise<unknown>) => Promise<unknown>) {
    const driver = await open({ prefix });
    await driver.commit(commitOf({ name, add: [document, documentOf("a", "1.1.0")] }));
    let late: () => Promise<unknown> = async () => {};
    let struck = false;
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (struck || operation !== "PutObjectCommand" || !Key.endsWith("v1.0.0.md")) return await send();
      struck = true;
      late = () =>
        send().catch((error: { $metadata?: { httpStatusCode?: number } }) => error.$metadata?.httpStatusCode);
      return await meanwhile(send);
    });
    const [outcome] = await driver.commit(removal(null));
    return { driver, outcome, late: () => late() };
  }
  const lost = () => Object.assign(new Error("reset"), { code: "ECONNRESET" });

  it("buries nothing that was restored: until it can't come any more, nothing is", async () => {
    const prefix = fresh();
    const { driver, outcome, late } = await removeWith(prefix, async () => {
      throw lost();
    });
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    // Somebody removes it again, which is done; the first request is still under way.
    const other = await open({ prefix });
    expect((await other.commit(removal("1")))[0]?.status).toBe("done");
    expect(await isThere(other)).toBe(false);
    const refused = await restore(other, "2");
    expect(refused).toMatchObject({ status: "failed", error: { code: "UNAVAILABLE" } });
    // It finds the tombstone, and nothing to bury.
    expect(await late()).toBe(412);
    // Three quarters of an hour later.
    const key = `${prefix}/heads/a!.json`;
    const aged = (fake.object(BUCKET, key)?.bytes.toString() ?? "").replace(/(?<="burials":.*:)\d{13}/g, (at) =>
      String(Number(at) - 45 * 60_000),
    );
    const client = clientOf(place());
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: aged }));
    client.destroy();
    expect(await restore(other, "2")).toMatchObject({ status: "done", head: { latest: "1.1.0" } });
    expect(await isThere(driver)).toBe(true);
    expect(burials(prefix)).toEqual([]);
    await Promise.all([driver.close(), other.close()]);
  });

  describe("by a machine whose clock is wrong", () => {
    afterEach(() => {
      vi.restoreAllMocks();
    });

    it.each([-90, 90])("by %d minutes, which nobody there notices, buries nothing either", async (minutes) => {
      const prefix = fresh();
      const real = Date.now.bind(Date);
      const clock = vi.spyOn(Date, "now").mockImplementation(() => real() + minutes * 60_000);
      const wrong = await open({ prefix });
      await wrong.read([askOf("a", "1.0.0")]).catch(() => {});
      await wrong.commit(commitOf({ name, add: [document, documentOf("a", "1.1.0")] }));
      let late: (() => Promise<unknown>) | undefined;
      meddle(wrong, async ({ Key = "" }, operation, send) => {
        if (late !== undefined || operation !== "PutObjectCommand" || !Key.endsWith("v1.0.0.md")) return await send();
        late = send;
        throw lost();
      });
      expect((await wrong.commit(removal(null)))[0]).toMatchObject({ error: { outcome: "unknown" } });
      clock.mockRestore();
      const other = await open({ prefix });
      expect((await other.commit(removal("1")))[0]?.status).toBe("done");
      expect(await restore(other, "2")).toMatchObject({ status: "failed", error: { code: "UNAVAILABLE" } });
      await Promise.all([wrong.close(), other.close()]);
    });
  });

  it("buries nothing of which the head alone said that it is removed, and says so no more", async () => {
    const prefix = fresh();
    const { driver, outcome, late } = await removeWith(prefix, async () => {
      throw lost();
    });
    expect(outcome).toMatchObject({ error: { outcome: "unknown" } });
    // The document is still there, so that a restore has nothing to put.
    const registry = new PromptRegistry(await open({ prefix }));
    const brought = await registry.restoreVersion({ name: "a", version: "1.0.0", text: document.text }).catch((e) => e);
    expect(brought).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    expect(brought.message).toMatch(/restore it in (?:39|40) minutes$/);
    expect(brought.context.retryAfter).toBeGreaterThan(38 * 60_000);
    // A change of something else is not held up by it.
    await registry.setLabel("a", "production", "1.1.0");
    expect(await late()).toMatchObject({ output: {} });
    expect(await isThere(driver)).toBe(false);
    // The tombstone tells that nothing can come any more.
    const again = new PromptRegistry(await open({ prefix }));
    expect(await again.restoreVersion({ name: "a", version: "1.0.0", text: document.text })).toMatchObject({
      status: "changed",
    });
    expect(await isThere(driver)).toBe(true);
    expect(burials(prefix)).toEqual([]);
    await Promise.all([driver.close(), registry.close(), again.close()]);
  });

  it("is waited for by who saw the document before it, and puts it back then", async () => {
    const prefix = fresh();
    const driver = await open({ prefix });
    await driver.commit(commitOf({ name, add: [document, documentOf("a", "1.1.0")] }));
    let begun = () => {};
    const moved = new Promise<void>((resolve) => {
      begun = resolve;
    });
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation !== "PutObjectCommand" || !Key.endsWith("v1.0.0.md")) return await send();
      begun();
      await sleep(300);
      return await send();
    });
    const removed = driver.commit(removal(null));
    await moved;
    const registry = new PromptRegistry(await open({ prefix }));
    const brought = await registry.restoreVersion({ name: "a", version: "1.0.0", text: document.text });
    expect([(await removed)[0]?.status, brought.status]).toEqual(["done", "changed"]);
    expect(await isThere(driver)).toBe(true);
    const { items } = await driver.listVersions(name, { limit: 10 });
    expect(items.map(({ version }) => version)).toEqual(["1.1.0", "1.0.0"]);
    await Promise.all([driver.close(), registry.close()]);
  });

  it("is not waited for when it was never sent, as nothing told what became of the head", async () => {
    const prefix = fresh();
    const driver = await open({ prefix });
    await driver.commit(commitOf({ name, add: [document, documentOf("a", "1.1.0")] }));
    let deaf = false;
    let isOut = true;
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (isOut && operation === "PutObjectCommand" && Key.endsWith("!.json")) {
        await send();
        deaf = true;
      }
      if (isOut && deaf) throw lost();
      return await send();
    });
    expect((await driver.commit(removal(null)))[0]).toMatchObject({ error: { outcome: "unknown" } });
    isOut = false;
    expect(burials(prefix)).toEqual(["1.0.0"]);
    expect(await isThere(driver)).toBe(true);
    expect((await driver.commit(removal("1")))[0]?.status).toBe("done");
    expect(burials(prefix)).toEqual([]);
    const other = await open({ prefix });
    expect((await restore(other, "2"))?.status).toBe("done");
    await Promise.all([driver.close(), other.close()]);
  });

  it.each(["answered", "of which the answer alone was lost", "refused, and sent again"])(
    "does not keep anybody from restoring when it was %s",
    async (how) => {
      const prefix = fresh();
      const { driver, outcome } = await removeWith(prefix, async (send) => {
        if (how === "refused, and sent again") throw answered(503, "SlowDown");
        const reply = await send();
        if (how !== "answered") throw lost();
        return reply;
      });
      let revision = "1";
      if (how === "refused, and sent again") {
        expect(outcome).toMatchObject({ status: "failed" });
        expect((await driver.commit(removal("1")))[0]?.status).toBe("done");
        revision = "2";
      } else expect(outcome?.status).toBe("done");
      const other = await open({ prefix });
      expect(await isThere(other)).toBe(false);
      expect((await restore(other, revision))?.status).toBe("done");
      expect(await isThere(other)).toBe(true);
      expect(burials(prefix)).toEqual([]);
      await Promise.all([driver.close(), other.close()]);
    },
  );
});
