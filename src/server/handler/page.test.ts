import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { httpWorld } from "../../../test/support/http-world.ts";
import { SMALL_PAGE } from "../../../test/support/web-page.ts";
import { checkConformance } from "../../conformance/index.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { openAccess } from "../handler.ts";
import { serve } from "../node/serve.ts";
import type { RequestEvent } from "../types.ts";
import { digestHeader } from "./coding.ts";

const APP = "/web/app-0123456789abcdef.js";
const NOBODY_GETS_IN = {
  async authenticate(): Promise<never> {
    throw new Error("nobody may be asked for");
  },
  allows: () => false,
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const world = () => httpWorld({ access: NOBODY_GETS_IN, web: SMALL_PAGE });
const bytesOf = (path: string) => SMALL_PAGE.files[path]?.bytes;

describe("the page", () => {
  it("is at /, needs no credentials, and is asked for anew each time", async () => {
    const reply = await world().send("GET", "/");
    expect([reply.status, reply.text]).toEqual([200, "<!doctype html><title>small</title>"]);
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "content-digest": digestHeader(reply.bytes),
      "content-length": String(reply.bytes.length),
      etag: `"sha256:${SMALL_PAGE.files["/"]?.digest}"`,
      vary: "Accept-Encoding",
      "x-request-id": "r",
    });
    expect((await world().send("GET", "/?from=a-link")).text).toBe(reply.text);
  });

  it.each(["/", APP])("%s lets nothing run, load, send or frame it that it did not bring", async (path) => {
    const { headers } = await world().send("GET", path);
    expect(headers.get("content-security-policy")).toBe(POLICY);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("permissions-policy")).toMatch(/^(?:[a-z-]+=\(\)(?:, |$))+$/);
    expect(headers.get("set-cookie")).toBeNull();
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  it("has files that may be kept for ever, in the coding that was asked for", async () => {
    const { send } = world();
    const plain = await send("GET", APP);
    expect(plain.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(plain.headers.get("content-encoding")).toBeNull();
    expect(plain.bytes).toEqual(bytesOf(APP));
    for (const [coding, decode] of [
      ["br", brotliDecompressSync],
      ["gzip", gunzipSync],
    ] as const) {
      const { headers, bytes } = await send("GET", APP, { headers: { "accept-encoding": coding } });
      expect(headers.get("content-encoding")).toBe(coding);
      expect(headers.get("content-length")).toBe(String(bytes.length));
      expect(headers.get("content-digest")).toBe(digestHeader(bytes));
      expect(headers.get("repr-digest")).toBe(digestHeader(bytesOf(APP) as Uint8Array));
      expect(headers.get("etag")).toBe(`"sha256:${SMALL_PAGE.files[APP]?.digest};${coding}"`);
      expect(decode(bytes)).toEqual(bytesOf(APP));
    }
    const small = await send("GET", "/", { headers: { "accept-encoding": "br" } });
    expect(small.headers.get("content-encoding")).toBeNull();
  });

  it.each(["/", APP])("%s is not sent to who has it, and what it may do stays the same", async (path) => {
    const { send } = world();
    const etag = (await send("GET", path, { headers: { "accept-encoding": "br" } })).headers.get("etag") as string;
    for (const headers of [{ "if-none-match": etag }, { "if-none-match": `"other", W/${etag}` }]) {
      const reply = await send("GET", path, { headers });
      expect([reply.status, reply.text]).toEqual([304, ""]);
      expect(reply.headers.get("content-security-policy")).toBe(POLICY);
      expect(reply.headers.get("cache-control")).not.toBeNull();
      expect(reply.headers.get("content-length")).toBeNull();
    }
    expect((await send("GET", path, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  it("answers HEAD as GET, without the body", async () => {
    const { send } = world();
    const get = await send("GET", APP);
    const head = await send("HEAD", APP);
    expect([head.status, head.text]).toEqual([200, ""]);
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries(get.headers));
  });

  it.each(["PUT", "POST", "DELETE", "PATCH", "OPTIONS"])("takes no %s", async (method) => {
    for (const path of ["/", APP]) {
      const reply = await world().send(method, path);
      expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
      expect(reply.json).toMatchObject({ code: "INVALID", context: { field: "method" } });
    }
  });

  it.each([
    ["/web", 404],
    ["/web/app.js", 404],
    ["/web/page.json", 404],
    ["/index.html", 404],
    [`${APP}.br`, 404],
    ["/web/constructor", 404],
    ["/__proto__", 404],
    ["/toString", 404],
    ["/web/", 400],
    ["/web//app-0123456789abcdef.js", 400],
    ["/web/../web/app-0123456789abcdef.js", 400],
    ["/web/..%2f..%2fpackage.json", 400],
    ["/web/%2e%2e/package.json", 400],
    ["/web/..\\package.json", 400],
    ["//web/app-0123456789abcdef.js", 400],
    ["/web/app-0123456789abcdef.js%00", 400],
  ])("%s is none of it", async (target, status) => {
    const reply = await world().send("GET", "/", { target });
    expect([reply.status, reply.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
  });

  it("is not there unless it was given", async () => {
    const { send } = httpWorld({ access: openAccess() });
    for (const path of ["/", APP]) expect((await send("GET", path)).json).toMatchObject({ code: "NOT_FOUND" });
  });

  it("is no part of the protocol", async () => {
    const without = await httpWorld({ access: openAccess() }).send("GET", "/openapi.json");
    const withPage = await httpWorld({ access: openAccess(), web: SMALL_PAGE }).send("GET", "/openapi.json");
    expect(withPage.text).toBe(without.text);
    expect(withPage.text).not.toContain('"/web');
  });

  it("is told of as any other request, by what it is and not by its name", async () => {
    const events: RequestEvent[] = [];
    const { send } = httpWorld({
      access: NOBODY_GETS_IN,
      web: SMALL_PAGE,
      observe: (event) => void events.push(event),
    });
    await send("GET", "/");
    await send("HEAD", APP);
    await send("PUT", APP);
    expect(events.map(({ route, method, status }) => [route, method, status])).toEqual([
      ["GET /", "GET", 200],
      ["GET /web/{file}", "HEAD", 200],
      ["unmatched", "PUT", 405],
    ]);
  });
});

describe("on Node", () => {
  it("stands behind the same checks as everything", async () => {
    const registry = new PromptRegistry(memory());
    const lines: string[] = [];
    const log = (text: string) => void lines.push(text);
    const server = await serve(registry, { access: openAccess(), web: SMALL_PAGE, port: 0, log });
    try {
      const reply = await fetch(`${server.url}${APP}`, { headers: { "accept-encoding": "br, gzip" } });
      expect(reply.headers.get("content-encoding")).toBe("br");
      expect(reply.headers.get("content-security-policy")).toBe(POLICY);
      expect(reply.headers.get("x-request-id")).not.toBeNull();
      expect(await reply.text()).toBe(Buffer.from(bytesOf(APP) as Uint8Array).toString());
      const etag = reply.headers.get("etag") as string;
      const again = await fetch(`${server.url}${APP}`, { headers: { "if-none-match": etag } });
      expect([again.status, again.headers.get("content-security-policy")]).toEqual([304, POLICY]);
      const from = (origin: string) =>
        fetch(`${server.url}/v1/prompts/of-page/-/versions/1.0.0`, {
          method: "PUT",
          body: "text",
          headers: { origin, "if-none-match": "*", "content-type": "text/markdown" },
        });
      expect((await from("http://127.0.0.1:1")).status).toBe(403);
      expect((await from(server.url)).status).toBe(201);
    } finally {
      await server.stop(100);
    }
    const text = lines.join("");
    expect(text).toContain('"route":"GET /web/{file}","status":200');
    expect(text).not.toContain("0123456789abcdef");
  });

  it("is nothing that the suite for other servers minds", { timeout: 60_000 }, async () => {
    const server = await serve(new PromptRegistry(memory()), { access: openAccess(), web: SMALL_PAGE, port: 0 });
    try {
      const { failed, passed } = await checkConformance(server.url);
      expect([failed, passed > 100]).toEqual([0, true]);
    } finally {
      await server.stop(100);
    }
  });
});
