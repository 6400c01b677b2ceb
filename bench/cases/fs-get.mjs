// What does an uncached read of one version cost, digest verified and front matter parsed?
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dataset } from "../lib/data.mjs";

/** Every prompt is read once by a new registry, so that neither its memory nor the driver's can help. */
function ours({ PromptRegistry, fs }, data, n) {
  let registry;
  let names;
  let seed = 1;
  return {
    name: "getPrompt(name@version)",
    role: "ours",
    async: true,
    n,
    async before() {
      await registry?.close();
      registry = new PromptRegistry(fs({ path: data.path }));
      names = data.scattered(seed++).slice(0, n + 1);
      // The first read also opens the store.
      await registry.getPrompt(`${names[n]}@1.0.0`);
    },
    op: async (i) => (await registry.getPrompt(`${names[i % n]}@1.0.0`)).metadata,
  };
}

function plain(data, n, read, rest) {
  let files;
  let seed = 100;
  return {
    ...rest,
    n,
    before() {
      files = data
        .scattered(seed++)
        .slice(0, n)
        .map((name) => data.file(name));
    },
    op: (i) => read(files[i % n]),
  };
}

function warm(data) {
  for (const name of data.names) readFileSync(data.file(name));
}

async function compare({ dist, cache, rival }, { count, nested }) {
  const data = dataset(dist, cache, { count, nested });
  warm(data);
  const matter = await rival("gray-matter");
  const n = 100;
  const subjects = [
    ours(dist, data, n),
    plain(data, n, (file) => readFileSync(file, "utf8"), { name: "readFileSync", role: "floor" }),
  ];
  if (matter !== undefined) {
    // With options it parses; without, it answers from a cache that it never empties.
    const naive = async (file) => matter(await readFile(file, "utf8"), {}).data;
    subjects.push(plain(data, n, naive, { name: "fsp.readFile + gray-matter", role: "rival", async: true }));
  }
  return {
    subjects,
    slots: 3,
    goals: [
      { vs: "readFileSync", most: 4 },
      { vs: "fsp.readFile + gray-matter", faster: 8 },
    ],
  };
}

/** 32 reads at a time, with none of them blocking. */
async function concurrent({ dist, cache }) {
  const data = dataset(dist, cache, { count: 1000 });
  warm(data);
  const { PromptRegistry, fs } = dist;
  const width = 32;
  const { readFile: read } = await import("node:fs");
  let registry;
  let refs;
  let files;
  let seed = 1;
  return {
    slots: 3,
    subjects: [
      {
        name: "getPrompt, server mode, 32 in flight",
        role: "ours",
        async: true,
        n: 10,
        per: width,
        async before() {
          await registry?.close();
          registry = new PromptRegistry(fs({ path: data.path, mode: "server" }));
          refs = data.scattered(seed++).map((name) => `${name}@1.0.0`);
          await registry.getPrompt(refs.at(-1));
        },
        op: (i) =>
          Promise.all(refs.slice((i % 10) * width, ((i % 10) + 1) * width).map((ref) => registry.getPrompt(ref))),
      },
      {
        name: "callback readFile, 32 in flight",
        role: "floor",
        async: true,
        n: 10,
        per: width,
        before() {
          files = data.scattered(seed++).map((name) => data.file(name));
        },
        op: (i) =>
          new Promise((resolve, reject) => {
            let left = width;
            for (const file of files.slice((i % 10) * width, ((i % 10) + 1) * width)) {
              read(file, "utf8", (error) => {
                if (error !== null) reject(error);
                else if (--left === 0) resolve();
              });
            }
          }),
      },
      {
        name: "fsp.readFile, 32 in flight",
        role: "rival",
        async: true,
        n: 10,
        per: width,
        op: (i) =>
          Promise.all(files.slice((i % 10) * width, ((i % 10) + 1) * width).map((file) => readFile(file, "utf8"))),
      },
    ],
    goals: [
      { vs: "callback readFile, 32 in flight", most: 1.5 },
      { vs: "fsp.readFile, 32 in flight", faster: 1 },
    ],
  };
}

/** Does a read cost more among 100,000 prompts than among 1,000? */
async function growth({ dist, cache }) {
  const [small, large] = [1000, 100_000].map((count) => dataset(dist, cache, { count }));
  warm(small);
  warm(large);
  return {
    slots: 3,
    subjects: [
      { ...ours(dist, large, 100), name: "getPrompt among 100,000" },
      { ...ours(dist, small, 100), name: "getPrompt among 1,000", role: "floor" },
    ],
    goals: [{ vs: "getPrompt among 1,000", most: 1.5 }],
  };
}

export const cases = [
  {
    id: "fs-get-1k",
    goal: "G4",
    title: "read a version, uncached, 1,000 prompts",
    prepare: (bench) => compare(bench, { count: 1000, nested: false }),
  },
  {
    id: "fs-get-1k-nested",
    goal: "G4",
    title: "the same, front matter with lists and settings below their keys",
    prepare: (bench) => compare(bench, { count: 1000, nested: true }),
  },
  {
    id: "fs-get-100k",
    goal: "G4",
    title: "read a version, uncached, 100,000 prompts",
    modes: ["full"],
    prepare: (bench) => compare(bench, { count: 100_000, nested: false }),
  },
  {
    id: "fs-get-growth",
    goal: "G4",
    title: "read a version among 100,000 prompts and among 1,000",
    modes: ["full"],
    prepare: growth,
  },
  { id: "fs-get-server", goal: "G5", title: "read versions without blocking, 32 at a time", prepare: concurrent },
];
