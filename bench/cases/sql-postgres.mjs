// What does PostgreSQL cost through the driver, beyond the same queries sent by hand?
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../lib/dist.mjs";
import { AT, changeOf, openSql } from "../lib/sql.mjs";

/** The server that the tests start; their helper is TypeScript. */
async function startServer() {
  const { build } = await import("esbuild");
  const folder = join(root, ".cache", "bench-postgres");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, "server.mjs");
  await build({
    entryPoints: [join(root, "test", "support", "postgres.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    logLevel: "warning",
  });
  const { startPostgres, postgresProblem } = await import(pathToFileURL(outfile).href);
  const problem = postgresProblem();
  if (problem !== undefined) throw new Error(problem);
  return startPostgres();
}

async function setUp(bench) {
  const server = await startServer();
  const { postgres } = await openSql(bench);
  const driver = await postgres({ url: server.url, schema: "bench", pool: { max: 1 } });
  const { pool } = driver.native;
  // One table with two indexes, which keeps its texts as the driver's own does: not compressed.
  await pool.query(
    `CREATE TABLE bench.floor (id bigserial PRIMARY KEY, name text COLLATE "C" NOT NULL, version text NOT NULL,
      content text NOT NULL, UNIQUE (name, version)) WITH (toast_tuple_target = 8160)`,
  );
  const change = (name, version, i) => changeOf(bench.dist, name, version, i);
  return {
    driver,
    pool,
    change,
    close: async () => {
      await driver.close();
      await server.stop();
    },
  };
}

async function get(bench) {
  const { driver, pool, change, close } = await setUp(bench);
  const names = Array.from({ length: 1000 }, (_, i) => `prompt-${String(i).padStart(4, "0")}`);
  await driver.commit({ id: "fill", at: AT, changes: names.map((name, i) => change(name, "1.0.0", i)) });
  const text = `SELECT v.version, v.content FROM bench.prompts p JOIN bench.versions v ON v.prompt_id = p.id WHERE p.name = $1 AND v.sort_key = $2`;
  return {
    slots: 3,
    subjects: [
      {
        name: "read",
        role: "ours",
        async: true,
        n: 50,
        op: (i) => driver.read([{ name: names[i % 1000], selector: { kind: "version", version: "1.0.0" } }]),
      },
      {
        name: "prepared SELECT",
        role: "floor",
        async: true,
        n: 50,
        op: (i) => pool.query({ name: "floor", text, values: [names[i % 1000], "B1.B0.B0~"] }),
      },
    ],
    goals: [{ vs: "prepared SELECT", most: 1.2 }],
    close,
  };
}

async function store(bench) {
  const { driver, pool, change, close } = await setUp(bench);
  const ready = Array.from({ length: 10_000 }, (_, i) => change(`prompt-${i % 100}`, `1.${Math.floor(i / 100)}.0`, i));
  return {
    slots: 3,
    subjects: [
      {
        name: "commit",
        role: "ours",
        durable: true,
        async: true,
        n: 10,
        op: (i) => driver.commit({ id: `c${i}`, at: AT, changes: [ready[i]] }),
      },
      {
        name: "prepared INSERT",
        role: "floor",
        durable: true,
        async: true,
        n: 10,
        op: (i) =>
          pool.query({
            name: "insert",
            text: "INSERT INTO bench.floor (name, version, content) VALUES ($1, $2, $3)",
            values: [ready[i].name, ready[i].add[0].version, ready[i].add[0].text],
          }),
      },
    ],
    goals: [{ vs: "prepared INSERT", most: 1.2, stretch: true }],
    close,
  };
}

async function batch(bench) {
  const { driver, change, close } = await setUp(bench);
  // Sealed beforehand: what is asked is what the database takes.
  const rounds = new Map();
  const changes = (tag, round) => Array.from({ length: 100 }, (_, i) => change(`${tag}-${round}-${i}`, "1.0.0", i));
  const prepared = (tag) => {
    const round = (rounds.get(tag) ?? 0) + 1;
    rounds.set(tag, round);
    return ready[tag][round - 1] ?? changes(tag, round);
  };
  const ready = Object.fromEntries(
    ["batch", "single"].map((tag) => [tag, Array.from({ length: 200 }, (_, i) => changes(tag, i + 1))]),
  );
  return {
    slots: 1,
    subjects: [
      {
        name: "100 at once",
        role: "ours",
        durable: true,
        async: true,
        n: 2,
        per: 100,
        op: (i) => driver.commit({ id: `b${i}`, at: AT, changes: prepared("batch") }),
      },
      {
        name: "one by one",
        role: "floor",
        durable: true,
        async: true,
        n: 1,
        per: 100,
        async op(i) {
          for (const one of prepared("single")) await driver.commit({ id: `s${i}`, at: AT, changes: [one] });
        },
      },
    ],
    goals: [{ vs: "one by one", faster: 8 }],
    close,
  };
}

async function page(bench) {
  const { driver, pool, close } = await setUp(bench);
  await pool.query(
    "INSERT INTO bench.prompts (name, live) SELECT 'prompt-' || lpad(i::text, 7, '0'), 1 FROM generate_series(1, 100000) i",
  );
  await pool.query("VACUUM ANALYZE bench.prompts");
  const at = Array.from({ length: 50 }, (_, i) => `prompt-${String(i * 1900).padStart(7, "0")}`);
  const text = "SELECT name FROM bench.prompts WHERE live = 1 AND name > $1 ORDER BY name LIMIT 101";
  return {
    slots: 3,
    subjects: [
      {
        name: "listPrompts",
        role: "ours",
        async: true,
        n: 20,
        op: (i) => driver.listPrompts({ limit: 100, cursor: at[i % 50] }),
      },
      {
        name: "raw keyset query",
        role: "floor",
        async: true,
        n: 20,
        op: (i) => pool.query({ name: "page", text, values: [at[i % 50]] }),
      },
    ],
    goals: [{ vs: "raw keyset query", most: 1.2 }],
    close,
  };
}

// A server is started for each: not within a minute.
const modes = ["default", "full"];
export const cases = [
  { id: "postgres-get", goal: "G10", title: "get a version from PostgreSQL", modes, prepare: get },
  { id: "postgres-store", goal: "G10", title: "store a new version in PostgreSQL", modes, prepare: store },
  {
    id: "postgres-batch",
    goal: "G10",
    title: "store 100 prompts in PostgreSQL at once; a record",
    modes,
    prepare: batch,
  },
  { id: "postgres-page", goal: "G10", title: "a page of 100 of 100,000 prompts in PostgreSQL", modes, prepare: page },
];
