// What the cases about reads from memory share.
import { promptName, promptText } from "./data.mjs";
import { random, shuffle } from "./stats.mjs";

const COUNT = 10_000;

/** What is asked for: suffix of the reference, and goal. */
export const KINDS = { exact: ["@1.0.0", "G1"], latest: ["", "G3"], label: ["@production", "G1"] };

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

/** Prompts in `registry`, each read once, and a Map of the same. */
async function setUp(registry, suffix) {
  const requests = Array.from({ length: COUNT }, (_, i) => ({
    name: promptName(i),
    version: "1.0.0",
    text: promptText(i, { size: 1024 }),
    labels: ["production"],
  }));
  for (let i = 0; i < COUNT; i += 1000) await registry.storePrompts(requests.slice(i, i + 1000));
  const stored = requests.map(({ name }) => name + suffix);
  const map = new Map();
  for (const key of stored) map.set(key, await registry.getPrompt(key));
  // Read in another order than stored: a Map that is walked in its own order is read ahead by the processor.
  return { keys: shuffle(stored, random(5)), map };
}

/** keyv as it is used, with the texts alone: it clones what it is given. */
async function keyvOf(rival, keys, map) {
  const keyv = await rival("keyv");
  if (keyv === undefined) return undefined;
  const store = new (keyv.Keyv ?? keyv)();
  for (const key of keys) await store.set(key, map.get(key).text);
  return awaited("keyv in memory", "rival", keys, (key) => store.get(key));
}

async function lruOf(rival, keys, map) {
  const lru = await rival("lru-cache");
  if (lru === undefined) return undefined;
  const cache = new lru.LRUCache({ max: 2 * COUNT, ttl: 60_000 });
  for (const key of keys) cache.set(key, map.get(key));
  return cache;
}

/** `getPrompt`, against an awaited Map: the least that anything takes that is awaited. */
export async function getPrompt({ rival }, registry, suffix) {
  const { keys, map } = await setUp(registry, suffix);
  const lru = await lruOf(rival, keys, map);
  const subjects = [
    awaited("getPrompt", "ours", keys, (key) => registry.getPrompt(key)),
    awaited("awaited Map.get", "floor", keys, async (key) => map.get(key)),
    await keyvOf(rival, keys, map),
    lru && awaited("awaited lru-cache with ttl", "rival", keys, async (key) => lru.get(key)),
  ];
  return {
    subjects: subjects.filter((subject) => subject !== undefined),
    // An awaited Map.get is itself hardly eight times faster than keyv.
    goals: [
      { vs: "awaited Map.get", most: 2.5 },
      { vs: "keyv in memory", faster: 8, stretch: true },
    ],
    close: () => registry.close(),
  };
}

/** `peekPrompt`, which answers at once where it can. */
export async function peekPrompt({ rival }, registry, suffix) {
  const { keys, map } = await setUp(registry, suffix);
  const lru = await lruOf(rival, keys, map);
  const subjects = [
    direct("peekPrompt", "ours", keys, (key) => registry.peekPrompt(key)),
    direct("Map.get", "floor", keys, (key) => map.get(key)),
    await keyvOf(rival, keys, map),
    lru && direct("lru-cache with ttl", "rival", keys, (key) => lru.get(key)),
  ];
  return {
    subjects: subjects.filter((subject) => subject !== undefined),
    goals: [
      { vs: "Map.get", most: 4 },
      { vs: "keyv in memory", faster: 8, stretch: true },
    ],
    close: () => registry.close(),
  };
}
