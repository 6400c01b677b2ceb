// How much longer than Node itself does the command line take?
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { dataset } from "../lib/data.mjs";
import { root } from "../lib/dist.mjs";

async function get({ dist, cache, scratch }) {
  const data = dataset(dist, cache, { count: 1000 });
  const { bin: bins } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  let bin = join(root, bins["prompt-registry"]);
  if (dist.folder !== join(root, "dist")) {
    const text = readFileSync(bin, "utf8").replaceAll("../dist/", `${dist.folder}/`);
    bin = join(scratch(), basename(bin));
    writeFileSync(bin, text);
  }
  const { NODE_OPTIONS: _, NODE_COMPILE_CACHE: __, ...env } = process.env;
  const run = (...args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { env });
    if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}: ${stderr}`);
    return stdout;
  };
  const args = [bin, "get", data.names[500], "--storage", `file:${data.path}`];
  if (!String(run(...args)).includes("{{variable_7}}")) throw new Error("the command line printed something else");
  // Newer versions of Node start faster, and read a bundle faster.
  const over = Number(process.versions.node.split(".")[0]) >= 22 ? 15e6 : 25e6;
  return {
    rounds: 15,
    slots: 1,
    subjects: [
      { name: "prompt-registry get", role: "ours", op: () => run(...args) },
      { name: "node -e 0", role: "floor", op: () => run("-e", "0") },
    ],
    goals: [{ vs: "node -e 0", over }],
  };
}

export const cases = [{ id: "cli-get", goal: "G16", title: "prompt-registry get, a local prompt", prepare: get }];
