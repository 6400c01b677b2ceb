import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { parseName } from "../../src/names.ts";
import { askOf, commitOf, documentOf, headOf, tombstoneOf } from "../../src/testing/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { meddle } from "../support/s3-meddle.ts";
import { BUCKET, clientOf, optionsOf, type S3Place } from "../support/s3-suite.ts";

let fake: FakeS3;
const place = (): S3Place => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
let count = 0;
const fresh = () => `reads/${count++}`;
const open = (more: Partial<S3Options> = {}) => s3(optionsOf(place(), { prefix: fresh(), latestJson: false, ...more }));
const name = parseName("a");

beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

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
