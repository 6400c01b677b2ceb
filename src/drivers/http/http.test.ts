import { afterEach, describe, expect, it } from "vitest";
import { type FaultProxy, faultProxy, type HttpFault } from "../../../test/support/http-proxy.ts";
import { serveHandler, type TestServer } from "../../../test/support/http-server.ts";
import { openRegistry, parseLocation } from "../../config.ts";
import type { StorageDriver } from "../../driver.ts";
import { isRegistryError, type RegistryError } from "../../errors.ts";
import { cache } from "../../layers/cache/index.ts";
import { stack } from "../../layers/layer.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { createHandler, openAccess } from "../../server/handler.ts";
import { serve } from "../../server/node/serve.ts";
import { askOf, commitOf, documentOf } from "../../testing/builders.ts";
import { memory } from "../memory.ts";
import { http } from "./index.ts";

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (isRegistryError(error)) return error;
  throw new Error(`expected a RegistryError, got ${String(error)}`);
}

async function server(inner: StorageDriver = memory()): Promise<TestServer> {
  const handler = createHandler(new PromptRegistry(inner), { access: openAccess(), pollInterval: 20 });
  const started = await serveHandler(handler);
  cleanup.push(() => started.close());
  return started;
}

async function proxied(inner: StorageDriver = memory()): Promise<FaultProxy> {
  const proxy = await faultProxy((await server(inner)).url);
  cleanup.push(() => proxy.close());
  return proxy;
}

const open = (url: string, token = "secret-token") => http({ url, token, env: {} });
const A = parseName("a");

describe("where a token goes", () => {
  it("not over plain http, except on this machine", async () => {
    const error = await failure(open("http://registry.example"));
    expect([error.code, error.message]).toEqual(["CONFIG", expect.stringContaining("plain text")]);
    expect(error.message).not.toContain("secret-token");
    for (const host of ["127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[::]", "127.evil.example"]) {
      expect((await failure(open(`http://${host}`))).code, host).toBe("CONFIG");
    }
  });

  it("not into a location, and not with a line break in it", async () => {
    const error = await failure(open("https://me:hunter2@registry.example"));
    expect([error.code, error.message.includes("hunter2")]).toEqual(["CONFIG", false]);
    expect((await failure(open("https://registry.example", "a\r\nHost: evil"))).code).toBe("CONFIG");
    expect(parseLocation("https://registry.example/team")).toEqual({
      backend: "http",
      url: "https://registry.example/team",
    });
  });

  it("not to where a redirect leads, and the error names only the origin", async () => {
    const elsewhere = await proxied();
    const proxy = await proxied();
    const driver = await open(proxy.url);
    const headers = { location: `${elsewhere.url}/v1/reads?token=leak` };
    for (const status of [301, 302, 303, 307, 308]) {
      proxy.faultWhen(() => ({ kind: "reply", status, headers }));
      const error = await failure(driver.read([askOf("a", "latest")]));
      expect([error.code, error.message.includes(elsewhere.url), error.message.includes("leak")]).toEqual([
        "CONFIG",
        true,
        false,
      ]);
      const lost = await failure(driver.commit(commitOf({ name: A, add: [documentOf("a", "1.0.0")] })));
      expect(lost.outcome).toBe("unknown");
    }
    expect(elsewhere.requests).toEqual([]);
  });
});

describe("what is believed", () => {
  const html = { "content-type": "text/html" };
  const replies: readonly [string, HttpFault][] = [
    ["a proxy's 404", { kind: "reply", status: 404, headers: html, body: "<h1>Not Found</h1>" }],
    ["a bare 401", { kind: "reply", status: 401 }],
    ["a bare 403", { kind: "reply", status: 403, body: "" }],
    ["a bare 410", { kind: "reply", status: 410 }],
    ["a 200 that is HTML", { kind: "reply", status: 200, headers: html, body: "<h1>Log in</h1>" }],
    [
      "a 200 of other JSON",
      { kind: "reply", status: 200, headers: { "content-type": "application/json" }, body: "{}" },
    ],
    ["an empty 204", { kind: "reply", status: 204 }],
    [
      "a problem of somebody else",
      {
        kind: "reply",
        status: 404,
        headers: { "content-type": "application/problem+json" },
        body: '{"type":"about:blank","title":"Not Found"}',
      },
    ],
    ["a 502", { kind: "reply", status: 502, headers: html, body: "Bad Gateway" }],
    ["a broken connection", { kind: "drop-before" }],
    ["a lost reply", { kind: "drop-after" }],
    ["a cut reply", { kind: "cut", bytes: 10 }],
    ["a changed byte", { kind: "corrupt" }],
  ];

  it.each(replies)("%s is no answer: reads are unavailable, and of a change nobody knows", async (_, fault) => {
    const proxy = await proxied();
    const driver = await open(proxy.url);
    proxy.faultWhen(() => fault);
    const read = await failure(driver.read([askOf("a", "latest")]));
    expect([read.code, read.outcome]).toEqual(["UNAVAILABLE", "temporary"]);
    for (const call of [() => driver.listVersions(A, { limit: 1 }), () => driver.listPrompts({ limit: 1 })]) {
      expect((await failure(call())).code).toBe("UNAVAILABLE");
    }
    const write = await failure(driver.commit(commitOf({ name: A, add: [documentOf("a", "1.0.0")] })));
    expect([write.code, write.outcome]).toEqual(["UNAVAILABLE", "unknown"]);
  });

  it("a server that is not there was not asked, so nothing happened", async () => {
    const { url, close } = await faultProxy("http://127.0.0.1:1");
    await close();
    const driver = await open(url);
    expect(driver.capabilities).toMatchObject({ atomicity: "document", consistency: "session", search: false });
    const error = await failure(driver.commit(commitOf({ name: A, add: [documentOf("a", "1.0.0")] })));
    expect([error.code, error.outcome]).toEqual(["UNAVAILABLE", "temporary"]);
    expect((await driver.check()).ok).toBe(false);
  });

  it("what the server refuses is told with its code, and nothing in it acts on a terminal", async () => {
    const proxy = await proxied();
    const driver = await open(proxy.url);
    const detail = "no \u001b[31mred\u202e\nline";
    const body = JSON.stringify({
      type: "/problems/forbidden",
      code: "FORBIDDEN",
      outcome: "final",
      detail,
      status: 403,
    });
    proxy.faultWhen(() => ({
      kind: "reply",
      status: 403,
      headers: { "content-type": "application/problem+json" },
      body,
    }));
    const error = await failure(driver.read([askOf("a", "latest")]));
    expect([error.code, error.outcome]).toEqual(["FORBIDDEN", "final"]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(error.message).not.toMatch(/[\u0000-\u001f\u202e]/);
  });

  it("a server of another version says so in one line", async () => {
    const discovery = JSON.stringify({
      service: "prompt-registry",
      protocols: [{ version: 2, path: "/v2" }],
      openapi: "/o",
    });
    const json = { "content-type": "application/json" };
    const proxy = await proxied();
    proxy.faultWhen(({ url }) =>
      url.startsWith("/.well-known/")
        ? { kind: "reply", status: 200, headers: json, body: discovery }
        : { kind: "reply", status: 404, headers: html },
    );
    const error = await failure(open(proxy.url));
    expect([error.code, error.message]).toEqual(["UNSUPPORTED", expect.stringContaining("speaks protocol 2")]);
  });

  it("a wrong token is told at the start", async () => {
    const proxy = await proxied();
    const body = JSON.stringify({
      type: "/problems/unauthenticated",
      code: "UNAUTHENTICATED",
      outcome: "final",
      detail: "no",
    });
    proxy.faultWhen(() => ({
      kind: "reply",
      status: 401,
      headers: { "content-type": "application/problem+json" },
      body,
    }));
    expect((await failure(open(proxy.url))).code).toBe("UNAUTHENTICATED");
  });
});

describe("with a cache", () => {
  it("a pinned version costs no request, a label after its time one", async () => {
    const proxy = await proxied();
    const driver = stack(await open(proxy.url), [cache({ ttl: 1, staleWhileRevalidate: 0 })]);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t", labels: ["production"] });
    await registry.getPrompt("a@1.0.0");
    await registry.getPrompt("a@production");
    proxy.reset();
    await registry.getPrompt("a@1.0.0");
    expect(proxy.requests.length).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await registry.getPrompt("a@production");
    expect(proxy.requests.map((r) => JSON.parse(r.body.toString()).asks[0].known !== undefined)).toEqual([true]);
    await driver.close();
  });

  it("a label that is moved by one client is seen by another through its cache, well within its time", async () => {
    const { url } = await server();
    const one = new PromptRegistry(await open(url));
    const two = new PromptRegistry(stack(await open(url), [cache({ ttl: 3_600_000, poll: 50 })]));
    for (const version of ["1.0.0", "1.1.0"]) await one.storePrompt({ name: "a", version, text: version });
    await one.setLabel("a", "production", "1.0.0");
    // Only what is read after the cache began to follow the feed can be heard of.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await two.getPrompt("a@production")).version).toBe("1.0.0");
    await one.setLabel("a", "production", "1.1.0");
    const start = Date.now();
    while ((await two.getPrompt("a@production")).version !== "1.1.0") {
      if (Date.now() - start > 8000) throw new Error("the label is never seen");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await two.close();
    await one.close();
  });
});

describe("with the server of this package", () => {
  it("a location in a configuration is all it takes", async () => {
    const served = new PromptRegistry(memory());
    const { url, stop } = await serve(served, { access: openAccess("ada"), port: 0 });
    cleanup.push(async () => void (await stop()));
    const registry = await openRegistry(url, { cwd: "/", env: {}, configFile: false });
    const stored = await registry.storePrompt({
      name: "a",
      version: "1.0.0",
      text: "Hello {{name}}\n",
      labels: ["beta"],
    });
    expect(stored.status).toBe("created");
    const prompt = await registry.getPrompt("a@beta");
    expect([prompt.render({ name: "Ada" }), prompt.digest]).toEqual(["Hello Ada\n", stored.digest]);
    expect((await served.getPrompt("a")).digest).toBe(stored.digest);
    expect((await registry.verify()).ok).toBe(true);
    await registry.close();
  });
});
