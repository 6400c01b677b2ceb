// Servers in processes of their own, so that who asks and who answers have a core each.
import { fork, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("http-child.mjs", import.meta.url));
const VERDACCIO = fileURLToPath(new URL("../node_modules/verdaccio/bin/verdaccio", import.meta.url));

async function start(order) {
  const child = fork(CHILD, [], { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] });
  const told = await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", () => reject(new Error("the server did not start")));
    child.send(order);
  });
  if (told.failed !== undefined) throw new Error(told.failed);
  return { ...told, stop: () => child.disconnect() };
}

export function startOurs(bench, storage, more = {}) {
  return start({ what: "ours", dist: bench.dist.folder, storage, ...more });
}

/** Bare node:http that sends the same bytes. */
export function startBare(answer) {
  return start({ what: "bare", answer });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** With one package of one version, as a registry of packages has it. `undefined` where verdaccio is not installed. */
export async function startVerdaccio(folder, log) {
  if (!existsSync(VERDACCIO)) {
    log("notice: verdaccio is not installed, so it is left out (npm i --no-save --prefix bench verdaccio)");
    return undefined;
  }
  const name = "pinned";
  const tarball = Buffer.from("none");
  const dist = {
    shasum: createHash("sha1").update(tarball).digest("hex"),
    tarball: `http://127.0.0.1/${name}/-/${name}-1.0.0.tgz`,
  };
  const manifest = { name, version: "1.0.0", description: "x".repeat(1500), dist };
  const packument = { name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": manifest }, _attachments: {} };
  const more = { _uplinks: {}, _distfiles: {}, time: { created: "2026-01-01T00:00:00.000Z" }, _rev: "1-0" };
  mkdirSync(join(folder, "storage", name), { recursive: true });
  writeFileSync(join(folder, "storage", name, "package.json"), JSON.stringify({ ...packument, ...more }));
  const port = await freePort();
  const config = [
    `storage: ${JSON.stringify(join(folder, "storage"))}`,
    "uplinks: {}",
    'packages: { "**": { access: $all } }',
    "web: { enable: false }",
    "server: { rateLimit: { max: 1000000000 } }",
    "log: { type: file, path: /dev/null, level: fatal }",
  ];
  writeFileSync(join(folder, "config.yaml"), `${config.join("\n")}\n`);
  const args = [VERDACCIO, "--config", join(folder, "config.yaml"), "--listen", `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { stdio: "ignore", cwd: folder });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; ; i++) {
    const reply = await fetch(`${url}/${name}`).catch(() => undefined);
    if (reply?.ok) break;
    if (child.exitCode !== null || i > 200) throw new Error("verdaccio did not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url: `${url}/${name}`, stop: () => child.kill() };
}
