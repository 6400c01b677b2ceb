import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type S3Native, type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { askOf, commitOf, documentOf, headOf, tombstoneOf } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { BUCKET, clientOf, optionsOf, type S3Place } from "../support/s3-suite.ts";

let fake: FakeS3;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
let count = 0;
const fresh = () => `safety/${count++}`;
const open = (more: Partial<S3Options> = {}) => s3(optionsOf(place(), { prefix: fresh(), latestJson: false, ...more }));
const name = parseName("a");
const putsOf = (part: string) =>
  fake.calls.filter(({ operation, key }) => operation === "PutObject" && key.includes(part));

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

type Fault = (input: { readonly Key?: string }, operation: string, send: () => Promise<unknown>) => Promise<unknown>;

/** Steps between the driver and its requests. */
function meddle(driver: StorageDriver<S3Native>, fault: Fault): void {
  driver.native.client.middlewareStack.add(
    (next, context) => (args) =>
      fault(args.input as never, String(context.commandName), () => next(args)) as ReturnType<typeof next>,
    { step: "initialize", name: "meddle" },
  );
}

const answered = (status: number, Code: string) =>
  Object.assign(new Error(Code), { name: Code, Code, $metadata: { httpStatusCode: status } });

describe("what a change says of itself", () => {
  it("is unknown where one document may be there, also if another surely is not", async () => {
    const driver = await open();
    await driver.commit(commitOf({ name: parseName("first"), add: [documentOf("first", "1.0.0")] }));
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("v1.0.0.md")) throw answered(503, "SlowDown");
      // On its way, and not there yet.
      if (operation === "PutObjectCommand" && Key.endsWith("v1.1.0.md")) {
        throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
      }
      return await send();
    });
    const [outcome] = await driver.commit(
      commitOf({ name, add: [documentOf("a", "1.0.0"), documentOf("a", "1.1.0")] }),
    );
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    await driver.close();
  });

  it.each(["v1.0.0.md", "!.json"])("is unknown where a refusal can't be read back: %s", async (end) => {
    const driver = await open();
    await driver.commit(commitOf({ name: parseName("first"), add: [documentOf("first", "1.0.0")] }));
    const change =
      end === "!.json"
        ? {
            name,
            head: {
              expect: null,
              next: headOf({ deprecated: { at: "2026-11-24T00:00:00.000Z", message: "m" } }),
              entries: [],
            },
          }
        : { name, add: [documentOf("a", "1.0.0")] };
    let refused = false;
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith(end)) {
        await send();
        refused = true;
        throw answered(412, "PreconditionFailed");
      }
      if (refused) throw answered(403, "AccessDenied");
      return await send();
    });
    const [outcome] = await driver.commit(commitOf(change));
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    await driver.close();
  });
});

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

describe("a writer whose store does not keep conditions", () => {
  it("writes nothing any more when its turn is over, also if it was aborted", async () => {
    const driver = await open({ conditionalWrites: "single-writer" });
    const stop = new AbortController();
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("v1.0.0.md")) {
        const reply = await send();
        setTimeout(() => stop.abort(), 20);
        return reply;
      }
      if (Key.endsWith("!.json")) await sleep(60);
      return await send();
    });
    const [outcome] = await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }), { signal: stop.signal });
    expect(outcome).toMatchObject({ status: "failed", error: { outcome: "unknown" } });
    const { length } = fake.calls;
    await sleep(300);
    expect(fake.calls.slice(length)).toEqual([]);
    await driver.close();
  });

  it("can be told to wait no longer for its turn", async () => {
    const driver = await open({ conditionalWrites: "single-writer" });
    let through = () => {};
    const held = new Promise<void>((resolve) => {
      through = resolve;
    });
    meddle(driver, async (_, __, send) => {
      await held;
      return await send();
    });
    const first = driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    const second = driver.commit(commitOf({ name, add: [documentOf("a", "1.1.0")] }), {
      signal: AbortSignal.timeout(50),
    });
    await expect(second).rejects.toMatchObject({ code: "TIMEOUT" });
    through();
    expect((await first)[0]?.status).toBe("done");
    await driver.close();
  });
});

describe("what is read", () => {
  it("of a prompt without head is never said to be unchanged when its versions are others", async () => {
    const prefix = fresh();
    const client = clientOf(place());
    const drop = (version: string) =>
      client.send(
        new PutObjectCommand({
          Bucket: BUCKET,
          Key: `${prefix}/prompts/a/v${version}.md`,
          Body: documentOf("a", version).text,
        }),
      );
    const reader = await open({ prefix, readOnly: true });
    await drop("1.0.0");
    const [first] = await reader.read([askOf("a", "latest")]);
    expect(first).toMatchObject({ status: "found", document: { version: "1.0.0" } });
    const known = (first as { revision: string }).revision;
    expect(await reader.read([{ ...askOf("a", "latest"), known }])).toMatchObject([{ status: "unchanged" }]);
    await drop("2.0.0");
    const [second] = await reader.read([{ ...askOf("a", "latest"), known }]);
    expect(second).toMatchObject({ status: "found", document: { version: "2.0.0" } });
    await reader.close();
    client.destroy();
  });

  it("is no page of a portal", async () => {
    const portal = createServer((_, reply) => {
      reply.writeHead(200, { "content-type": "text/html", etag: '"x"' }).end("<html>Sign in</html>");
    });
    await new Promise<void>((resolve) => portal.listen(0, "127.0.0.1", resolve));
    const { port } = portal.address() as AddressInfo;
    const driver = await open({ endpoint: `http://127.0.0.1:${port}` });
    for (const selector of ["1.0.0", "latest"]) {
      await expect(driver.read([askOf("a", selector)])).rejects.toMatchObject({
        code: "UNAVAILABLE",
        outcome: "temporary",
      });
    }
    await expect(driver.listPrompts({ limit: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await driver.close();
    portal.closeAllConnections();
    await new Promise((resolve) => portal.close(resolve));
  });

  it("is not listed for ever where a store begins each page with the last key of the one before", async () => {
    const driver = await open();
    await driver.commit(commitOf(["a", "b"].map((one) => ({ name: parseName(one), add: [documentOf(one, "1.0.0")] }))));
    meddle(driver, async (input, operation, send) => {
      const result = (await send()) as { output: { Contents?: unknown[] } };
      if (operation !== "ListObjectsV2Command") return result;
      const { StartAfter } = input as { StartAfter?: string };
      const again = StartAfter === undefined ? result.output.Contents : [{ Key: StartAfter, ETag: '"x"' }];
      return { ...result, output: { ...result.output, Contents: again, KeyCount: again?.length, IsTruncated: true } };
    });
    await expect(driver.changes({ limit: 10 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await driver.close();
  });

  it("goes on behind keys that are none of a registry", async () => {
    const prefix = fresh();
    const driver = await open({ prefix });
    await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    const client = clientOf(place());
    for (const key of ["heads/", "heads/$folder$"]) {
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${prefix}/${key}`, Body: Buffer.alloc(0) }));
    }
    expect((await driver.listPrompts({ limit: 1 })).items).toEqual([{ name: "a" }]);
    expect((await driver.listPrompts({ limit: 10, prefix: "a!" })).items).toEqual([]);
    await driver.close();
    client.destroy();
  });
});

describe("the feed", () => {
  it("tells of a removal again when the tombstone is in place", async () => {
    const driver = await open();
    await driver.commit(commitOf({ name, add: [documentOf("a", "1.0.0"), documentOf("a", "1.1.0")] }));
    const before = (await driver.changes({ limit: 10 })).cursor as string;
    let seen = before;
    meddle(driver, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("v1.0.0.md")) {
        const page = await driver.changes({ cursor: before, limit: 10 });
        expect(page.items).toEqual([{ name: "a" }]);
        seen = page.cursor as string;
      }
      return await send();
    });
    const tombstone = tombstoneOf(documentOf("a", "1.0.0"));
    const yank = { at: "2026-11-24T00:00:00.000Z", removed: true as const };
    const head = { expect: null, next: headOf({ yanked: { "1.0.0": yank } }), entries: [] };
    const [outcome] = await driver.commit(commitOf({ name, head, remove: [tombstone] }));
    expect(outcome?.status).toBe("done");
    expect(seen).not.toBe(before);
    expect((await driver.changes({ cursor: seen, limit: 10 })).items).toEqual([{ name: "a" }]);
    await driver.close();
  });

  it("tells of a version whose writer was stopped before its head, when somebody relies on it", async () => {
    const prefix = fresh();
    const [stopped, other] = await Promise.all([open({ prefix }), open({ prefix })]);
    await other.commit(commitOf({ name, add: [documentOf("a", "2.0.0")] }));
    await other.read([askOf("a", "latest")]);
    const { cursor = "" } = await other.changes({ limit: 10 });
    meddle(stopped, async ({ Key = "" }, operation, send) => {
      if (operation === "PutObjectCommand" && Key.endsWith("!.json")) return await new Promise(() => {});
      return await send();
    });
    const stop = { signal: AbortSignal.timeout(200) };
    await stopped.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }), stop);
    const [outcome] = await other.commit(commitOf({ name, add: [documentOf("a", "1.0.0")] }));
    expect(outcome?.status).toBe("exists");
    expect((await other.changes({ cursor, limit: 10 })).items).toEqual([{ name: "a" }]);
    await other.close();
  });
});

describe("the proof that conditions are kept", () => {
  const publish = (driver: StorageDriver, version: string) =>
    driver.commit(commitOf({ name, add: [documentOf("a", version)] }));
  const proves = async (prefix: string, version: string) => {
    fake.clearCalls();
    const driver = await open({ prefix });
    await publish(driver, version);
    await driver.close();
    return putsOf(`${prefix}/.probe/`).length > 0;
  };

  it("is believed where it was made, and not where it was copied, or when it is of another day", async () => {
    const prefix = fresh();
    expect(await proves(prefix, "1.0.0")).toBe(true);
    expect(await proves(prefix, "1.0.1")).toBe(false);
    const client = clientOf(place());
    const key = `${prefix}/.probe.json`;
    const proof = JSON.parse(fake.object(BUCKET, key)?.bytes.toString() ?? "");
    for (const hours of [-25, -2, 2, 25]) {
      const at = new Date(Date.now() + hours * 3_600_000).toISOString();
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: JSON.stringify({ ...proof, at }) }));
      expect(await proves(prefix, `2.0.${hours + 25}`)).toBe(true);
    }
    client.destroy();
  });

  it("is a race also where only one request at once is wanted", async () => {
    fake.set({ dishonest: "serial" });
    try {
      const driver = await open({ concurrency: 1 });
      await expect(publish(driver, "1.0.0")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await driver.close();
    } finally {
      fake.set({ dishonest: undefined });
    }
  });

  it.each([0, 16])("is not refuted by a store that is out of order from its request %i on", async (from) => {
    const driver = await open();
    let puts = 0;
    meddle(driver, async (_, operation, send) => {
      if (operation === "PutObjectCommand" && puts++ >= from) throw answered(500, "InternalError");
      return await send();
    });
    await expect(publish(driver, "1.0.0")).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    await driver.close();
  });

  it("is taken back by a check that finds that they are not", async () => {
    const prefix = fresh();
    await proves(prefix, "1.0.0");
    fake.set({ dishonest: "ignores" });
    try {
      const driver = await open({ prefix });
      expect((await driver.check()).ok).toBe(false);
      await driver.close();
      const later = await open({ prefix });
      await expect(publish(later, "1.0.1")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await later.close();
    } finally {
      fake.set({ dishonest: undefined });
    }
  });
});

it("the cause of an error holds no credentials", async () => {
  const { inspect } = await import("node:util");
  const session = fake.createSession({ policies: [], expiresAt: Date.now() + 3_600_000 });
  const driver = await open({ credentials: session });
  const error = await driver.read([askOf("a", "1.0.0")]).catch((thrown: unknown) => thrown);
  const all = inspect(error, { depth: 30, showHidden: true, maxStringLength: null, maxArrayLength: null });
  expect(all).toContain("AccessDenied");
  for (const secret of [session.sessionToken as string, session.accessKeyId, session.secretAccessKey]) {
    expect(all).not.toContain(secret);
  }
  await driver.close();
});
