import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { memory } from "../../drivers/memory.ts";
import { RegistryError } from "../../errors.ts";
import { cache, cacheOf, stack } from "../../layers/index.ts";
import { PromptRegistry } from "../../registry.ts";
import { addressList, clientAddress, headRefusal, hostCheck, isLoopback, targetRefusal } from "../node/check.ts";
import type { Access } from "../types.ts";
import { addressKey, Buckets } from "./buckets.ts";
import { Gate } from "./gate.ts";
import { ReadinessCheck } from "./health.ts";
import { checkLimits, throttled } from "./limits.ts";
import { createLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { givenRequestId } from "./request-id.ts";
import { counted } from "./storage.ts";
import { watchChanges } from "./watch.ts";

describe("buckets", () => {
  test("give what is in them at once, then as fast as they are filled", () => {
    let now = 0;
    const buckets = new Buckets({ rate: 10, burst: 3 }, { now: () => now });
    expect([1, 2, 3].map(() => buckets.take("a"))).toEqual([0, 0, 0]);
    expect(buckets.take("a")).toBe(100);
    expect(buckets.wait("a")).toBe(100);
    expect(buckets.take("b")).toBe(0);
    now = 100;
    expect([buckets.take("a"), buckets.take("a")]).toEqual([0, 100]);
    now = 10_000;
    expect([1, 2, 3, 4].map(() => buckets.take("a") === 0)).toEqual([true, true, true, false]);
  });

  test("are forgotten when they are full, and never more than there may be", () => {
    let now = 0;
    const buckets = new Buckets({ rate: 1, burst: 1 }, { now: () => now, maxKeys: 100 });
    for (let i = 0; i < 1000; i++) {
      buckets.take(`key ${i}`);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
    now = 5000;
    buckets.take("late");
    for (let i = 0; i < 100; i++) buckets.take(`later ${i}`);
    expect(buckets.take("later 99")).toBeGreaterThan(0);
  });

  test("count a network of IPv6, and IPv4 as such", () => {
    expect(addressKey("2001:db8:1:2:3:4:5:6")).toBe(addressKey("2001:db8:1:2::9"));
    expect(addressKey("2001:db8:1:2::9")).not.toBe(addressKey("2001:db8:1:3::9"));
    expect(addressKey("::ffff:10.0.0.1")).toBe("10.0.0.1");
    expect(addressKey("2001:db8::1")).toBe("2001:db8:0:0::/64");
  });
});

describe("the gate", () => {
  test("lets in, lets wait, turns away, and gives a place from one to the next", async () => {
    const gate = new Gate({ concurrency: 2, queue: 1, wait: 10_000 });
    expect([gate.enter(), gate.enter()]).toEqual([true, true]);
    const third = gate.enter();
    expect(gate.enter()).toBe(false);
    gate.leave();
    expect(await third).toBe(true);
    expect([gate.inside, gate.waiting]).toEqual([2, 0]);
    gate.leave();
    gate.leave();
    // What came in the same turn of the event loop was there at the same time.
    expect([gate.inside, await gate.enter()]).toEqual([2, true]);
    gate.leave();
    await sleep(5);
    expect(gate.inside).toBe(0);
  });

  test("sends away who waited too long", async () => {
    const gate = new Gate({ concurrency: 1, queue: 1, wait: 10 });
    gate.enter();
    expect(await gate.enter()).toBe(false);
    gate.leave();
    await sleep(5);
    expect([gate.inside, gate.enter()]).toEqual([0, true]);
  });
});

test("a limit that is none is refused", () => {
  expect(checkLimits({ queue: 0 }).queue).toBe(0);
  for (const wrong of [{ concurrency: 0 }, { streams: 1.5 }, { principalRate: { rate: 0 } }, { nothing: 1 } as object])
    expect(() => checkLimits(wrong)).toThrow(RegistryError);
});

test("a principal is counted when its answer is known, and told when to come back", async () => {
  let now = 0;
  const someone = { id: "token:a", name: "a", grants: [] };
  const inner: Access = { authenticate: async () => someone, remembered: () => someone, allows: () => true };
  const access = throttled(inner, { rate: 1, burst: 2 }, () => now);
  const request = { authorization: "x", address: undefined };
  for (let i = 0; i < 2; i++) {
    expect(access.remembered?.(request)).toBe(someone);
    expect(await access.authenticate(request)).toBe(someone);
    access.debit(someone);
  }
  expect(access.remembered?.(request)).toBeUndefined();
  const error = await access.authenticate(request).catch((e: RegistryError) => e);
  expect(error).toMatchObject({ code: "RATE_LIMITED", context: { retryAfter: 1000 } });
  now = 1000;
  expect(await access.authenticate(request)).toBe(someone);
});

describe("the log", () => {
  const entry = { method: "GET", route: "GET /v1", ms: 1.23456, code: undefined, name: undefined };

  test("has a line of JSON for each request, with nothing in it that could forge another", () => {
    const lines: string[] = [];
    const log = createLog((text) => lines.push(...text.trimEnd().split("\n")));
    const principal = { id: "token:x", name: 'a"\n{"level":"forged"}', grants: [] };
    log.request({ requestId: "id-1", address: "10.0.0.1", ...entry, status: 200, principal });
    log.request({ requestId: "id-2", ...entry, status: 503, code: "UNAVAILABLE", principal: undefined });
    log.flush();
    const [first, second, ...more] = lines.map((line) => JSON.parse(line));
    expect(more).toEqual([]);
    expect(first).toMatchObject({ level: "info", requestId: "id-1", ms: 1.235, principalName: principal.name });
    expect(Date.parse(first.time)).toBeGreaterThan(Date.now() - 60_000);
    expect(second).toMatchObject({ level: "error", status: 503, code: "UNAVAILABLE" });
  });

  test("tells what is asked for, and what the server itself has to say always", () => {
    const told = (level: "all" | "errors" | "off") => {
      let text = "";
      const log = createLog((lines) => {
        text += lines;
      }, level);
      for (const status of [200, 404]) log.request({ requestId: "id", ...entry, status, principal: undefined });
      log.event("warn", "something");
      log.close();
      return text.trimEnd().split("\n").length;
    };
    expect([told("all"), told("errors"), told("off")]).toEqual([3, 2, 1]);
  });
});

test("an id of the caller is taken where it can stand in a log as it is", () => {
  expect(givenRequestId("a1b2c3d4-e5")).toBe("a1b2c3d4-e5");
  for (const odd of ["", "short", "x".repeat(65), 'quote"quote', "line\nbreak", "späße-und-so", ["twice", "given"]])
    expect(givenRequestId(odd)).toBeUndefined();
});

test("figures keep to few series, whatever is asked", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 1000; i++) metrics.request(`route ${i}`, `METHOD${i}`, 200, 1);
  const gauges = { inFlight: 0, queued: 0, connections: 0, streams: 0, ready: true };
  const text = metrics.text(gauges);
  metrics.close();
  expect(text.match(/^prompt_registry_http_requests_total\{/gm)?.length).toBeLessThanOrEqual(202);
  expect(text).toContain('method="other"');
});

test("a storage that is counted tells of every call, and how it ended", async () => {
  const calls: string[] = [];
  const driver = counted(memory(), ({ operation, result }) => calls.push(`${operation} ${result}`));
  const registry = new PromptRegistry(driver);
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "x" });
  await registry.listPrompts();
  await registry.check();
  await registry.close();
  await registry.changes().catch(() => {});
  expect(calls).toEqual(["commit ok", "listPrompts ok", "check ok", "changes ABORTED"]);
});

describe("readiness", () => {
  test("is asked once for many, and no is an answer in time", async () => {
    let checks = 0;
    const inner = memory();
    const hanging = { ...inner, changes: () => new Promise<never>(() => checks++) };
    const readiness = new ReadinessCheck(new PromptRegistry(hanging), { deadline: 20 });
    const looks = await Promise.all([readiness.look(), readiness.look(), readiness.look()]);
    expect(looks.map((one) => one.state)).toEqual(["unavailable", "unavailable", "unavailable"]);
    expect((await readiness.look()).ok).toBe(false);
    expect(checks).toBe(1);
  });

  test("ends with the first word of a stop", async () => {
    const readiness = new ReadinessCheck(new PromptRegistry(memory()));
    expect((await readiness.look()).state).toBe("ready");
    readiness.drain();
    expect((await readiness.look()).state).toBe("draining");
  });
});

describe("watching the feed", () => {
  const until = async (holds: () => Promise<boolean>) => {
    for (let i = 0; i < 400 && !(await holds()); i++) await sleep(5);
    return holds();
  };

  /** Two servers on one storage, of which the second has a cache. */
  async function two(native: unknown = undefined) {
    const store = memory();
    const shared = { ...store, native, close: async () => {} };
    const one = new PromptRegistry(store);
    const other = new PromptRegistry(stack(shared, [cache({ ttl: 3_600_000, staleWhileRevalidate: 0 })]));
    await one.storePrompt({ name: "a", version: "1.0.0", text: "x" });
    expect((await other.getPrompt("a")).version).toBe("1.0.0");
    return { one, other };
  }

  test("a change elsewhere ends what the cache remembers", async () => {
    const { one, other } = await two();
    const watch = watchChanges(other, { poll: 5 });
    await sleep(20);
    await one.storePrompt({ name: "a", version: "2.0.0", text: "y" });
    expect(await until(async () => (await other.getPrompt("a")).version === "2.0.0")).toBe(true);
    await watch.stop();
    expect(cacheOf(other.driver)?.stats.invalidated).toBeGreaterThan(0);
  });

  test("a storage that calls is looked at when it calls", async () => {
    let heard: ((names: readonly string[] | undefined) => void) | undefined;
    let stopped = false;
    const listen = async (handler: typeof heard) => {
      heard = handler;
      return async () => {
        stopped = true;
      };
    };
    const { one, other } = await two({ listen });
    const watch = watchChanges(other, { poll: 3_600_000 });
    await until(async () => heard !== undefined);
    await sleep(20);
    await one.storePrompt({ name: "a", version: "2.0.0", text: "y" });
    expect((await other.getPrompt("a")).version).toBe("1.0.0");
    heard?.(["a"]);
    expect(await until(async () => (await other.getPrompt("a")).version === "2.0.0")).toBe(true);
    await watch.stop();
    expect(stopped).toBe(true);
  });

  test("an outage is waited out, and told once", async () => {
    const store = memory();
    let down = false;
    const changes: typeof store.changes = async (query, op) => {
      if (down) throw new RegistryError("UNAVAILABLE", "down");
      return store.changes(query, op);
    };
    const registry = new PromptRegistry({ ...store, changes });
    const names: string[] = [];
    const troubles: boolean[] = [];
    const watch = watchChanges(registry, {
      poll: 5,
      changed: (changed) => names.push(...(changed ?? ["all"])),
      trouble: (error) => troubles.push(error !== undefined),
    });
    await sleep(20);
    down = true;
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "x" });
    await sleep(20);
    down = false;
    expect(await until(async () => names.includes("a"))).toBe(true);
    expect(names).not.toContain("all");
    expect(troubles).toContain(true);
    await watch.stop();
  });
});

describe("requests as they stand on the wire", () => {
  test("headers that must stand once", () => {
    expect(headRefusal("GET", ["Host", "a", "Accept", "b", "Accept", "c"])).toBeUndefined();
    expect(headRefusal("GET", ["Host", "a", "host", "a"])?.status).toBe(400);
    expect(headRefusal("POST", ["Transfer-Encoding", "gzip, chunked"])?.status).toBe(501);
    expect(headRefusal("POST", ["Transfer-Encoding", "chunked", "Content-Length", "1"])?.status).toBe(400);
    expect(headRefusal("BREW", [])?.status).toBe(501);
  });

  test("targets that a parser would mend", () => {
    expect(targetRefusal("/v1/prompts/a/b/-/versions/1.0.0")).toBeUndefined();
    for (const odd of ["/a/../b", "/a/%2e%2e/b", "/a%2fb", "//a", "http://a/b", "*", "/a\\b", "/a#b", "/a\0"])
      expect(targetRefusal(odd)?.status).toBe(400);
  });

  test("addresses, through proxies that are trusted and no others", () => {
    const isTrusted = addressList("trustedProxies", ["10.0.0.0/8", "::1"]);
    const from = (peer: string, header?: string) => clientAddress(peer, header, isTrusted);
    expect(from("10.1.1.1", "1.2.3.4")).toBe("1.2.3.4");
    expect(from("::ffff:10.1.1.1", "9.9.9.9, 1.2.3.4, 10.2.2.2")).toBe("1.2.3.4");
    expect(from("8.8.8.8", "1.2.3.4")).toBe("8.8.8.8");
    expect(from("10.1.1.1", "not an address")).toBe("10.1.1.1");
    expect(from("10.1.1.1")).toBe("10.1.1.1");
    for (const odd of ["x", "10.0.0.0/33", "10.0.0.0/x", ""])
      expect(() => addressList("trustedProxies", [odd])).toThrow(RegistryError);
  });

  test("hosts", () => {
    const isHost = hostCheck(["registry.example"]);
    expect([
      isHost("registry.example"),
      isHost("REGISTRY.example"),
      isHost("registry.example:1"),
      isHost(undefined),
    ]).toEqual([true, true, false, false]);
    expect(["localhost", "127.0.0.1", "127.1.2.3", "::1"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "127.0.0.1.evil", "localhost.evil", "10.0.0.1"].some(isLoopback)).toBe(false);
  });
});
