// What does SQLite cost through the driver, beyond its own prepared statements at the same durability?
import { join } from "node:path";
import { promptName, promptText } from "../lib/data.mjs";
import { AT, changeOf, documentOf, openSql } from "../lib/sql.mjs";

async function openSqlite(bench, path, options = {}) {
  const { sqlite } = await openSql(bench);
  return sqlite({ path, ...options });
}

/** The module's own statements, called the way each wants it. */
function raw(driver) {
  const { module, database } = driver.native;
  const spread = module === "node:sqlite";
  return {
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

/**
 * The same rows by prepared statements of the module alone, in the driver's own tables: what their indexes cost is the price
 * of lists and history, and not of the driver. `apply` puts all changes into one transaction.
 */
function rawWriter(driver) {
  const { get, run } = raw(driver);
  const find = get("SELECT id FROM prompts WHERE name = ?");
  const make = run("INSERT INTO prompts (name, live) VALUES (?, 1)");
  const insert = run(
    "INSERT INTO versions (prompt_id, version, sort_key, digest, created_at, author, message, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const [begin, commit] = [run("BEGIN IMMEDIATE"), run("COMMIT")];
  let places = 0;
  const add = (id, { version, digest, text }) => insert(id, version, `C1.${places++}`, digest, AT, "bench", null, text);
  return {
    add,
    apply(changes) {
      begin();
      for (const change of changes) {
        const id = find(change.name)?.id ?? Number(make(change.name).lastInsertRowid);
        for (const document of change.add) add(id, document);
      }
      commit();
    },
  };
}

async function store(bench) {
  const base = bench.scratch();
  const names = ["store", "transaction", "insert"];
  const drivers = await Promise.all(names.map((name) => openSqlite(bench, join(base, `${name}.db`))));
  for (const driver of drivers) await fill(driver, bench.dist, 100);
  const [driver, transaction, insert] = [drivers[0], rawWriter(drivers[1]), rawWriter(drivers[2])];
  const ready = Array.from({ length: 20_000 }, (_, i) =>
    changeOf(bench.dist, promptName(i % 100), `1.${Math.floor(i / 100) + 1}.0`, i),
  );
  const durable = { durable: true, n: 10 };
  return {
    // As of fs-store: until V8 has compiled all of it.
    warmMs: 3000,
    slots: 3,
    subjects: [
      {
        ...{ name: "commit", role: "ours", async: true, ...durable },
        op: (i) => driver.commit({ id: `c${i}`, at: AT, changes: [ready[i]] }),
      },
      // BEGIN IMMEDIATE, SELECT of the prompt by name, INSERT of the version, COMMIT: no rule is looked at.
      { ...{ name: "raw transaction", role: "floor", ...durable }, op: (i) => transaction.apply([ready[i]]) },
      // The INSERT alone, a transaction by itself, of a prompt whose number is known.
      {
        ...{ name: "prepared INSERT", role: "rival", ...durable },
        op: (i) => insert.add((i % 100) + 1, ready[i].add[0]),
      },
    ],
    goals: [
      { vs: "raw transaction", most: 1.2 },
      { vs: "prepared INSERT", most: 1.2, stretch: true },
    ],
    close: () => Promise.all(drivers.map((one) => one.close())),
  };
}

/** As many prompts and versions as the public collection of prompts has that is used for tests. */
const [VERSIONS, PROMPTS] = [792, 236];

async function batch(bench) {
  const base = bench.scratch();
  const driver = await openSqlite(bench, join(base, "batch.db"));
  const registry = new bench.dist.PromptRegistry(driver);
  const requests = (tag, count) =>
    Array.from({ length: count }, (_, i) => ({
      name: `${tag}-${i % PROMPTS}`,
      version: `1.${Math.floor(i / PROMPTS)}.0`,
      text: promptText(i),
    }));
  // Written between the slots, so that it is not in the time.
  let ready;
  let made = 0;
  const before = (count) => () => {
    ready = requests(`b${made++}`, count);
  };
  const durable = { durable: true, async: true, n: 1 };
  return {
    slots: 1,
    subjects: [
      {
        ...{ name: `${VERSIONS} versions at once`, role: "ours", per: VERSIONS, ...durable },
        before: before(VERSIONS),
        op: () => registry.storePrompts(ready),
      },
      {
        ...{ name: "one by one", role: "floor", per: 100, ...durable },
        before: before(100),
        async op() {
          for (const request of ready) await registry.storePrompt(request);
        },
      },
    ],
    goals: [{ ns: Math.floor(1e9 / VERSIONS) }, { vs: "one by one", faster: 20, stretch: true }],
    close: () => registry.close(),
  };
}

/** The driver's part of a batch, and what prepared statements make of the same one. */
async function batchCommit(bench) {
  const base = bench.scratch();
  const [driver, floor] = [await openSqlite(bench, join(base, "b.db")), await openSqlite(bench, join(base, "f.db"))];
  const { apply } = rawWriter(floor);
  const changes = (tag, count) => {
    const made = Array.from({ length: Math.min(count, PROMPTS) }, (_, p) => ({ name: `${tag}-${p}`, add: [] }));
    for (let i = 0; i < count; i++) {
      const { name, add } = made[i % PROMPTS];
      add.push(documentOf(bench.dist, name, `1.${Math.floor(i / PROMPTS)}.0`, promptText(i)));
    }
    return made;
  };
  // Sealed between the slots, so that it is not in the time.
  let ready;
  let made = 0;
  const before = (count) => () => {
    ready = changes(`b${made++}`, count);
  };
  const durable = { durable: true, n: 1 };
  return {
    slots: 1,
    subjects: [
      {
        ...{ name: "commit of 792", role: "ours", async: true, ...durable, per: VERSIONS, before: before(VERSIONS) },
        op: (i) => driver.commit({ id: `c${i}`, at: AT, changes: ready }),
      },
      {
        ...{ name: "raw transaction of 792", role: "floor", ...durable, per: VERSIONS, before: before(VERSIONS) },
        op: () => apply(ready),
      },
      {
        ...{ name: "commits one by one", role: "rival", async: true, ...durable, per: 100, before: before(100) },
        async op(i) {
          for (const change of ready) await driver.commit({ id: `s${i}`, at: AT, changes: [change] });
        },
      },
      {
        ...{ name: "raw transactions one by one", role: "rival", ...durable, per: 100, before: before(100) },
        op() {
          for (const change of ready) apply([change]);
        },
      },
    ],
    goals: [
      { vs: "raw transaction of 792", most: 2 },
      { vs: "commits one by one", faster: 20, stretch: true },
    ],
    close: () => Promise.all([driver.close(), floor.close()]),
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
  {
    id: "sqlite-batch-commit",
    goal: "G9",
    title: "the same by the driver alone, sealed beforehand; a record",
    modes: ["default", "full"],
    prepare: batchCommit,
  },
  { id: "sqlite-pages", goal: "G11", title: "any page of 100 of many prompts in SQLite", prepare: pages },
];
