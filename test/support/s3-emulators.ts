import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { modernNode } from "./modern-node.ts";

/** A store that takes the headers of conditional writes and does not honour them. */
export interface S3Emulator {
  readonly name: "s3rver" | "emulate";
  /** Path-style addressing only. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Exists and is empty. */
  readonly bucket: string;
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUCKET = "registry";

/** They print the port they got; their input ends when the process that started them does, however that comes about. */
const UNTIL_ORPHANED = `
  const { rmSync } = await import("node:fs");
  const end = () => process.exit(rmSync(process.argv[1], { recursive: true, force: true }));
  process.stdin.resume().once("end", end);`;
const S3RVER = `
  import S3rver from "s3rver";
  const options = { address: "127.0.0.1", port: 0, silent: true, directory: process.argv[1] };
  const { port } = await new S3rver({ ...options, configureBuckets: [{ name: "${BUCKET}" }] }).run();
  console.log("port " + port);
  ${UNTIL_ORPHANED}`;
const EMULATE = `
  import { createServer } from "node:net";
  import { createEmulator } from "emulate";
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  await createEmulator({ service: "aws", port });
  await fetch("http://127.0.0.1:" + port + "/${BUCKET}", { method: "PUT" });
  console.log("port " + port);
  ${UNTIL_ORPHANED}`;

/** Why this emulator can't be started here; `undefined` where it can. */
export function emulatorProblem(name: S3Emulator["name"]): string | undefined {
  if (!existsSync(join(ROOT, "node_modules", name))) return `${name} is not installed`;
  if (name === "emulate" && modernNode() === undefined) {
    return "emulate needs Node 22 or newer (PROMPT_REGISTRY_NODE24 tells where one is)";
  }
  return undefined;
}

/** One of the two, in a process of its own, on a free port of 127.0.0.1; ready in about a second. */
export async function startEmulator(name: S3Emulator["name"]): Promise<S3Emulator> {
  const node = name === "emulate" ? modernNode() : process.execPath;
  if (node === undefined) throw new Error(emulatorProblem(name));
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const args = ["--input-type=module", "-e", name === "emulate" ? EMULATE : S3RVER, folder];
  // The flags of the process that starts it (a loader, say) are not meant for it.
  const env = { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" };
  const child = spawn(node, args, { cwd: ROOT, env, stdio: ["pipe", "pipe", "pipe"] });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await closed;
    rmSync(folder, { recursive: true, force: true });
  };
  const port = await new Promise<string>((resolve, reject) => {
    let output = "";
    const read = (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-4000);
      const found = /^port (\d+)$/m.exec(output);
      if (found?.[1] !== undefined) resolve(found[1]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    closed.then(() => reject(new Error(`${name} does not start: ${output}`)));
  }).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const s3rver = name === "s3rver";
  return {
    name,
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    accessKeyId: s3rver ? "S3RVER" : "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: s3rver ? "S3RVER" : "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    bucket: BUCKET,
    stop,
  };
}
