// What does a durable store cost, beyond the system calls that no store can do without?
import { randomUUID } from "node:crypto";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { promptName, promptText } from "../lib/data.mjs";

const FLOOR = "write, fsync, rename, fsync folder";
// What the least leaves out: no file is ever replaced, and `latest.md` follows.
const SAME = "the bare calls of the same protocol";
// And what that leaves out: no folder that is a link is followed, nothing in the layout of old is hidden, a head has its say,
// and of several writers the highest version ends up as `latest.md`.
const EVERY = "every call it makes, bare";

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

/** The same calls as the driver makes once it knows where to write and that no head is in the way. */
function protocolStore(dir, file, bytes) {
  const folder = nodeFs.openSync(dir, nodeFs.constants.O_RDONLY | nodeFs.constants.O_DIRECTORY);
  const temp = join(dir, `.tmp-${randomUUID()}`);
  const fd = nodeFs.openSync(temp, "wx");
  nodeFs.writeSync(fd, bytes);
  nodeFs.fsyncSync(fd);
  nodeFs.closeSync(fd);
  nodeFs.linkSync(temp, join(dir, file));
  nodeFs.unlinkSync(temp);
  nodeFs.fsyncSync(folder);
  const link = join(dir, `.tmp-${randomUUID()}`);
  nodeFs.symlinkSync(file, link);
  nodeFs.renameSync(link, join(dir, "latest.md"));
  nodeFs.closeSync(folder);
}

/** All calls of a store of a new version, in their order; a test of the driver holds it to them. */
function everyCall(dir, file, bytes) {
  const folder = nodeFs.openSync(dir, nodeFs.constants.O_RDONLY | nodeFs.constants.O_DIRECTORY);
  const at = `/proc/self/fd/${folder}`;
  nodeFs.readlinkSync(at);
  nodeFs.lstatSync(`${at}/latest.md`, MAY_BE_MISSING);
  nodeFs.lstatSync(`${at}/${file.slice(1)}`, MAY_BE_MISSING);
  const temp = `${at}/.tmp-${randomUUID()}`;
  const fd = nodeFs.openSync(temp, "wx");
  nodeFs.writeSync(fd, bytes);
  nodeFs.fsyncSync(fd);
  nodeFs.closeSync(fd);
  nodeFs.linkSync(temp, `${at}/${file}`);
  nodeFs.unlinkSync(temp);
  nodeFs.fsyncSync(folder);
  nodeFs.lstatSync(`${at}/latest.json`, MAY_BE_MISSING);
  try {
    nodeFs.readlinkSync(`${at}/latest.md`);
  } catch {
    // The first one.
  }
  const link = `${at}/.tmp-${randomUUID()}`;
  nodeFs.symlinkSync(file, link);
  nodeFs.renameSync(link, `${at}/latest.md`);
  nodeFs.readdirSync(at);
  nodeFs.closeSync(folder);
}

const MAY_BE_MISSING = { throwIfNoEntry: false };

function protocolCreate(base, dir, bytes) {
  const folder = nodeFs.openSync(base, nodeFs.constants.O_RDONLY | nodeFs.constants.O_DIRECTORY);
  nodeFs.mkdirSync(dir);
  nodeFs.fsyncSync(folder);
  nodeFs.closeSync(folder);
  protocolStore(dir, "v1.0.0.md", bytes);
}

/** Folders that hold a handful of files each, as those of prompts do. */
function spreadOver(base, count) {
  const dirs = Array.from({ length: count }, (_, i) => join(base, `d${i}`));
  for (const dir of dirs) nodeFs.mkdirSync(dir, { recursive: true });
  return placesIn(dirs);
}

function placesIn(dirs) {
  return (i) => [dirs[i % dirs.length], `v1.${Math.floor(i / dirs.length)}.0.md`];
}

function floor(place, extra = {}) {
  return {
    name: FLOOR,
    role: "floor",
    n: 10,
    op: (i) => floorStore(...place(i), Buffer.from(promptText(i))),
    ...extra,
  };
}

/** The least for a new version, or with `base` for a new prompt in it. */
function protocolFloor(place, base) {
  const op =
    base === undefined
      ? (i) => protocolStore(...place(i), Buffer.from(promptText(i)))
      : (i) => protocolCreate(base, join(base, `floor-${promptName(i)}`), Buffer.from(promptText(i)));
  return { name: SAME, role: "floor", n: 10, op };
}

function everyFloor(place) {
  return { name: EVERY, role: "floor", n: 10, op: (i) => everyCall(...place(i), Buffer.from(promptText(i))) };
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
  const isVersion = fsyncs === 2;
  const registry = await seeded(bench, join(base, "ours"), {}, 400);
  // The floors write into folders of the same registry: what a new file costs depends on what lies around it.
  const prompts = join(base, "ours", "prompts");
  const folders = Array.from({ length: 400 }, (_, i) => join(prompts, promptName(i)));
  return {
    // V8 compiles the rules and the driver once they ran some thousand times; a store in a fresh process takes 150 µs more.
    warmMs: 3000,
    slots: 3,
    subjects: [
      { name, role: "ours", durable: true, async: true, n: 10, op: (i) => store(registry, i) },
      floor(placesIn(folders.slice(100, 200))),
      protocolFloor(placesIn(folders.slice(200, 300)), isVersion ? undefined : prompts),
      ...(isVersion ? [everyFloor(placesIn(folders.slice(300)))] : []),
      ...(await rivals(bench, base)),
    ],
    goals: [
      { vs: SAME, most: 1.15 },
      ...(isVersion ? [{ vs: EVERY, most: 1.15 }] : []),
      { vs: FLOOR, most },
      { vs: "write-file-atomic", faster: isVersion ? 2.5 : 2 },
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
      floor(spreadOver(join(base, "floor"), 100), { n: 30 }),
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
