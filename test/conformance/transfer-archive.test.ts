import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/index.ts";
import {
  archiveFile,
  backupFile,
  checkArchive,
  hashManifest,
  manifestOf,
  manifestOfArchive,
  restoreArchive,
  restoreFile,
} from "../../src/transfer/index.ts";
import { backends, cleanUp, corpus, killedAt, sourceOf, tempFolder } from "./transfer-world.ts";

afterAll(cleanUp);

const bytesOf = (bytes: Uint8Array, chunk = 1000) =>
  async function* () {
    for (let i = 0; i < bytes.length; i += chunk) yield bytes.subarray(i, i + chunk);
  };

async function small(): Promise<Buffer> {
  const registry = new PromptRegistry(memory(), { author: "Ada" });
  for (const name of ["a", "a/b", "b"]) {
    await registry.storePrompt({ name, version: "1.0.0", text: `${name} one\n`, labels: ["production"] });
    await registry.storePrompt({ name, version: "2.0.0", text: `${name} two\n` });
  }
  await registry.deleteVersion("b", "2.0.0");
  const file = join(tempFolder(), "small.gz");
  await backupFile(registry.driver, file);
  return readFileSync(file);
}

describe.each(backends)("archive of $name", (backend) => {
  it("restores to equal manifests, into an empty storage and again", async () => {
    // A server costs round trips, and an archive does not show what it was made of: fewer prompts, but to everywhere.
    const remote = backend.name === "postgres";
    const source = await sourceOf(backend, remote ? 60 : Number.POSITIVE_INFINITY);
    const file = join(tempFolder(), "all.ndjson.gz");
    const started = performance.now();
    const report = await backupFile(source, file);
    const written = performance.now();
    const wanted = await hashManifest(manifestOf(source));
    expect(report).toMatchObject({ ok: true, prompts: wanted.prompts, documents: wanted.documents });
    expect(await hashManifest(manifestOfArchive(archiveFile(file)))).toEqual(wanted);
    for (const to of backends) {
      if (to.name === "postgres" && !remote) continue;
      const target = await to.open();
      const before = performance.now();
      expect(await restoreFile(target, file)).toMatchObject({ ok: true, changed: wanted.prompts });
      process.stderr.write(
        `archive ${backend.name}: backup ${Math.round(written - started)} ms, ${report.compressedBytes} bytes; restore to ${to.name} ${Math.round(performance.now() - before)} ms\n`,
      );
      expect(await hashManifest(manifestOf(target))).toEqual(wanted);
      expect(await restoreFile(target, file)).toMatchObject({ ok: true, changed: 0, entries: 0 });
    }
  });

  it("goes on after a restore that was killed", async () => {
    const source = await sourceOf(backends[0] as (typeof backends)[number], 24);
    const file = join(tempFolder(), "all.ndjson.gz");
    await backupFile(source, file);
    const wanted = await hashManifest(manifestOf(source));
    const random = createRandom(5);
    let kills = 0;
    for (let round = 0; round < 2; round++) {
      const target = await backend.open();
      for (;;) {
        try {
          const driver = killedAt(target, 1 + random.int(6), random.chance() ? "before" : "after");
          await restoreFile(driver, file, { concurrency: 3, verify: false });
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: "ABORTED" });
          kills++;
        }
      }
      expect(await hashManifest(manifestOf(target))).toEqual(wanted);
      expect(await restoreFile(target, file)).toMatchObject({ ok: true, changed: 0 });
    }
    process.stderr.write(`${kills} kills of a restore to ${backend.name}\n`);
    expect(kills).toBeGreaterThan(1);
  });
});

describe("archive", () => {
  it("can be looked into with zcat and head", async () => {
    const file = join(tempFolder(), "a.gz");
    writeFileSync(file, await small());
    const lines = execFileSync("sh", ["-c", `zcat < "${file}"`], { encoding: "utf8" })
      .trimEnd()
      .split("\n");
    expect(JSON.parse(lines[0] as string)).toMatchObject({ format: "prompt-registry-archive", version: 1 });
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ end: { prompts: 3, documents: 5, tombstones: 1 } });
    const sum = execFileSync("sh", ["-c", `zcat < "${file}" | sed '$d' | sha256sum`], { encoding: "utf8" });
    expect(sum.slice(0, 64)).toBe(JSON.parse(lines.at(-1) as string).end.sha256);
  });

  it("is restored plain, too, and by any chunks", async () => {
    const packed = await small();
    const wanted = await hashManifest(manifestOfArchive(bytesOf(packed)));
    for (const chunk of [1, 7, 100_000]) {
      const target = memory();
      await restoreArchive(target, bytesOf(gunzipSync(packed), chunk));
      expect(await hashManifest(manifestOf(target))).toEqual(wanted);
    }
  });

  it("never writes a thing of an archive that is cut off, at any byte", async () => {
    const packed = await small();
    const target = memory();
    for (let end = 0; end < packed.length; end++) {
      const error = await restoreArchive(target, bytesOf(packed.subarray(0, end))).catch((e: unknown) => e);
      expect(error, `cut at ${end}`).toMatchObject({ name: "RegistryError" });
    }
    const plain = gunzipSync(packed);
    for (let end = 0; end < plain.length; end++) {
      const error = await checkArchive(bytesOf(plain.subarray(0, end))).catch((e: unknown) => e);
      expect(error, `plain, cut at ${end}`).toMatchObject({ name: "RegistryError" });
    }
    expect((await target.listPrompts({ limit: 10, includeRemoved: true })).items).toEqual([]);
  });

  it("finds any byte that was changed", async () => {
    const plain = gunzipSync(await small());
    for (let at = 0; at < plain.length - 1; at += 3) {
      const changed = Buffer.from(plain);
      changed[at] = (changed[at] as number) ^ 1;
      const headerTime = at >= plain.indexOf("createdAt") && at < plain.indexOf("\n");
      const error = await checkArchive(bytesOf(changed)).catch((e: unknown) => e);
      expect(error, `byte ${at}${headerTime ? " of the header" : ""}`).toMatchObject({ name: "RegistryError" });
    }
  });

  it("refuses what was made to look right but is hostile", async () => {
    const plain = gunzipSync(await small()).toString();
    const lines = plain.trimEnd().split("\n");
    const { createHash } = await import("node:crypto");
    const sign = (body: string[], end: object = JSON.parse(lines.at(-1) as string).end) => {
      const text = `${body.join("\n")}\n`;
      const sha256 = createHash("sha256").update(text).digest("hex");
      return Buffer.from(`${text}${JSON.stringify({ end: { ...end, bytes: Buffer.byteLength(text), sha256 } })}\n`);
    };
    const body = lines.slice(0, -1);
    await expect(checkArchive(bytesOf(sign(body)))).resolves.toMatchObject({ prompts: 3 });
    const hostile: [string, string[]][] = [
      ["a name that climbs", body.map((l) => l.replaceAll('"a/b"', '"../b"'))],
      ["an absolute name", body.map((l) => l.replaceAll('"a/b"', '"/b"'))],
      ["a name in another case", body.map((l) => l.replaceAll('"a/b"', '"A/b"'))],
      ["a device name", body.map((l) => l.replaceAll('"a/b"', '"con"'))],
      ["a version that is a path", body.map((l) => l.replaceAll('"2.0.0"', '"2.0.0/../x"'))],
      ["a prompt twice", [...body, ...body.slice(1, 4)]],
      ["a text without prompt", [...body.slice(0, 1), ...body.slice(2)]],
      ["a text of another prompt", [body[0] as string, body[1] as string, body[5] as string, ...body.slice(3)]],
      ["another text", body.map((l) => l.replace("a one", "a oNe"))],
      ["an unknown record", [...body, '{"link":"../x"}']],
      ["no object", [...body, "[]"]],
      ["a prototype", [...body, '{"__proto__":{"prompt":"x"}}']],
      ["a missing text", body.slice(0, -1)],
    ];
    for (const [title, changed] of hostile) {
      const target = memory();
      const error = await restoreArchive(target, bytesOf(sign(changed))).catch((e: unknown) => e);
      expect(error, title).toMatchObject({ name: "RegistryError", code: "CORRUPT" });
      expect((await target.listPrompts({ limit: 10 })).items, title).toEqual([]);
    }
    await expect(checkArchive(bytesOf(Buffer.from("PK\u0003\u0004zip")))).rejects.toMatchObject({ code: "CORRUPT" });
    await expect(checkArchive(bytesOf(Buffer.from('{"format":"tar"}\n')))).rejects.toMatchObject({ code: "INVALID" });
    const later = Buffer.from('{"format":"prompt-registry-archive","version":2}\n');
    await expect(checkArchive(bytesOf(later))).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("has caps", async () => {
    const packed = await small();
    const invalid = (limits: object) =>
      expect(checkArchive(bytesOf(packed), { limits })).rejects.toMatchObject({ code: "INVALID" });
    await invalid({ maxEntries: 5 });
    await invalid({ maxBytes: 500 });
    await invalid({ maxLineBytes: 100 });
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, 0x20));
    await expect(checkArchive(bytesOf(bomb))).rejects.toMatchObject({ code: "INVALID" });
    await expect(checkArchive(archiveFile("/dev/zero"))).rejects.toMatchObject({ code: "INVALID" });
    const folder = tempFolder();
    mkdirSync(join(folder, "d"));
    await expect(checkArchive(archiveFile(join(folder, "d")))).rejects.toMatchObject({ code: "INVALID" });
    await expect(backupFile(memory(), join(folder, "d"))).rejects.toMatchObject({ code: "INVALID" });
  });

  it("of texts that pack well is no bomb", async () => {
    const registry = new PromptRegistry(memory());
    for (let i = 1; i <= 8; i++) {
      await registry.storePrompt({ name: "long", version: `${i}.0.0`, text: `${i}${"a".repeat(1_000_000)}` });
    }
    const file = join(tempFolder(), "long.gz");
    await backupFile(registry.driver, file);
    const target = memory();
    expect(await restoreFile(target, file)).toMatchObject({ ok: true, added: 8 });
    expect(await hashManifest(manifestOf(target))).toEqual(await hashManifest(manifestOf(registry.driver)));
  });

  it("leaves what is there, and lists what disagrees", async () => {
    const packed = await small();
    const target = new PromptRegistry(memory());
    await target.storePrompt({ name: "a", version: "1.0.0", text: "something else\n" });
    await target.storePrompt({ name: "z", version: "1.0.0", text: "z\n" });
    const report = await restoreArchive(target.driver, bytesOf(packed));
    expect(report).toMatchObject({ ok: false, changed: 2, conflictCount: 1, verify: { equal: 2, differentCount: 1 } });
    expect(report.conflicts[0]).toMatchObject({ kind: "version", name: "a", version: "1.0.0" });
    expect((await target.getPrompt("a")).text).toBe("something else\n");
  });

  it("counts corpus lines", () => expect(corpus().length).toBeGreaterThan(500));
});
