import { join } from "node:path";
import { promptText } from "../lib/data.mjs";
import { overload } from "../lib/http-overload.mjs";
import { startBare, startOurs, startVerdaccio } from "../lib/http-servers.mjs";
import { hasWrk, wrk } from "../lib/wrk.mjs";

const PATH = "/v1/prompts/bench/pinned/-/versions/1.0.0";
const PINNED = [{ name: "bench/pinned", version: "1.0.0", text: promptText(1) }];
const CONNECTIONS = 16;

/**
 * As many requests as can be made over 16 connections in a second; anything but the answer that is meant is a mistake of the
 * benchmark.
 *
 * @returns nanoseconds of one: autocannon ends with a tick of its own clock, so what is measured around it is that tick
 */
async function ask(autocannon, url, { wanted = "2xx", ...rest }) {
  const result = await autocannon({ url, duration: 1, connections: CONNECTIONS, timeout: 30, ...rest });
  const counted = wanted === "304" ? result["3xx"] : result[wanted];
  if (counted !== result.requests.total || counted === 0 || result.errors > 0) {
    throw new Error(`${url}: ${counted} of ${result.requests.total} were ${wanted}`);
  }
  return (result.duration * 1e9) / counted;
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
  const server = await startOurs(bench, "memory:", { documents: PINNED });
  const headers = { authorization: `Bearer ${server.token}`, "accept-encoding": "identity" };
  const answer = await answerOf(server.url + PATH, headers);
  const floor = await startBare(answer);
  const loop = (url) => () => ask(autocannon, url, { headers });
  return {
    slots: 1,
    warmMs: 1500,
    subjects: [
      { name: "prompt-registry", role: "ours", async: true, told: true, n: 1, loop: loop(server.url + PATH) },
      { name: "bare node:http", role: "floor", async: true, told: true, n: 1, loop: loop(floor.url + PATH) },
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
  const server = await startOurs(bench, "memory:", { documents: PINNED });
  const headers = { authorization: `Bearer ${server.token}`, "accept-encoding": "identity" };
  const { headers: sent } = await answerOf(server.url + PATH, headers);
  const etag = sent.find(([name]) => name === "etag")[1];
  const url = server.url + PATH;
  const conditional = { headers: { ...headers, "if-none-match": etag }, wanted: "304" };
  return {
    slots: 1,
    warmMs: 1500,
    subjects: [
      { name: "304", role: "ours", async: true, told: true, n: 1, loop: () => ask(autocannon, url, conditional) },
      { name: "own 200", role: "rival", async: true, told: true, n: 1, loop: () => ask(autocannon, url, { headers }) },
    ],
    goals: [{ vs: "own 200", faster: 1.1 }],
    close: () => server.stop(),
  };
}

/** The same two questions again, of a client that is not what is measured. */
async function byWrk(bench) {
  if (!hasWrk(console.log)) return undefined;
  const server = await startOurs(bench, "memory:", { documents: PINNED });
  const headers = { authorization: `Bearer ${server.token}`, "accept-encoding": "identity" };
  const url = server.url + PATH;
  const answer = await answerOf(url, headers);
  const subject = (name, role, at, more) => ({
    ...{ name, role, async: true, told: true, n: 1 },
    loop: () => wrk(at, { headers, connections: CONNECTIONS, ...more }),
  });
  return { server, headers, url, answer, subject };
}

async function getByWrk(bench) {
  const set = await byWrk(bench);
  if (set === undefined) return { subjects: [], goals: [] };
  const { server, url, answer, subject } = set;
  const floor = await startBare(answer);
  const verdaccio = await startVerdaccio(bench.scratch(), console.log);
  return {
    slots: 1,
    warmMs: 1500,
    subjects: [
      subject("prompt-registry", "ours", url),
      subject("bare node:http", "floor", floor.url + PATH),
      ...(verdaccio === undefined ? [] : [subject("verdaccio packument", "rival", verdaccio.url, { headers: {} })]),
    ],
    goals: [
      { vs: "bare node:http", most: 1 / 0.85 },
      ...(verdaccio === undefined ? [] : [{ vs: "verdaccio packument", faster: 15 }]),
    ],
    close() {
      for (const one of [server, floor, verdaccio]) one?.stop();
    },
  };
}

async function unchangedByWrk(bench) {
  const set = await byWrk(bench);
  if (set === undefined) return { subjects: [], goals: [] };
  const { server, headers, url, answer, subject } = set;
  const etag = answer.headers.find(([name]) => name === "etag")[1];
  const conditional = { headers: { ...headers, "if-none-match": etag }, status: 304 };
  return {
    slots: 1,
    warmMs: 1500,
    subjects: [subject("304", "ours", url, conditional), subject("own 200", "rival", url)],
    goals: [{ vs: "own 200", faster: 1.1 }],
    close: () => server.stop(),
  };
}

async function tooMuch(bench) {
  const concurrency = 16;
  const storage = `sqlite:${join(bench.scratch(), "overload.db")}`;
  const server = await startOurs(bench, storage, { limits: { concurrency, queue: concurrency / 2 } });
  const headers = {
    authorization: `Bearer ${server.token}`,
    "content-type": "text/markdown",
    "if-none-match": "*",
  };
  let serial = 0;
  const next = () => {
    const i = serial++;
    return { path: `/v1/prompts/bench/p${i % 50}/-/versions/1.${i}.0`, text: `text ${i}` };
  };
  const load = (name, role, clients) => ({
    ...{ name, role, async: true, told: true, n: 1 },
    loop: () => overload({ url: server.url, headers, clients, ms: 1500, next }),
  });
  return {
    slots: 1,
    warmMs: 1500,
    subjects: [
      load("accepted at ten times the load, p99", "ours", concurrency * 10),
      load("p99 at full load", "floor", concurrency),
    ],
    goals: [{ vs: "p99 at full load", most: 2 }],
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
        told: true,
        n: 1,
        loop: () => ask(autocannon, server.url, { requests }),
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
  { id: "http-wrk-get", goal: "G12", title: "the same, asked by wrk", prepare: getByWrk },
  { id: "http-wrk-304", goal: "G12", title: "304 for a version that is known, asked by wrk", prepare: unchangedByWrk },
  { id: "http-overload", goal: "G12", title: "publishes that are accepted under overload", prepare: tooMuch },
  { id: "http-publish", goal: "G12", title: "durable publish over HTTP", prepare: publish },
];
