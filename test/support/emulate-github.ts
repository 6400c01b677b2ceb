import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { modernNode } from "./modern-node.ts";

/** A GitHub of somebody else's making: npm `emulate`, REST only, stateful, with real object ids. */
export interface EmulatedGitHub {
  /** Base of the REST API. */
  readonly url: string;
  readonly token: string;
  readonly owner: string;
  /** A new repository of `owner`, with a first commit on `main`; answers its name. */
  addRepository(): Promise<string>;
  stop(): Promise<void>;
}

/** Replies of emulate 0.12.2 that are not as GitHub's description says: its own faults. */
export const EMULATE_PROBLEMS: readonly string[] = [
  "GET /repos/{owner}/{repo}: reply 200:  must have required property 'network_count'",
];

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWNER = "octocat";
const TOKEN = "ghp_emulated";

/** Prints the port it got; ends when the process that started it does, however that comes about. */
const PROGRAM = `
  import { createServer } from "node:net";
  import { createEmulator } from "emulate";
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const scopes = ["repo", "user"];
  await createEmulator({
    service: "github",
    port,
    seed: {
      // It allows each 5,000 requests an hour: who makes more takes "${TOKEN}_1" and so on.
      tokens: Object.fromEntries(
        ["${TOKEN}", ...Array.from({ length: 999 }, (_, i) => "${TOKEN}_" + (i + 1))].map((t) => [t, { login: "${OWNER}", scopes }]),
      ),
      github: { users: [{ login: "${OWNER}", name: "The Octocat", email: "octocat@github.com" }] },
    },
  });
  console.log("port " + port);
  process.stdin.resume().once("end", () => process.exit());`;

/** Why it can't be started here; `undefined` where it can. */
export function emulatedGitHubProblem(): string | undefined {
  if (!existsSync(join(ROOT, "node_modules/emulate"))) return "emulate is not installed";
  if (modernNode() === undefined) return "emulate needs Node 22 or newer (PROMPT_REGISTRY_NODE24 tells where one is)";
  return undefined;
}

/** In a process of its own, on a free port of 127.0.0.1; ready in about a second. */
export async function startEmulatedGitHub(): Promise<EmulatedGitHub> {
  const node = modernNode();
  if (node === undefined) throw new Error(emulatedGitHubProblem());
  // The flags of the process that starts it (a loader, say) are not meant for it.
  const env = { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" };
  const child = spawn(node, ["--input-type=module", "-e", PROGRAM], {
    cwd: ROOT,
    env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await closed;
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
    closed.then(() => reject(new Error(`emulate does not start: ${output}`)));
  }).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const url = `http://127.0.0.1:${port}`;
  let repositories = 0;
  return {
    url,
    token: TOKEN,
    owner: OWNER,
    async addRepository() {
      const name = `prompts-${repositories++}`;
      const response = await fetch(`${url}/user/repos`, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify({ name, auto_init: true, private: true }),
      });
      if (response.status !== 201) throw new Error(`emulate makes no repository: ${await response.text()}`);
      return name;
    },
    stop,
  };
}
