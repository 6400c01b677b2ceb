// What does a durable store cost, beyond the system calls that no store can do without?
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { promptName, promptText } from "../lib/data.mjs";

const FLOOR = "write, fsync, rename, fsync folder";

function syncFolder(path) {
  const fd = nodeFs.openSync(path, "r");
  nodeFs.fsyncSync(fd);
  nodeFs.closeSync(fd);
}

/** The least that makes one more file survive a power cut without ever showing half of it. */
function floorStore(dir, file, bytes) {
  const temp = join(dir, `.tmp-${file}`);
  const fd = nodeFs.openSync(temp, "wx");
  nodeFs.writeSync(fd, bytes);
  nodeFs.fsyncSync(fd);
  nodeFs.closeSync(fd);
  nodeFs.renameSync(temp, join(dir, file));
  syncFolder(dir);
}

/** Folders that hold a handful of files each, as those of prompts do. */
function spreadOver(base, count) {
  const dirs = Array.from({ length: count }, (_, i) => join(base, `d${i}`));
  for (const dir of dirs) nodeFs.mkdirSync(dir, { recursive: true });
  return (i) => [dirs[i % count], `v1.${Math.floor(i / count)}.0.md`];
}

function floor(base, extra = {}) {
  const place = spreadOver(base, 100);
  return {
    name: FLOOR,
    role: "floor",
    n: 10,
    op: (i) => floorStore(...place(i), Buffer.from(promptText(i))),
    ...extra,
  };
}

async function rivals(bench, base) {
  const subjects = [];
  const writeFileAtomic = await bench.rival("write-file-atomic");
  if (writeFileAtomic !== undefined) {
    const place = spreadOver(join(base, "wfa"), 100);
    subjects.push({
      name: "write-file-atomic",
      role: "rival",
      durable: false,
      async: true,
      n: 10,
      op: (i) => writeFileAtomic(join(...place(i)), promptText(i)),
    });
  }
  const unstorage = await bench.rival("unstorage");
  const driver = await bench.rival("unstorage/drivers/fs");
  if (unstorage !== undefined && driver !== undefined) {
    const storage = unstorage.createStorage({ driver: driver({ base: join(base, "unstorage") }) });
    subjects.push({
      name: "unstorage",
      role: "rival",
      durable: false,
      async: true,
      n: 10,
      op: (i) => storage.setItem(`d${i % 100}:v1.${Math.floor(i / 100)}.0.md`, promptText(i)),
    });
  }
  return subjects;
}

/** A registry of prompts with one version each. */
async function seeded({ dist }, path, options = {}, count = 100) {
  const registry = new dist.PromptRegistry(dist.fs({ path, ...options }));
  const requests = Array.from({ length: count }, (_, i) => ({
    name: promptName(i),
    version: "0.1.0",
    text: promptText(i),
  }));
  for (const result of await registry.storePrompts(requests)) {
    if (result.status === "failed") throw result.error;
  }
  return registry;
}

/** Runs `store` once on a driver that counts; only syncs are of interest. */
async function fsyncsOf(bench, store, prompts) {
  let count = 0;
  const io = bench.dist.watched(bench.dist.nodeIo, (name) => {
    if (name === "fsync") count++;
  });
  const registry = await seeded(bench, bench.scratch(), { io }, prompts);
  await store(registry, 0);
  count = 0;
  await store(registry, 1);
  await registry.close();
  return count;
}

const newVersion = (registry, i) =>
  registry.storePrompt({
    name: promptName(i % 100),
    version: `1.${Math.floor(i / 100)}.0`,
    text: promptText(i),
  });

const newPrompt = (registry, i) =>
  registry.storePrompt({ name: `new-${promptName(i)}`, version: "1.0.0", text: promptText(i) });

async function versionBatch(registry, i) {
  const requests = Array.from({ length: 100 }, (_, k) => ({
    name: promptName(k),
    version: `1.${i}.0`,
    text: promptText(i * 100 + k),
  }));
  const results = await registry.storePrompts(requests);
  if (results.some((r) => r.status !== "created")) throw new Error("a batch was not stored");
}

async function promptBatch(registry, i) {
  const requests = Array.from({ length: 100 }, (_, k) => ({
    name: `new-${promptName(i * 100 + k)}`,
    version: "1.0.0",
    text: promptText(i * 100 + k),
  }));
  const results = await registry.storePrompts(requests);
  if (results.some((r) => r.status !== "created")) throw new Error("a batch was not stored");
}

async function single(bench, { name, store, most, fsyncs }) {
  const base = bench.scratch();
  const registry = await seeded(bench, join(base, "ours"));
  return {
    slots: 3,
    subjects: [
      { name, role: "ours", durable: true, async: true, n: 10, op: (i) => store(registry, i) },
      floor(join(base, "floor")),
      ...(await rivals(bench, base)),
    ],
    goals: [
      { vs: FLOOR, most },
      { vs: "write-file-atomic", faster: fsyncs === 2 ? 2.5 : 2 },
      { count: "fsyncs", exactly: fsyncs, found: await fsyncsOf(bench, store, 2) },
    ],
    close: () => registry.close(),
  };
}

async function batch(bench, { name, store, most, fsyncs }) {
  const base = bench.scratch();
  const registry = await seeded(bench, join(base, "ours"));
  return {
    slots: 3,
    subjects: [
      { name, role: "ours", durable: true, async: true, n: 1, per: 100, op: (i) => store(registry, i) },
      floor(join(base, "floor"), { n: 30 }),
    ],
    goals: [
      { vs: FLOOR, most },
      { count: "fsyncs", upTo: fsyncs, found: await fsyncsOf(bench, store) },
    ],
    close: () => registry.close(),
  };
}

export const cases = [
  {
    id: "fs-store-version",
    goal: "G7",
    title: "store a new version, durable",
    prepare: (bench) => single(bench, { name: "storePrompt", store: newVersion, most: 1.15, fsyncs: 2 }),
  },
  {
    id: "fs-store-prompt",
    goal: "G7",
    title: "store a new prompt, durable",
    prepare: (bench) => single(bench, { name: "storePrompt", store: newPrompt, most: 1.5, fsyncs: 3 }),
  },
  {
    id: "fs-store-100-versions",
    goal: "G8",
    title: "store a version of each of 100 prompts at once, durable; a record",
    // A file and its folder each.
    prepare: (bench) => batch(bench, { name: "storePrompts", store: versionBatch, most: 0.4, fsyncs: 200 }),
  },
  {
    id: "fs-store-100-prompts",
    goal: "G8",
    title: "store 100 new prompts at once, durable; a record",
    // The same, and the folder that holds them all.
    prepare: (bench) => batch(bench, { name: "storePrompts", store: promptBatch, most: 0.4, fsyncs: 201 }),
  },
];
