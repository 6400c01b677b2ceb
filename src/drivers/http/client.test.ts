import { createServer } from "node:net";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { collectAlways } from "../../../test/support/collected.ts";
import { isRegistryError, type RegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { createHandler, openAccess } from "../../server/handler.ts";
import { commitReply, readsReply } from "../../server/protocol/schemas.ts";
import { memory } from "../memory.ts";
import { Client } from "./client.ts";
import { http } from "./index.ts";
import { placeOf } from "./options.ts";

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function clientOf(fetch: (request: Request) => Promise<Response>, deadline?: number): Client {
  const client = new Client(placeOf("http://127.0.0.1:1"), { fetch, deadline });
  clients.push(client);
  return client;
}

const read = { method: "POST", path: "/v1/reads", body: "{}", reply: readsReply, operation: "read" } as const;
const write = { ...read, path: "/v1/commits", reply: commitReply, operation: "commit", mutates: true } as const;

async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (isRegistryError(error)) return error;
  throw new Error(`expected a RegistryError, got ${String(error)}`);
}

test("a check that is told not to try anything asks the server for no check of its own", async () => {
  const handler = createHandler(new PromptRegistry(memory()), { access: openAccess() });
  const paths: string[] = [];
  const driver = await http({
    ...{ url: "http://127.0.0.1:1", token: "t", env: {} },
    fetch: async (request) => {
      paths.push(new URL(request.url).pathname);
      return handler(request);
    },
  });
  expect((await driver.check({ probe: false })).ok).toBe(true);
  expect(paths).not.toContain("/v1/check");
  expect((await driver.check()).inner).toHaveLength(1);
  expect(paths).toContain("/v1/check");
  handler.close();
});

test("a reply without an end is not read to its end", async () => {
  const piece = new Uint8Array(2 ** 20);
  let pieces = 0;
  let ended = 0;
  const endless = async () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          // Something fails here before the memory does.
          if (++pieces > 200) controller.error(new Error("too much was read"));
          else controller.enqueue(piece);
        },
        cancel() {
          ended++;
        },
      }),
      { headers: { "content-type": "application/json" } },
    );
  const client = clientOf(endless);
  const reading = await failure(client.ask(read));
  expect(reading).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
  expect(reading.message).toContain("larger than");
  expect(pieces).toBeLessThan(50);
  expect(await failure(client.ask(write))).toMatchObject({ code: "UNAVAILABLE", outcome: "unknown" });
  expect(ended).toBe(2);
});

test("a server that never answers is given up; what it did is then unknown", async () => {
  const silent = (request: Request) =>
    new Promise<Response>((_, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason as Error));
    });
  const client = clientOf(silent, 20);
  expect(await failure(client.ask(read))).toMatchObject({ code: "TIMEOUT", outcome: "temporary" });
  expect(await failure(client.ask(write))).toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
});

test("a reply that begins and never ends is given up as well", async () => {
  const stuck = async (request: Request) =>
    new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(10));
          request.signal.addEventListener("abort", () => controller.error(request.signal.reason));
        },
      }),
    );
  expect(await failure(clientOf(stuck, 20).ask(write))).toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
});

test("a server that takes a call and never answers is waited for until the deadline, whatever is collected meanwhile", async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  collectAlways();
  const { port } = server.address() as { port: number };
  // The driver's own opening asks, too.
  const started = performance.now();
  const driver = await http({ url: `http://127.0.0.1:${port}`, deadline: 400, env: {} });
  onTestFinished(() => driver.close());
  await expect(driver.listPrompts({ limit: 1 })).rejects.toMatchObject({ code: "TIMEOUT", outcome: "temporary" });
  expect(performance.now() - started).toBeLessThan(5000);
});

test("a handler of this package, or of another, is a fetch", async () => {
  const handler = createHandler(new PromptRegistry(memory()), { access: openAccess() });
  const given: unknown[] = [];
  const driver = await http({ ...{ url: "http://127.0.0.1:1", token: "t", env: {} }, fetch: handler });
  expect((await driver.listPrompts({ limit: 1 })).items).toEqual([]);
  const other = await http({
    ...{ url: "http://127.0.0.1:1", token: "t", env: {} },
    fetch: (request, ...rest: unknown[]) => {
      given.push(...rest);
      return handler(request);
    },
  });
  expect((await other.listPrompts({ limit: 1 })).items).toEqual([]);
  // A second argument is something else to others.
  expect(given).toEqual([]);
  handler.close();
});

test("a fetch that knows no signal ends with the deadline all the same, and a change is unknown then", async () => {
  const deaf = clientOf(() => new Promise(() => {}), 50);
  expect(await failure(deaf.ask(read))).toMatchObject({ code: "TIMEOUT", outcome: "temporary" });
  expect(await failure(deaf.ask(write))).toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
});
