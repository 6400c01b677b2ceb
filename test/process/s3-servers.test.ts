import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { build } from "esbuild";
import { describe, expect, onTestFinished, test } from "vitest";
import { radosgwProblem, startRadosGw } from "../support/radosgw.ts";
import { emulatorProblem, startEmulator } from "../support/s3-emulators.ts";
import { skipSuite } from "../support/skip.ts";

interface Place {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

function connect({ endpoint, ...credentials }: Place): S3Client {
  const config = { forcePathStyle: true, maxAttempts: 1, requestChecksumCalculation: "WHEN_REQUIRED" } as const;
  return new S3Client({ ...config, endpoint, region: "us-east-1", credentials });
}

/** How many of 16 that create the same key at once are told that they did. */
async function winners(client: S3Client, Bucket: string): Promise<number> {
  const racers = Array.from({ length: 16 }, (_, i) =>
    client.send(new PutObjectCommand({ Bucket, Key: "race", Body: `${i}`, IfNoneMatch: "*" })).then(
      () => 1,
      () => 0,
    ),
  );
  return (await Promise.all(racers)).reduce<number>((sum, won) => sum + won, 0);
}

const problem = radosgwProblem();
if (problem !== undefined) skipSuite("RadosGW", problem);
else
  describe("RadosGW", () => {
    test("lets one of 16 create a key, and is gone when it is stopped", async () => {
      const server = await startRadosGw();
      const client = connect(server);
      try {
        await client.send(new CreateBucketCommand({ Bucket: "bucket" }));
        expect(await winners(client, "bucket")).toBe(1);
        const stranger = connect({ endpoint: server.endpoint, ...(await server.createUser("stranger")) });
        await expect(
          stranger.send(new PutObjectCommand({ Bucket: "bucket", Key: "k", Body: "x" })),
        ).rejects.toMatchObject({ name: "AccessDenied" });
        stranger.destroy();
      } finally {
        client.destroy();
        await server.stop();
      }
      await expect(fetch(server.endpoint)).rejects.toThrow();
    });

    test("two run side by side", async () => {
      const both = await Promise.all([startRadosGw(), startRadosGw()]);
      expect(new Set(both.map(({ endpoint }) => endpoint)).size).toBe(2);
      await Promise.all(both.map((server) => server.stop()));
    });

    test("ends with the process that started it, also when that is killed", async () => {
      const folder = mkdtempSync(join(tmpdir(), "orphan-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const outfile = join(folder, "server.mjs");
      const source = fileURLToPath(new URL("../support/radosgw.ts", import.meta.url));
      await build({ entryPoints: [source], outfile, bundle: true, platform: "node", format: "esm" });
      const script = `
        import { startRadosGw } from ${JSON.stringify(outfile)};
        const { endpoint, pid } = await startRadosGw();
        console.log(JSON.stringify({ endpoint, pid }));
        setInterval(() => {}, 1000);`;
      const before = folders();
      const flags = ["--input-type=module", "-e", script];
      const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
      let line = "";
      for await (const chunk of child.stdout) {
        line += String(chunk);
        if (line.includes("\n")) break;
      }
      const { pid } = JSON.parse(line) as { pid: number };
      expect(isAlive(pid)).toBe(true);
      child.kill("SIGKILL");
      for (let tries = 0; tries < 200 && (isAlive(pid) || folders().length > before.length); tries++) await sleep(50);
      expect([isAlive(pid), folders().filter((folder) => !before.includes(folder))]).toEqual([false, []]);
    });
  });

for (const name of ["s3rver", "emulate"] as const) {
  const missing = emulatorProblem(name);
  if (missing !== undefined) skipSuite(name, missing);
  else
    test(`${name} tells all of 16 that they created a key, which is why it is here`, async () => {
      const server = await startEmulator(name);
      const client = connect(server);
      try {
        expect(await winners(client, server.bucket)).toBe(16);
      } finally {
        client.destroy();
        await server.stop();
      }
      await expect(fetch(server.endpoint)).rejects.toThrow();
    });
}

const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("rgw-"));

function isAlive(pid: number): boolean {
  try {
    // What is dead and was not taken notice of, as its parent is gone too, is dead.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
