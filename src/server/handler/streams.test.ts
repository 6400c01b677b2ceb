import { describe, expect, it } from "vitest";
import { accessOf, httpWorld } from "../../../test/support/http-world.ts";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import type { createHandler } from "../handler.ts";
import type { Access, Principal } from "../types.ts";
import { Streams } from "./streams.ts";

const PRINCIPAL: Principal = { id: "token:a", name: "a", grants: [] };
const ANONYMOUS: Principal = { id: "anonymous", name: "anonymous", grants: [] };

async function listen(handler: ReturnType<typeof createHandler>, token = "team", headers = {}) {
  const response = await handler(
    new Request("http://r/v1/changes", {
      headers: { accept: "text/event-stream", authorization: `Bearer ${token}`, ...headers },
    }),
    { address: "10.0.0.1" },
  );
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let text = "";
  return {
    status: response.status,
    close: () => reader.cancel(),
    async until(wanted: RegExp): Promise<string> {
      while (!wanted.test(text)) {
        const { value, done } = await reader.read();
        if (done) return `${text}<ended>`;
        text += new TextDecoder().decode(value);
      }
      return text;
    },
  };
}

describe("places for event streams", () => {
  it("one caller gets a tenth, those without credentials half, by address", () => {
    const streams = new Streams(20);
    const leave = [streams.enter(PRINCIPAL, "10.0.0.1"), streams.enter(PRINCIPAL, "10.0.0.2")];
    const limited = expect.objectContaining({ code: "RATE_LIMITED", status: 429 });
    expect(() => streams.enter(PRINCIPAL, "10.0.0.3")).toThrow(limited);
    leave[0]?.();
    leave[0]?.();
    expect(streams.size).toBe(1);
    streams.enter(PRINCIPAL, "10.0.0.1");
    for (let i = 0; i < 5; i++) for (let k = 0; k < 2; k++) streams.enter(ANONYMOUS, `10.0.1.${i}`);
    expect(() => streams.enter(ANONYMOUS, "10.0.1.0")).toThrow(expect.objectContaining({ code: "UNAVAILABLE" }));
    expect(() => streams.enter({ ...PRINCIPAL, id: "token:b" }, undefined)).not.toThrow();
    expect(() => new Streams(20).enter(ANONYMOUS, undefined)).not.toThrow();
  });

  it("each handler counts its own, and a stream that ends gives its place back", async () => {
    const access = accessOf({ team: [{ right: "read", prefix: "" }] });
    const one = httpWorld({ access, maxStreams: 1 });
    const other = httpWorld({ access, maxStreams: 1 });
    const first = await listen(one.handler);
    expect([first.status, (await listen(other.handler)).status, (await listen(one.handler)).status]).toEqual([
      200, 200, 503,
    ]);
    await first.close();
    const second = await listen(one.handler);
    expect(second.status).toBe(200);
    await second.close();
    expect((await listen(one.handler, "team", { "last-event-id": "no cursor" })).status).toBe(400);
    one.handler.close();
    other.handler.close();
  });
});

describe("event streams", () => {
  it("what they cost the storage does not grow with their number", async () => {
    const driver = memory();
    const { handler, registry } = httpWorld(
      { access: accessOf({ team: [{ right: "read", prefix: "" }] }), pollInterval: 10 },
      driver,
    );
    const streams = await Promise.all(Array.from({ length: 50 }, () => listen(handler)));
    await registry.storePrompt({ name: "warm", version: "1.0.0", text: "t" });
    let asked = 0;
    const { changes } = driver;
    driver.changes = (query, op) => {
      asked++;
      return changes.call(driver, query, op);
    };
    const asking = async () => {
      const before = asked;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return asked - before;
    };
    // Each reads for itself until it has caught up.
    await Promise.all(streams.map((stream) => stream.until(/"warm"/)));
    await expect.poll(asking).toBeLessThan(25);
    asked = 0;
    await registry.storePrompt({ name: "team/a", version: "1.0.0", text: "t" });
    const started = performance.now();
    await Promise.all(streams.map((stream) => stream.until(/team\/a/)));
    // The one watcher asks once or twice each time it looks.
    expect(asked).toBeLessThan(10 + (performance.now() - started) / 4);
    expect(asked).toBeGreaterThan(0);
    for (const stream of streams) await stream.close();
    handler.close();
  });

  it("nothing is told after the credentials were revoked", async () => {
    const inner = accessOf({ team: [{ right: "read", prefix: "" }] });
    let isRevoked = false;
    const access: Access = {
      ...inner,
      async authenticate(request) {
        if (isRevoked) throw new RegistryError("UNAUTHENTICATED", "revoked");
        return inner.authenticate(request);
      },
      remembered: (request) => (isRevoked ? undefined : inner.remembered?.(request)),
    };
    const { handler, registry } = httpWorld({ access, pollInterval: 10 });
    const stream = await listen(handler);
    await registry.storePrompt({ name: "before", version: "1.0.0", text: "t" });
    await stream.until(/before/);
    isRevoked = true;
    await registry.storePrompt({ name: "after", version: "1.0.0", text: "t" });
    const text = await stream.until(/never/);
    expect(text).toMatch(/<ended>$/);
    expect(text).not.toContain("after");
    handler.close();
  });

  it("after the feed was away, what came meanwhile is told", async () => {
    const driver = memory();
    const { changes } = driver;
    const { handler, registry } = httpWorld(
      { access: accessOf({ team: [{ right: "read", prefix: "" }] }), pollInterval: 10 },
      driver,
    );
    const stream = await listen(handler);
    await registry.storePrompt({ name: "before", version: "1.0.0", text: "t" });
    await stream.until(/before/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    driver.changes = async () => {
      throw new RegistryError("HISTORY_REWRITTEN", "start again");
    };
    await new Promise((resolve) => setTimeout(resolve, 50));
    await registry.storePrompt({ name: "meanwhile", version: "1.0.0", text: "t" });
    driver.changes = changes;
    expect(await stream.until(/meanwhile/)).toContain("meanwhile");
    await stream.close();
    handler.close();
  });
});
