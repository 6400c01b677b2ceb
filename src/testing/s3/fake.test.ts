import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { Bucket, client, failure, get, put, server } from "../../../test/support/fake-s3-lab.ts";

describe("objects", () => {
  test("keep bytes, type, metadata and checksum", async () => {
    const Body = "héllo\r\n";
    const ChecksumSHA256 = createHash("sha256").update(Body).digest("base64");
    const more = { ContentType: "text/markdown", CacheControl: "immutable", Metadata: { digest: "x" }, ChecksumSHA256 };
    const { ETag } = await put("a b/ü+%.md", Body, more);
    const found = await client.send(new GetObjectCommand({ Bucket, Key: "a b/ü+%.md", ChecksumMode: "ENABLED" }));
    expect(await found.Body?.transformToString()).toBe(Body);
    expect(found).toMatchObject({ ...more, ETag, ServerSideEncryption: "AES256", ContentLength: 8 });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: "a b/ü+%.md" }));
    expect(head).toMatchObject({ ETag, ContentLength: 8, Metadata: { digest: "x" } });
    expect(server.counts()).toEqual({ PutObject: 1, GetObject: 1, HeadObject: 1 });
  });

  test("a wrong checksum is refused, whichever it is", async () => {
    const wrong = createHash("sha256").update("other").digest("base64");
    expect(await failure(put("a", "text", { ChecksumSHA256: wrong }))).toBe("400 BadDigest");
    const md5 = createHash("md5").update("other").digest("base64");
    expect(await failure(put("a", "text", { ContentMD5: md5 }))).toBe("400 BadDigest");
    expect(server.keys(Bucket)).toEqual([]);
  });

  test("a stream comes in chunks with a checksum behind them", async () => {
    const Body = Readable.from(Array.from({ length: 6 }, () => Buffer.from("chunk ".repeat(5000))));
    await client.send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: 180_000 }));
    expect((await get("stream")).text).toBe("chunk ".repeat(30_000));
  });

  test("a part of an object is sent where one is asked for", async () => {
    await put("a", "0123456789");
    const range = async (Range: string) => {
      const reply = await client.send(new GetObjectCommand({ Bucket, Key: "a", Range }));
      return `${await reply.Body?.transformToString()} ${reply.ContentRange}`;
    };
    expect(await range("bytes=2-4")).toBe("234 bytes 2-4/10");
    expect(await range("bytes=-3")).toBe("789 bytes 7-9/10");
    expect(await failure(range("bytes=10-"))).toBe("416 InvalidRange");
  });

  test("what is not there is told by name", async () => {
    expect(await failure(get("none"))).toBe("404 NoSuchKey");
    expect(await failure(client.send(new HeadObjectCommand({ Bucket, Key: "none" })))).toBe("404 NotFound");
    expect(await failure(client.send(new ListObjectsV2Command({ Bucket: "nobody" })))).toBe("404 NoSuchBucket");
    expect(await failure(put("k".repeat(1025), "x"))).toBe("400 KeyTooLongError");
    expect(await failure(client.send(new DeleteObjectCommand({ Bucket, Key: "none" })))).toBe("nothing failed");
  });

  test("many are deleted at once", async () => {
    for (const key of ["a", "b", "c"]) await put(key, key);
    const Objects = [{ Key: "a" }, { Key: "none" }, { Key: "c" }];
    const { Deleted, Errors } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect([Deleted?.map(({ Key }) => Key), Errors, server.keys(Bucket)]).toEqual([
      ["a", "none", "c"],
      undefined,
      ["b"],
    ]);
  });
});

describe("conditions", () => {
  test("a create-only write has one winner, and the others are told", async () => {
    const all = Array.from({ length: 16 }, (_, i) => failure(put("k", `${i}`, { IfNoneMatch: "*" })));
    const told = await Promise.all(all);
    expect(told.filter((text) => text === "nothing failed")).toHaveLength(1);
    expect(told.filter((text) => text === "412 PreconditionFailed")).toHaveLength(15);
  });

  test("losing against a write on its way is a 409 where the server is set so, and one by one a 412", async () => {
    server.set({ race: 409, latency: 20 });
    const all = Array.from({ length: 4 }, (_, i) => failure(put("k", `${i}`, { IfNoneMatch: "*" })));
    expect((await Promise.all(all)).filter((text) => text.startsWith("409 "))).toHaveLength(3);
    expect(await failure(put("k", "x", { IfNoneMatch: "*" }))).toBe("412 PreconditionFailed");
  });

  test("a replacement needs the ETag that is there, quoted or not", async () => {
    const { ETag } = await put("k", "1");
    await put("k", "2", { IfMatch: ETag });
    expect(await failure(put("k", "3", { IfMatch: ETag }))).toBe("412 PreconditionFailed");
    const { ETag: second } = await get("k");
    await put("k", "3", { IfMatch: second?.replaceAll('"', "") });
    expect((await get("k")).text).toBe("3");
    expect(await failure(put("none", "1", { IfMatch: ETag }))).toBe("404 NoSuchKey");
    expect(await failure(put("k", "1", { IfNoneMatch: ETag }))).toBe("501 NotImplemented");
  });

  test("a removal needs the ETag that is there, too", async () => {
    const { ETag } = await put("k", "1");
    await put("k", "2");
    const remove = (IfMatch?: string) => client.send(new DeleteObjectCommand({ Bucket, Key: "k", IfMatch }));
    expect(await failure(remove(ETag))).toBe("412 PreconditionFailed");
    await remove((await get("k")).ETag);
    expect(server.keys(Bucket)).toEqual([]);
    expect(await failure(remove(ETag))).toBe("404 NoSuchKey");
  });

  test("a read of what is known is a 304 without a body", async () => {
    const { ETag } = await put("k", "1");
    const again = client.send(new GetObjectCommand({ Bucket, Key: "k", IfNoneMatch: ETag }));
    expect(await failure(again)).toMatch(/^304 /);
    await put("k", "2");
    const reply = await client.send(new GetObjectCommand({ Bucket, Key: "k", IfNoneMatch: ETag }));
    expect(await reply.Body?.transformToString()).toBe("2");
  });

  test("dishonest stores are as dishonest as they are in the world", async () => {
    server.set({ dishonest: "ignores" });
    await put("k", "1", { IfNoneMatch: "*" });
    await put("k", "2", { IfNoneMatch: "*" });
    await put("k", "3", { IfMatch: "0".repeat(32) });
    expect((await get("k")).text).toBe("3");
    server.set({ dishonest: "absent" });
    await put("new", "1", { IfMatch: "0".repeat(32) });
    expect(await failure(put("new", "2", { IfMatch: "0".repeat(32) }))).toBe("412 PreconditionFailed");
    server.set({ dishonest: "serial" });
    expect(await failure(put("k", "1", { IfNoneMatch: "*" }))).toBe("412 PreconditionFailed");
    const race = await Promise.all([1, 2, 3].map((i) => failure(put("fresh", `${i}`, { IfNoneMatch: "*" }))));
    expect(race.filter((text) => text === "nothing failed").length).toBeGreaterThan(1);
  });
});

describe("listing", () => {
  test("goes by the bytes of keys, in pages, and folds what lies behind a delimiter", async () => {
    const keys = ["a!b", "a-b", "a/b", "a/c/d", "b\u{ff5e}", "b\u{1f600}", "c d+e", "z"];
    for (const key of [...keys].reverse()) await put(key, "x");
    const list = async (more: object) => {
      const { Contents, CommonPrefixes, ...rest } = await client.send(new ListObjectsV2Command({ Bucket, ...more }));
      return { keys: Contents?.map(({ Key }) => Key), prefixes: CommonPrefixes?.map(({ Prefix }) => Prefix), ...rest };
    };
    expect((await list({})).keys).toEqual(keys);
    expect((await list({ EncodingType: "url" })).keys).toHaveLength(8);
    expect(await list({ Delimiter: "/" })).toMatchObject({
      keys: ["a!b", "a-b", "b\u{ff5e}", "b\u{1f600}", "c d+e", "z"],
      prefixes: ["a/"],
      KeyCount: 7,
    });
    expect((await list({ Prefix: "a/" })).keys).toEqual(["a/b", "a/c/d"]);
    expect((await list({ StartAfter: "a/c" })).keys?.[0]).toBe("a/c/d");
    const found: unknown[] = [];
    let pages = 0;
    for (let ContinuationToken: string | undefined, more = true; more; pages++) {
      const page = await list({ MaxKeys: 3, Delimiter: "/", ContinuationToken });
      found.push(...(page.keys ?? []), ...(page.prefixes ?? []));
      more = page.IsTruncated === true;
      ContinuationToken = page.NextContinuationToken;
    }
    expect([pages, found]).toEqual([3, ["a!b", "a-b", "a/", "b\u{ff5e}", "b\u{1f600}", "c d+e", "z"]]);
  });
});
