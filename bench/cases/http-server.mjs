import { fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promptText } from "../lib/data.mjs";

const CHILD = fileURLToPath(new URL("../lib/http-child.mjs", import.meta.url));
const PATH = "/v1/prompts/bench/pinned/-/versions/1.0.0";
const CONNECTIONS = 16;

async function start(order) {
  const child = fork(CHILD, [], { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] });
  const told = await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", () => reject(new Error("the server did not start")));
    child.send(order);
  });
  if (told.failed !== undefined) throw new Error(told.failed);
  return { ...told, stop: () => child.disconnect() };
}

function startOurs(bench, storage) {
  const documents = [{ name: "bench/pinned", version: "1.0.0", text: promptText(1) }];
  return start({ what: "ours", dist: bench.dist.folder, storage, documents });
}

/** `n` requests over 16 connections that are kept; anything but the answer that is meant is a mistake of the benchmark. */
async function ask(autocannon, url, n, options) {
  const { wanted = "2xx", ...rest } = options;
  const result = await autocannon({ url, amount: n, connections: CONNECTIONS, timeout: 30, ...rest });
  const counted = wanted === "304" ? result["3xx"] : result[wanted];
  if (counted !== n || result.errors > 0) throw new Error(`${url}: ${counted} of ${n} were ${wanted}`);
}

/** What ours answers, header by header, for the other to send as well. */
async function answerOf(url, headers) {
  // The first is worked on, the second lies ready.
  for (let i = 0; i < 20; i++) await (await fetch(url, { headers })).arrayBuffer();
  const reply = await fetch(url, { headers });
  const own = new Set(["date", "connection", "keep-alive", "x-request-id"]);
  const sent = [...reply.headers].filter(([name]) => !own.has(name));
  return { status: 200, headers: sent, body: Buffer.from(await reply.arrayBuffer()).toString("base64") };
}

async function get(bench) {
  const autocannon = await bench.rival("autocannon");
  if (autocannon === undefined) return { subjects: [], goals: [] };
  const server = await startOurs(bench, "memory:");
  const headers = { authorization: `Bearer ${server.token}`, "accept-encoding": "identity" };
  const answer = await answerOf(server.url + PATH, headers);
  const floor = await start({ what: "bare", answer });
  const loop = (url) => (n) => ask(autocannon, url, n, { headers });
  return {
    slots: 2,
    warmMs: 1500,
    subjects: [
      { name: "prompt-registry", role: "ours", async: true, n: 6000, loop: loop(server.url + PATH) },
      { name: "bare node:http", role: "floor", async: true, n: 6000, loop: loop(floor.url + PATH) },
    ],
    // 85 % of its requests a second.
    goals: [{ vs: "bare node:http", most: 1 / 0.85 }],
    close() {
      server.stop();
      floor.stop();
    },
  };
}

async function unchanged(bench) {
  const autocannon = await bench.rival("autocannon");
  if (autocannon === undefined) return { subjects: [], goals: [] };
  const server = await startOurs(bench, "memory:");
  const headers = { authorization: `Bearer ${server.token}`, "accept-encoding": "identity" };
  const { headers: sent } = await answerOf(server.url + PATH, headers);
  const etag = sent.find(([name]) => name === "etag")[1];
  const url = server.url + PATH;
  const conditional = { headers: { ...headers, "if-none-match": etag }, wanted: "304" };
  return {
    slots: 2,
    warmMs: 1500,
    subjects: [
      { name: "304", role: "ours", async: true, n: 6000, loop: (n) => ask(autocannon, url, n, conditional) },
      { name: "own 200", role: "rival", async: true, n: 6000, loop: (n) => ask(autocannon, url, n, { headers }) },
    ],
    goals: [{ vs: "own 200", faster: 1.1 }],
    close: () => server.stop(),
  };
}

async function publish(bench) {
  const autocannon = await bench.rival("autocannon");
  if (autocannon === undefined) return { subjects: [], goals: [] };
  const server = await startOurs(bench, `sqlite:${join(bench.scratch(), "publish.db")}`);
  const headers = {
    authorization: `Bearer ${server.token}`,
    "content-type": "text/markdown",
    "if-none-match": "*",
  };
  let serial = 0;
  const setupRequest = (request) => {
    const i = serial++;
    const path = `/v1/prompts/bench/p${i % 100}/-/versions/1.${i}.0`;
    return { ...request, path, body: promptText(i) };
  };
  const requests = [{ method: "PUT", headers, setupRequest }];
  return {
    slots: 1,
    warmMs: 500,
    subjects: [
      {
        name: "PUT of a version, SQLite, synchronous=FULL",
        role: "ours",
        durable: true,
        async: true,
        n: 200,
        loop: (n) => ask(autocannon, server.url, n, { requests }),
      },
    ],
    // 200 a second.
    goals: [{ ns: 1e9 / 200 }],
    close: () => server.stop(),
  };
}

export const cases = [
  { id: "http-get", goal: "G12", title: "GET of a pinned 2 KB version, with a token", prepare: get },
  { id: "http-304", goal: "G12", title: "304 for a version that is known", prepare: unchanged },
  { id: "http-publish", goal: "G12", title: "durable publish over HTTP", prepare: publish },
];
