import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createRandom } from "../../src/testing/random.ts";
import { createProgram, type Program, type ServerProcess } from "./server-process.ts";

const SEED = Number(process.env.PROCESS_SEED ?? 20_261_124);
const KILLS = Number(process.env.PROMPT_REGISTRY_SERVER_KILLS ?? 15);
const CLIENTS = 6;

let program: Program;
beforeAll(async () => {
  program = await createProgram();
});
afterAll(() => program?.dispose());

/** Sends it again until somebody answers for it. @returns the status, and how often it was sent */
async function insist(send: () => Promise<Response>, stopped: () => boolean): Promise<Answer | undefined> {
  for (let sent = 1; !stopped(); sent++) {
    try {
      const reply = await send();
      const text = await reply.text();
      if (reply.status < 500 && reply.status !== 429) return { status: reply.status, text, sent };
    } catch {
      // Nobody is there, or nobody any more.
    }
    await sleep(10);
  }
  return undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly sent: number;
}

interface Client {
  readonly name: string;
  /** Version and text of what was acknowledged. */
  readonly acks: Map<string, string>;
  moves: number;
  again: number;
  readonly wrong: string[];
}

test(`a server killed ${KILLS} times under load: what was acknowledged is there, and nothing twice`, {
  timeout: 60_000 + KILLS * 5000,
}, async () => {
  const random = createRandom(SEED);
  const path = join(program.folder, "kill.db");
  let server: ServerProcess = await program.start(["--storage", `sqlite:${path}`, "--open", "--port", "0"]);
  const { url, port } = server;
  let stop = false;
  let lost = false;
  const clients: Client[] = Array.from({ length: CLIENTS }, (_, who) => ({
    name: `kill/client-${who}`,
    acks: new Map(),
    moves: 0,
    again: 0,
    wrong: [],
  }));

  async function work(client: Client): Promise<void> {
    const base = `${url}/v1/prompts/${client.name}/-`;
    const json = { "content-type": "application/json" };
    for (let i = 0; !stop; i++) {
      const text = `text ${i} of ${client.name}\n${"body ".repeat(200)}`;
      // By number, or by the next number: then a second execution would make a second version.
      const isNext = i > 0 && i % 3 === 0;
      const version = `1.${i}.0`;
      const published = await insist(
        () =>
          isNext
            ? fetch(`${base}/versions`, {
                method: "POST",
                headers: json,
                body: JSON.stringify({ bump: "minor", text }),
              })
            : fetch(`${base}/versions/${version}`, {
                method: "PUT",
                headers: { "content-type": "text/markdown", "if-none-match": "*" },
                body: text,
              }),
        () => lost,
      );
      if (published === undefined) return;
      if (published.status !== 201 && published.status !== 200)
        client.wrong.push(`${version}: ${published.status} ${published.text}`);
      if (published.status === 200 && published.sent === 1) client.wrong.push(`${version} was there already`);
      if (published.sent > 1) client.again++;
      const told = (JSON.parse(published.text) as { version: string }).version;
      if (told !== version) client.wrong.push(`${told} instead of ${version}`);
      client.acks.set(told, text);
      const moved = await insist(
        () =>
          fetch(`${base}/labels/live`, {
            method: "PUT",
            headers: { ...json, ...(client.moves === 0 ? { "if-none-match": "*" } : { "if-match": "*" }) },
            body: JSON.stringify({ version: told }),
          }),
        () => lost,
      );
      if (moved === undefined) return;
      if (moved.status > 201) client.wrong.push(`label: ${moved.status} ${moved.text}`);
      client.moves++;
    }
  }

  const working = clients.map(work);
  const total = () => clients.reduce((sum, client) => sum + client.acks.size, 0);
  for (let round = 0; round < KILLS; round++) {
    const before = total();
    while (total() < before + 8 && clients.every((c) => c.wrong.length === 0)) await sleep(2);
    await sleep(random.int(40));
    await server.kill();
    server = await program.start(["--storage", `sqlite:${path}`, "--open", "--port", String(port)]);
  }
  stop = true;
  const patience = setTimeout(() => {
    lost = true;
  }, 20_000);
  await Promise.all(working);
  clearTimeout(patience);
  expect(lost).toBe(false);
  expect(await server.stop()).toBe(0);

  expect(clients.flatMap((client) => client.wrong)).toEqual([]);
  // Kills hit requests that were under way, or this shows nothing.
  expect(clients.reduce((sum, client) => sum + client.again, 0)).toBeGreaterThan(KILLS / 3);
  const registry = new PromptRegistry(await sqlite({ path }));
  for (const { name, acks, moves } of clients) {
    for (const [version, text] of acks) expect((await registry.getPrompt(`${name}@${version}`)).text).toBe(text);
    const versions = (await registry.listVersions(name).all()).map((entry) => entry.version);
    expect([...versions].sort()).toEqual([...acks.keys()].sort());
    const history = await registry.history(name).all();
    expect(history.filter((entry) => entry.action === "publish")).toHaveLength(acks.size);
    expect(history.filter((entry) => entry.action === "label")).toHaveLength(moves);
    expect((await registry.getPrompt(`${name}@live`)).version).toBe([...acks.keys()].at(-1));
  }
  expect((await registry.verify()).problems).toEqual([]);
  await registry.close();
});

test("a stop under load: every request that was accepted is answered, and the process ends with 0", async () => {
  const path = join(program.folder, "drain.db");
  const server = await program.start(["--storage", `sqlite:${path}`, "--open", "--port", "0", "--drain", "15s"]);
  let stopping = false;
  const bad: string[] = [];
  const acks: string[] = [];
  const working = Array.from({ length: 8 }, async (_, who) => {
    for (let i = 0; i < 100_000; i++) {
      const version = `1.${i}.0`;
      try {
        const reply = await fetch(`${server.url}/v1/prompts/drain/client-${who}/-/versions/${version}`, {
          method: "PUT",
          headers: { "content-type": "text/markdown", "if-none-match": "*" },
          body: `text ${i}`,
        });
        await reply.text();
        if (reply.status === 201) acks.push(`drain/client-${who}@${version}`);
        else bad.push(`${reply.status}`);
      } catch (error) {
        const { code } = (error as { cause?: { code?: string } }).cause ?? {};
        // Refused is not accepted; anything else is a request that was lost.
        if (!stopping || code !== "ECONNREFUSED") bad.push(String(code));
        return;
      }
    }
  });
  while (acks.length < 40 && bad.length === 0) await sleep(2);
  stopping = true;
  const code = await server.stop("SIGTERM");
  await Promise.all(working);
  expect(bad).toEqual([]);
  expect(code).toBe(0);
  const registry = new PromptRegistry(await sqlite({ path }));
  for (const ack of acks) await registry.getPrompt(ack);
  await registry.close();
});

test("a second signal ends it at once", { timeout: 30_000 }, async () => {
  const server = await program.start(["--storage", "memory:", "--open", "--port", "0", "--drain", "60s"]);
  // A client that never sends the rest holds up the drain.
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  const head = `PUT /v1/prompts/a/-/versions/1.0.0 HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nIf-None-Match: *\r\n`;
  socket.write(`${head}Content-Type: text/markdown\r\nContent-Length: 100\r\n\r\nx`);
  await sleep(200);
  const gone = server.stop("SIGINT");
  while (!server.stderr.includes('"draining","inFlight":1')) await sleep(5);
  server.signal("SIGINT");
  expect(await gone).toBe(130);
  socket.destroy();
});
