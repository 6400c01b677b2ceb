// What does a list cost, beyond reading the folders it tells of?
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { dataset } from "../lib/data.mjs";

const sizes = { quick: 10_000, default: 100_000, full: 100_000 };

async function coldPage({ dist, cache, mode }) {
  const data = dataset(dist, cache, { count: sizes[mode] });
  const { PromptRegistry, fs } = dist;
  return {
    slots: mode === "quick" ? 3 : 1,
    subjects: [
      {
        name: "listPrompts, first page",
        role: "ours",
        async: true,
        async op() {
          const registry = new PromptRegistry(fs({ path: data.path }));
          const page = await registry.listPrompts({ limit: 100 });
          if (page.items.length !== 100) throw new Error(`a page of ${page.items.length}`);
          await registry.close();
        },
      },
      { name: "readdirSync", role: "floor", op: () => readdirSync(data.folder) },
    ],
    goals: [{ vs: "readdirSync", most: 1.3 }],
  };
}

async function warmPage({ dist, cache, mode }) {
  const data = dataset(dist, cache, { count: sizes[mode] });
  const registry = new dist.PromptRegistry(dist.fs({ path: data.path }));
  const cursors = [];
  let cursor;
  for (let i = 0; i < 50; i++) {
    const page = await registry.listPrompts({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    cursor = page.cursor;
    cursors.push(cursor);
  }
  return {
    subjects: [
      {
        name: "listPrompts, a page again",
        role: "ours",
        async: true,
        async loop(n) {
          for (let i = 0; i < n; i++) await registry.listPrompts({ limit: 100, cursor: cursors[i % 49] });
        },
      },
      {
        name: "statSync",
        role: "floor",
        loop(n) {
          for (let i = 0; i < n; i++) statSync(data.folder);
        },
      },
    ],
    goals: [{ ns: 50_000 }],
    close: () => registry.close(),
  };
}

async function everything({ dist, cache, rival }) {
  const data = dataset(dist, cache, { count: 1000, versions: 5 });
  const { PromptRegistry, fs } = dist;
  const subjects = [
    {
      name: "listPrompts, listVersions of each",
      role: "ours",
      async: true,
      async op() {
        const registry = new PromptRegistry(fs({ path: data.path }));
        let versions = 0;
        for await (const { name } of registry.listPrompts({ limit: 1000 })) {
          for await (const _ of registry.listVersions(name)) versions++;
        }
        if (versions !== 3000) throw new Error(`${versions} versions`);
        await registry.close();
      },
    },
    {
      name: "readdirSync of each folder",
      role: "floor",
      op() {
        for (const name of readdirSync(data.folder)) readdirSync(join(data.folder, name));
      },
    },
  ];
  const unstorage = await rival("unstorage");
  const driver = await rival("unstorage/drivers/fs");
  if (unstorage !== undefined && driver !== undefined) {
    const storage = unstorage.createStorage({ driver: driver({ base: data.folder }) });
    subjects.push({ name: "unstorage getKeys", role: "rival", async: true, op: () => storage.getKeys() });
  }
  return { subjects, slots: 2, goals: [{ vs: "readdirSync of each folder", most: 1.3 }] };
}

/** Where the storage has an index, a page costs its own length, however many names there are. */
async function indexed({ dist, mode }) {
  const large = mode === "full" ? 1_000_000 : 100_000;
  const [few, many] = await Promise.all([10_000, large].map((count) => filled(dist, count)));
  const pages = (registry) => async (n) => {
    for (let i = 0; i < n; i++) await registry.listPrompts({ limit: 100 });
  };
  return {
    subjects: [
      { name: `memory, first page of ${large}`, role: "ours", async: true, loop: pages(many) },
      { name: "memory, first page of 10000", role: "floor", async: true, loop: pages(few) },
    ],
    goals: [{ vs: "memory, first page of 10000", most: 2 }, { ns: 1_000_000 }],
    close: () => Promise.all([few.close(), many.close()]),
  };
}

async function filled({ PromptRegistry, memory }, count) {
  const driver = memory();
  for (let start = 0; start < count; start += 10_000) {
    const changes = Array.from({ length: 10_000 }, (_, i) => {
      const name = `prompt-${String(start + i).padStart(7, "0")}`;
      return { name, add: [{ name, version: "1.0.0", text: "text", digest: "" }] };
    });
    await driver.commit({ id: `fill-${start}`, at: "2026-01-02T03:04:05.678Z", changes });
  }
  const registry = new PromptRegistry(driver);
  await registry.listPrompts({ limit: 1 });
  return registry;
}

export const cases = [
  { id: "fs-list-cold", goal: "G11", title: "first page of all prompts in a folder, cold", prepare: coldPage },
  { id: "fs-list-warm", goal: "G11", title: "a page of all prompts in a folder, listed before", prepare: warmPage },
  { id: "fs-list-all", goal: "G11", title: "all names and versions of 1,000 prompts in a folder", prepare: everything },
  { id: "memory-list", goal: "G11", title: "first page of many prompts, indexed", prepare: indexed },
];
