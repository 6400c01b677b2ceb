import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { commitByGit, openGithub } from "../../../test/support/github-world.ts";
import { type GitHubServer, startGitHub } from "../../testing/github/index.ts";
import { askOf, documentOf } from "../../testing/index.ts";
import { ARCHIVE_LIMITS, readTarball } from "./tarball.ts";

const BLOCK = 512;

function entry(name: string, body: Uint8Array | string, type = "0", size = Buffer.byteLength(body)): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write(type, 156);
  const bytes = Buffer.from(body as Uint8Array);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

async function sizes(archive: Uint8Array, limits: Partial<typeof ARCHIVE_LIMITS> = {}): Promise<number[]> {
  const found: number[] = [];
  for await (const file of readTarball(archive, { ...ARCHIVE_LIMITS, ...limits })) found.push(file.length);
  return found;
}

/** Unpacks to a thousand times of itself. */
const bomb = gzipSync(Buffer.concat([entry("a", "one"), entry("big", Buffer.alloc(24 * 2 ** 20)), Buffer.alloc(1024)]));

describe("an archive", () => {
  const tar = Buffer.concat([
    entry("g", "pax", "g"),
    entry("a", "one"),
    entry("dir/", "", "5"),
    entry("empty", ""),
    entry("b", "x".repeat(600)),
    Buffer.alloc(1024),
  ]);

  it("gives its files, also where they are longer than what is unpacked at once", async () => {
    expect(await sizes(gzipSync(tar))).toEqual([3, 0, 600]);
    const long = Buffer.concat([entry("long", "y".repeat(1_000_000)), entry("c", "z"), Buffer.alloc(1024)]);
    expect(await sizes(gzipSync(long))).toEqual([1_000_000, 1]);
  });

  it("that is damaged, cut or ends within a file is an error", async () => {
    await expect(sizes(gzipSync(tar).subarray(0, 40))).rejects.toThrow();
    await expect(sizes(Buffer.from("no archive"))).rejects.toThrow();
    await expect(sizes(gzipSync(entry("a", "one", "0", 4096)))).rejects.toThrow("ends within a file");
    const odd = entry("a", "one");
    odd.write("\x80garbage", 124, "latin1");
    await expect(sizes(gzipSync(odd))).rejects.toThrow("size that is none");
  });

  it("that is more than the limits allow is UNSUPPORTED: packed, unpacked, or by its entries", async () => {
    const packed = gzipSync(tar);
    const wanted = { code: "UNSUPPORTED", outcome: "final" };
    await expect(sizes(packed, { compressed: packed.length - 1 })).rejects.toMatchObject(wanted);
    await expect(sizes(packed, { entries: 4 })).rejects.toMatchObject(wanted);
    expect(await sizes(packed, { entries: 5 })).toHaveLength(3);
    expect(bomb.length).toBeLessThan(100_000);
    await expect(sizes(bomb, { bytes: 2 ** 20 })).rejects.toMatchObject(wanted);
  });

  it("gives what came before the limit, and passes over a file that is too long", async () => {
    const found: number[] = [];
    await expect(
      (async () => {
        for await (const file of readTarball(bomb, { ...ARCHIVE_LIMITS, bytes: 2 ** 20 })) found.push(file.length);
      })(),
    ).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(found).toEqual([3]);
    expect(await sizes(bomb)).toEqual([3]);
  });
});

describe("many documents", () => {
  const names = Array.from({ length: 45 }, (_, i) => `p${i}`);
  let server: GitHubServer;
  beforeAll(async () => {
    server = await startGitHub({ graphql: false });
    const files = names.map((name) => ({
      path: `prompts/${name}/v1.0.0.md`,
      bytes: documentOf(name, "1.0.0", `text of ${name}\n`).text,
    }));
    commitByGit(server.gitDir, "main", files);
  });
  // As the real ones, but not at the cost of half a gigabyte.
  const limits = ARCHIVE_LIMITS as { -readonly [K in keyof typeof ARCHIVE_LIMITS]: number };
  const real = { ...ARCHIVE_LIMITS };
  beforeEach(() => {
    Object.assign(limits, { compressed: 4 * 2 ** 20, bytes: 24 * 2 ** 20 });
  });
  afterEach(() => {
    Object.assign(limits, real);
    vi.restoreAllMocks();
  });
  afterAll(async () => {
    await server.close();
  });

  /** A body of which nobody knows the length before it ends. */
  function endless(sent: { bytes: number }): ReadableStream<Uint8Array> {
    const chunk = new Uint8Array(2 ** 20);
    return new ReadableStream({
      pull(controller) {
        sent.bytes += chunk.length;
        if (sent.bytes > ARCHIVE_LIMITS.compressed * 16) controller.close();
        else controller.enqueue(chunk);
      },
    });
  }

  it.each(["too long", "a bomb"] as const)(
    "are read one by one where the archive is %s, and it is not asked for again",
    async (kind) => {
      const sent = { bytes: 0 };
      let archives = 0;
      const fetch: typeof globalThis.fetch = async (input, init) => {
        if (!String(input).includes("/tarball/")) return await globalThis.fetch(input, init);
        archives++;
        // Archives that follow each other unpack to one.
        const part = gzipSync(Buffer.concat([entry("x", "", "0", 2 ** 24), Buffer.alloc(2 ** 24)]));
        const body = kind === "too long" ? endless(sent) : Buffer.concat(Array<Buffer>(4).fill(part));
        return new Response(body, { headers: { "content-type": "application/x-gzip" } });
      };
      const driver = await openGithub(server, server, { fetch, graphql: "off" });
      const asks = names.map((name) => askOf(name, "1.0.0"));
      const found = await driver.read(asks);
      expect(found.map(({ status }) => status)).toEqual(names.map(() => "found"));
      expect(archives).toBe(1);
      // All that was sent beyond the limit is what was on its way.
      expect(sent.bytes).toBeLessThan(ARCHIVE_LIMITS.compressed + 16 * 2 ** 20);
      const files = names.map((name) => ({
        path: `prompts/${name}/v2.0.0.md`,
        bytes: documentOf(name, "2.0.0", `${kind}, second text of ${name}\n`).text,
      }));
      commitByGit(server.gitDir, "main", files);
      const again = await driver.read(names.map((name) => askOf(name, "2.0.0")));
      expect(again.map(({ status }) => status)).toEqual(names.map(() => "found"));
      expect(archives).toBe(1);
      await driver.close();
    },
  );

  it("are read one by one for some minutes after an archive that did not come in time, and by archives again then", async () => {
    let archives = 0;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      if (!String(input).includes("/tarball/") || ++archives > 1) return await globalThis.fetch(input, init);
      const { signal } = init ?? {};
      return await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    };
    const { now } = performance;
    let later = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now.call(performance) + later);
    const driver = await openGithub(server, server, { fetch, graphql: "off", timeout: 3000 });
    const counts: number[] = [];
    for (const [i, minutes] of [0, 4, 6].entries()) {
      const version = `3.${i}.0`;
      const files = names.map((name) => ({
        path: `prompts/${name}/v${version}.md`,
        bytes: documentOf(name, version, `text ${i} of ${name}\n`).text,
      }));
      commitByGit(server.gitDir, "main", files);
      later = minutes * 60_000;
      const found = await driver.read(names.map((name) => askOf(name, version)));
      expect(found.map(({ status }) => status)).toEqual(names.map(() => "found"));
      counts.push(archives);
    }
    expect(counts).toEqual([1, 1, 2]);
    await driver.close();
  });
});
