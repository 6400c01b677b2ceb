// What does SQLite cost through the driver, beyond its own prepared statements at the same durability?
import { join } from "node:path";
import { promptName, promptText } from "../lib/data.mjs";

const AT = "2026-01-02T03:04:05.678Z";

async function openSqlite({ dist }, path, options = {}) {
  const { sqlite } = await import(new URL("drivers/sql/index.js", `file://${dist.folder}/`));
  return sqlite({ path, ...options });
}

/** The module's own statements, called the way each wants it. */
function raw(driver) {
  const { module, database } = driver.native;
  const spread = module === "node:sqlite";
  return {
    exec: (sql) => database.exec(sql),
    get(sql) {
      const statement = database.prepare(sql);
      return spread ? (...args) => statement.get(...args) : (...args) => statement.get(args);
    },
    all(sql) {
      const statement = database.prepare(sql);
      return spread ? (...args) => statement.all(...args) : (...args) => statement.all(args);
    },
    run(sql) {
      const statement = database.prepare(sql);
      return spread ? (...args) => statement.run(...args) : (...args) => statement.run(args);
    },
  };
}

const documentOf = ({ sealDocument }, name, version, text) =>
  sealDocument({ name, version, text, createdAt: AT, author: "bench" });

async function fill(driver, dist, count, text = promptText(1)) {
  for (let start = 0; start < count; start += 1000) {
    const changes = Array.from({ length: Math.min(1000, count - start) }, (_, i) => {
      const name = `prompt-${String(start + i).padStart(7, "0")}`;
      return {
        name,
        add: [text === "" ? { name, version: "1.0.0", text, digest: "" } : documentOf(dist, name, "1.0.0", text)],
      };
    });
    await driver.commit({ id: `fill-${start}`, at: AT, changes });
  }
}

async function get(bench, cacheBytes) {
  const path = join(bench.scratch(), "get.db");
  const driver = await openSqlite(bench, path, cacheBytes === undefined ? {} : { cacheBytes });
  await fill(driver, bench.dist, 10_000);
  const statement = raw(driver).get(
    `SELECT v.version, v.tombstone, v.revision, v.content FROM prompts AS p
     LEFT JOIN versions AS v ON v.prompt_id = p.id AND v.sort_key = ? WHERE p.name = ?`,
  );
  const asks = Array.from({ length: 10_000 }, (_, i) => ({
    name: `prompt-${String((i * 7919) % 10_000).padStart(7, "0")}`,
    selector: { kind: "version", version: "1.0.0" },
  }));
  return {
    subjects: [
      {
        name: cacheBytes === undefined ? "read" : "read, nothing remembered",
        role: "ours",
        async: true,
        async loop(n) {
          for (let i = 0; i < n; i++) await driver.read([asks[i % 10_000]]);
        },
      },
      {
        name: "prepared SELECT",
        role: "floor",
        loop(n) {
          for (let i = 0; i < n; i++) statement("B1.B0.B0~", asks[i % 10_000].name);
        },
      },
    ],
    goals: [{ vs: "prepared SELECT", most: 1.3 }],
    close: () => driver.close(),
  };
}

async function store(bench) {
  const base = bench.scratch();
  const driver = await openSqlite(bench, join(base, "store.db"));
  const floor = await openSqlite(bench, join(base, "floor.db"));
  // The driver's own tables: what their indexes cost is the price of lists and history, and not of the driver.
  await fill(floor, bench.dist, 100);
  const insert = raw(floor).run(
    "INSERT INTO versions (prompt_id, version, sort_key, digest, created_at, author, message, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const documents = (prefix, i) =>
    documentOf(bench.dist, `${prefix}${promptName(i % 100)}`, `1.${Math.floor(i / 100)}.0`, promptText(i));
  const ready = Array.from({ length: 20_000 }, (_, i) => documents("", i));
  return {
    slots: 3,
    subjects: [
      {
        name: "commit",
        role: "ours",
        durable: true,
        async: true,
        n: 10,
        op: (i) => driver.commit({ id: `c${i}`, at: AT, changes: [{ name: ready[i].name, add: [ready[i]] }] }),
      },
      {
        name: "prepared INSERT",
        role: "floor",
        durable: true,
        n: 10,
        op: (i) =>
          insert((i % 100) + 1, ready[i].version, `C1.${i}`, ready[i].digest, AT, "bench", null, ready[i].text),
      },
    ],
    goals: [{ vs: "prepared INSERT", most: 1.2 }],
    close: () => Promise.all([driver.close(), floor.close()]),
  };
}

async function batch(bench) {
  const base = bench.scratch();
  const driver = await openSqlite(bench, join(base, "batch.db"));
  const registry = new bench.dist.PromptRegistry(driver);
  const requests = (tag, count) =>
    Array.from({ length: count }, (_, i) => ({
      name: `${tag}-${i % 236}`,
      version: `1.${Math.floor(i / 236)}.0`,
      text: promptText(i),
    }));
  return {
    slots: 1,
    subjects: [
      {
        name: "792 versions at once",
        role: "ours",
        durable: true,
        async: true,
        n: 1,
        per: 792,
        op: (i) => registry.storePrompts(requests(`batch${i}`, 792)),
      },
      {
        name: "one by one",
        role: "floor",
        durable: true,
        async: true,
        n: 1,
        per: 100,
        async op(i) {
          for (const request of requests(`single${i}`, 100)) await registry.storePrompt(request);
        },
      },
    ],
    goals: [{ ns: 1e9 / 792 }, { vs: "one by one", faster: 20, stretch: true }],
    close: () => registry.close(),
  };
}

async function pages(bench) {
  const count = bench.mode === "full" ? 1_000_000 : bench.mode === "quick" ? 20_000 : 100_000;
  const base = bench.scratch();
  const [many, few] = [await openSqlite(bench, join(base, "many.db")), await openSqlite(bench, join(base, "few.db"))];
  await fill(many, bench.dist, count, "");
  await fill(few, bench.dist, 10_000, "");
  const keyset = raw(many).all("SELECT name FROM prompts WHERE live = 1 AND name > ? ORDER BY name LIMIT 101");
  const places = (size) =>
    Array.from({ length: 50 }, (_, i) => `prompt-${String(Math.floor((i * size) / 51)).padStart(7, "0")}`);
  const page = (driver, at) => async (n) => {
    for (let i = 0; i < n; i++) await driver.listPrompts({ limit: 100, cursor: at[i % 50] });
  };
  const [manyAt, fewAt] = [places(count), places(10_000)];
  return {
    subjects: [
      { name: `a page of ${count}`, role: "ours", async: true, loop: page(many, manyAt) },
      {
        name: "raw keyset query",
        role: "floor",
        loop(n) {
          for (let i = 0; i < n; i++) keyset(manyAt[i % 50]);
        },
      },
      { name: "a page of 10000", role: "rival", async: true, loop: page(few, fewAt) },
    ],
    goals: [
      { vs: "raw keyset query", most: 1.3 },
      { vs: "a page of 10000", most: 2 },
      { count: "MiB of memory grown over all pages", upTo: 64, found: await growth(many) },
    ],
    close: () => Promise.all([many.close(), few.close()]),
  };
}

/** How much larger the process is after it went through all names, page by page. */
async function growth(driver) {
  const before = process.memoryUsage().rss;
  let cursor;
  let most = before;
  do {
    const page = await driver.listPrompts({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    cursor = page.cursor;
    most = Math.max(most, process.memoryUsage().rss);
  } while (cursor !== undefined);
  return Math.round((most - before) / 2 ** 20);
}

export const cases = [
  { id: "sqlite-get", goal: "G9", title: "get a version from SQLite", prepare: (bench) => get(bench) },
  {
    id: "sqlite-get-cold",
    goal: "G9",
    title: "get a version from SQLite, never asked for before",
    prepare: (bench) => get(bench, 0),
  },
  { id: "sqlite-store", goal: "G9", title: "store a new version in SQLite, synchronous=FULL", prepare: store },
  { id: "sqlite-batch", goal: "G9", title: "store 792 versions in SQLite at once; a record", prepare: batch },
  { id: "sqlite-pages", goal: "G11", title: "any page of 100 of many prompts in SQLite", prepare: pages },
];
