// What does a read of what is in memory cost, beyond the look-up?
import { join } from "node:path";
import { promptName, promptText } from "../lib/data.mjs";
import { random, shuffle } from "../lib/stats.mjs";

const COUNT = 10_000;

async function filled(registry) {
  const requests = Array.from({ length: COUNT }, (_, i) => ({
    name: promptName(i),
    version: "1.0.0",
    text: promptText(i, { size: 1024 }),
    labels: ["production"],
  }));
  for (let i = 0; i < COUNT; i += 1000) await registry.storePrompts(requests.slice(i, i + 1000));
  return registry;
}

/** Awaits `get` of scattered keys, one after the other. */
function awaited(name, role, keys, get) {
  return {
    name,
    role,
    async: true,
    async loop(n) {
      let found;
      for (let i = 0, k = 0; i < n; i++) {
        found = await get(keys[k]);
        if (++k === keys.length) k = 0;
      }
      if (found === undefined) throw new Error(`${name} found nothing`);
    },
  };
}

function direct(name, role, keys, get) {
  return {
    name,
    role,
    loop(n) {
      let found;
      for (let i = 0, k = 0; i < n; i++) {
        found = get(keys[k]);
        if (++k === keys.length) k = 0;
      }
      if (found === undefined) throw new Error(`${name} found nothing`);
    },
  };
}

/** The memory storage, or a database behind a cache, which is what an application has in production. */
async function open({ dist, scratch }, cached) {
  if (!cached) return new dist.PromptRegistry(dist.memory());
  const storage = `sqlite:${join(scratch(), "cached.db")}`;
  return dist.openRegistry({ storage, cache: { ttl: "1d", maxBytes: "256MB" } }, { env: {}, configFile: false });
}

async function setUp(bench, suffix, cached = false) {
  const registry = await filled(await open(bench, cached));
  const stored = Array.from({ length: COUNT }, (_, i) => promptName(i) + suffix);
  const map = new Map();
  for (const key of stored) map.set(key, await registry.getPrompt(key));
  // Read in another order than stored: a Map that is walked in its own order is read ahead by the processor.
  return { registry, keys: shuffle(stored, random(5)), map };
}

async function getPrompt(bench, suffix, cached) {
  const { rival } = bench;
  const { registry, keys, map } = await setUp(bench, suffix, cached);
  const get = async (key) => map.get(key);
  const subjects = [
    awaited("getPrompt", "ours", keys, (key) => registry.getPrompt(key)),
    awaited("awaited Map.get", "floor", keys, get),
  ];
  const keyv = await rival("keyv");
  if (keyv !== undefined) {
    const store = new (keyv.Keyv ?? keyv)();
    for (const key of keys) await store.set(key, map.get(key).text);
    subjects.push(awaited("keyv in memory", "rival", keys, (key) => store.get(key)));
  }
  return {
    subjects,
    goals: [
      { vs: "awaited Map.get", most: 2.5 },
      { vs: "keyv in memory", faster: 8 },
    ],
    close: () => registry.close(),
  };
}

async function peekPrompt(bench, suffix) {
  const { rival } = bench;
  const { registry, keys, map } = await setUp(bench, suffix);
  const subjects = [
    direct("peekPrompt", "ours", keys, (key) => registry.peekPrompt(key)),
    direct("Map.get", "floor", keys, (key) => map.get(key)),
  ];
  const lru = await rival("lru-cache");
  if (lru !== undefined) {
    const cache = new lru.LRUCache({ max: 2 * COUNT, ttl: 60_000 });
    for (const key of keys) cache.set(key, map.get(key));
    subjects.push(direct("lru-cache with ttl", "rival", keys, (key) => cache.get(key)));
  }
  return { subjects, goals: [{ vs: "Map.get", most: 4 }], close: () => registry.close() };
}

const kinds = { exact: "@1.0.0", latest: "", label: "@production" };

export const cases = Object.entries(kinds).flatMap(([kind, suffix]) => [
  {
    id: `memory-get-${kind}`,
    goal: kind === "latest" ? "G3" : "G1",
    title: `getPrompt from memory, ${kind}`,
    prepare: (bench) => getPrompt(bench, suffix),
  },
  {
    id: `cached-get-${kind}`,
    goal: kind === "latest" ? "G3" : "G1",
    title: `getPrompt through the cache layer over SQLite, ${kind}`,
    modes: ["default", "full"],
    prepare: (bench) => getPrompt(bench, suffix, true),
  },
  {
    id: `memory-peek-${kind}`,
    goal: "G1",
    title: `peekPrompt from memory, ${kind}`,
    modes: kind === "exact" ? undefined : ["default", "full"],
    prepare: (bench) => peekPrompt(bench, suffix),
  },
]);
