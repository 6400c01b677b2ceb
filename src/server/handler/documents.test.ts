import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { EXACT, LARGE, sha, world } from "../../../test/support/handler-lab.ts";
import { accessOf, httpWorld } from "../../../test/support/http-world.ts";
import { PromptRegistry } from "../../registry.ts";
import type { createHandler } from "../handler.ts";

describe("documents", () => {
  it("an exact version may be kept, a moving one must be asked for again, and both have the digest as their ETag", async () => {
    const { send, digest } = await world();
    for (const [path, cache] of [
      [EXACT, "private, max-age=86400, immutable"],
      ["/v1/prompts/support/triage/-/labels/production", "private, no-cache"],
      ["/v1/prompts/support/triage/-/latest", "private, no-cache"],
    ] as const) {
      const reply = await send("GET", path);
      expect(reply.status).toBe(200);
      expect(Object.fromEntries(reply.headers)).toMatchObject({
        "content-type": "text/markdown; charset=utf-8",
        etag: `"${digest}"`,
        "cache-control": cache,
        "content-digest": sha(reply.bytes),
        "content-location": EXACT,
        "registry-version": "1.0.0",
        vary: "Accept-Encoding, Authorization",
        "x-request-id": "r",
      });
      expect(reply.text).toContain(`registry.digest: ${digest}`);
      const same = await send("GET", path, { headers: { "if-none-match": `"other", W/"${digest}"` } });
      expect([same.headers.get("cache-control"), same.headers.get("vary")]).toEqual([
        cache,
        "Accept-Encoding, Authorization",
      ]);
      expect([same.status, same.text, same.headers.get("etag")]).toEqual([304, "", `"${digest}"`]);
      const head = await send("HEAD", path);
      expect([head.status, head.text, head.headers.get("content-length")]).toEqual([
        200,
        "",
        String(reply.bytes.length),
      ]);
    }
  });

  it("each coding has an ETag of its own, a digest of what is sent, and one of what it stands for", async () => {
    const { send, digest } = await world();
    const plain = await send("GET", EXACT);
    for (const [coding, decode] of [
      ["gzip", gunzipSync],
      ["br", brotliDecompressSync],
    ] as const) {
      const reply = await send("GET", EXACT, { headers: { "accept-encoding": `${coding}, *;q=0` } });
      expect(reply.headers.get("content-encoding")).toBe(coding);
      expect(reply.headers.get("etag")).toBe(`"${digest};${coding}"`);
      expect(reply.headers.get("content-digest")).toBe(sha(reply.bytes));
      expect(reply.headers.get("repr-digest")).toBe(sha(plain.bytes));
      expect(decode(reply.bytes).equals(plain.bytes)).toBe(true);
      const headers = { "accept-encoding": coding, "if-none-match": `"${digest};${coding}"` };
      expect((await send("GET", EXACT, { headers })).status).toBe(304);
    }
    for (const none of ["identity", "gzip;q=0", "deflate", ""]) {
      const reply = await send("GET", EXACT, { headers: { "accept-encoding": none } });
      expect(reply.headers.get("content-encoding")).toBeNull();
    }
  });

  it("the author's text, or everything as JSON, on request", async () => {
    const { send, digest } = await world("Hello {{name}}\n");
    const text = await send("GET", `${EXACT}?form=text`);
    expect([text.text, text.headers.get("etag")]).toEqual(["Hello {{name}}\n", `"${digest};text"`]);
    const { json } = await send("GET", `${EXACT}?form=json`);
    expect(json).toMatchObject({ name: "support/triage", version: "1.0.0", digest, labels: ["production"] });
  });

  it("nothing is for a cache that callers share", async () => {
    const { send } = await world();
    const seen = async (path: string, headers: Record<string, string> = {}) => {
      const reply = await send("GET", path, { headers });
      expect(reply.headers.get("cache-control"), path).toMatch(/^(?:private, |no-store$)/);
      if (reply.status < 400) expect(reply.headers.get("vary"), path).toBe("Accept-Encoding, Authorization");
      return reply;
    };
    for (const path of [EXACT, `${EXACT}?form=text`, `${EXACT}?form=json`, "/v1", "/v1/prompts", "/openapi.json"]) {
      const etag = (await seen(path)).headers.get("etag");
      await seen(path, { "accept-encoding": "gzip" });
      if (etag !== null) expect((await seen(path, { "if-none-match": etag })).status).toBe(304);
    }
    for (const rest of ["", "/-/head", "/-/versions", "/-/history", "/-/diff?from=1.0.0&to=latest", "/-/resolve"])
      await seen(`/v1/prompts/support/triage${rest}`);
    for (const path of ["/v1/prompts/nobody", "/nowhere", "/v1/changes", "/.well-known/prompt-registry.json"])
      await seen(path);
  });

  it("what was removed is gone, what never was is not found", async () => {
    const { send, registry } = await world();
    await registry.removeLabel("support/triage", "production");
    await registry.deleteVersion("support/triage", "1.0.0");
    expect((await send("GET", EXACT)).status).toBe(410);
    expect((await send("GET", EXACT.replace("1.0.0", "2.0.0"))).status).toBe(404);
    expect((await send("GET", "/v1/prompts/nobody")).json).toMatchObject({
      type: "/problems/not-found",
      status: 404,
      code: "NOT_FOUND",
      outcome: "final",
    });
  });
});

describe("answers that lie ready", () => {
  const ask = (handler: ReturnType<typeof createHandler>, headers = {}, method = "GET", target = EXACT) =>
    handler.ready(method, target, headers, {});

  async function warmed() {
    const made = await world();
    // The first request starts to watch the feed; only what is read after that can be kept.
    for (let i = 0; i < 200 && ask(made.handler) === undefined; i++) {
      await made.send("GET", EXACT);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return made;
  }

  it("are those of the handler, byte for byte, in every coding that was asked for", async () => {
    const { handler, send, digest } = await warmed();
    const plain = await send("GET", EXACT);
    const ready = ask(handler);
    expect([ready?.status, Buffer.from(ready?.body ?? []).equals(plain.bytes)]).toEqual([200, true]);
    const headers = Object.fromEntries(
      (ready?.headers ?? []).flatMap((name, i, all) => (i % 2 === 0 ? [[name.toLowerCase(), all[i + 1]]] : [])),
    );
    expect({ ...headers, "x-request-id": "r" }).toEqual(Object.fromEntries(plain.headers));
    expect(ask(handler, { "accept-encoding": "gzip" })).toBeUndefined();
    await send("GET", EXACT, { headers: { "accept-encoding": "gzip" } });
    expect(gunzipSync(ask(handler, { "accept-encoding": "gzip" })?.body as Buffer).equals(plain.bytes)).toBe(true);
    expect(ask(handler, { "if-none-match": `"${digest}"` })).toMatchObject({ status: 304, body: undefined });
    expect(ask(handler, {}, "HEAD")).toMatchObject({ status: 200, body: undefined });
    expect(ask(handler, {}, "POST")).toBeUndefined();
    expect(ask(handler, { "cache-control": "no-cache" })).toBeUndefined();
    expect(ask(handler, {}, "GET", `${EXACT}?form=text`)).toBeUndefined();
    handler.close();
  });

  it("end when the version is removed, here or elsewhere", async () => {
    const { handler, send, registry, driver } = await warmed();
    await registry.removeLabel("support/triage", "production");
    await new PromptRegistry(driver).deleteVersion("support/triage", "1.0.0");
    for (let i = 0; i < 400 && ask(handler) !== undefined; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ask(handler)).toBeUndefined();
    expect((await send("GET", EXACT)).status).toBe(410);
    handler.close();
  });

  it("are for those who may read them", async () => {
    const access = accessOf({
      reader: [{ right: "read", prefix: "support" }],
      other: [{ right: "read", prefix: "team" }],
    });
    const { handler, send, registry } = httpWorld({ access, pollInterval: 10 });
    await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: LARGE });
    const as = (token?: string) => ask(handler, token === undefined ? {} : { authorization: `Bearer ${token}` });
    for (let i = 0; i < 200 && as("reader") === undefined; i++) {
      await send("GET", EXACT, { token: "reader" });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(as("reader")?.status).toBe(200);
    expect([as("other"), as("wrong"), as()]).toEqual([undefined, undefined, undefined]);
    handler.close();
  });
});
