import { createHash } from "node:crypto";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { accessOf, auditTrail, httpWorld } from "../../test/support/http-world.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { createHandler, openAccess } from "./handler.ts";
import { checkRoutes, ROUTES } from "./protocol/routes.ts";

const MARKDOWN = { "if-none-match": "*", "content-type": "text/markdown" };
const EXACT = "/v1/prompts/support/triage/-/versions/1.0.0";
const LARGE = `Sort this.\n${"All work and no play. ".repeat(400)}\n`;
const sha = (bytes: Uint8Array) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;

async function world(text = LARGE) {
  const audit = auditTrail();
  const made = httpWorld({ access: openAccess(), audit, pollInterval: 10 });
  await made.registry.storePrompt({ name: "support/triage", version: "1.0.0", text });
  await made.registry.setLabel("support/triage", "production", "1.0.0");
  const { digest } = await made.registry.getPrompt("support/triage");
  return { ...made, audit, digest };
}

describe("documents", () => {
  it("an exact version may be kept, a moving one must be asked for again, and both have the digest as their ETag", async () => {
    const { send, digest } = await world();
    for (const [path, cache] of [
      [EXACT, "max-age=86400, immutable"],
      ["/v1/prompts/support/triage/-/labels/production", "no-cache"],
      ["/v1/prompts/support/triage/-/latest", "no-cache"],
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
        vary: "Accept-Encoding",
        "x-request-id": "r",
      });
      expect(reply.text).toContain(`registry.digest: ${digest}`);
      const same = await send("GET", path, { headers: { "if-none-match": `"other", W/"${digest}"` } });
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

describe("writes", () => {
  it("a version needs If-None-Match: *, and tells where it is", async () => {
    const { send, audit } = await world();
    const path = "/v1/prompts/support/triage/-/versions/1.1.0";
    const { "if-none-match": _, ...without } = MARKDOWN;
    expect((await send("PUT", path, { headers: without, body: "t" })).status).toBe(428);
    const created = await send("PUT", `${path}?labels=staging,beta&message=why`, { headers: MARKDOWN, body: "t" });
    expect([created.status, created.headers.get("location")]).toEqual([201, path]);
    expect(created.headers.get("etag")).toBe(`"${created.json.digest}"`);
    expect((await send("PUT", path, { headers: MARKDOWN, body: "t" })).status).toBe(200);
    expect((await send("PUT", path, { headers: MARKDOWN, body: "other" })).json.code).toBe("ALREADY_EXISTS");
    expect(audit.entries.map((e) => e.outcome)).toEqual(["refused", "done", "unchanged", "refused"]);
  });

  it("a label needs If-Match or If-None-Match, which must hold", async () => {
    const { send, registry, digest } = await world();
    await registry.storePrompt({ name: "support/triage", version: "1.1.0", text: "t" });
    const path = "/v1/prompts/support/triage/-/labels/production";
    const put = (headers: Record<string, string>, version = "1.1.0") =>
      send("PUT", path, { headers, json: { version } });
    expect((await put({})).status).toBe(428);
    expect((await put({ "if-none-match": "*" })).status).toBe(412);
    expect((await put({ "if-match": '"sha256:other"' })).status).toBe(412);
    expect((await put({ "if-match": `"${digest};gzip"` })).json).toMatchObject({ status: "changed", from: "1.0.0" });
    // Sent again, since its reply was lost: it is done, whatever the precondition says by now.
    for (const again of [{ "if-match": `"${digest}"` }, { "if-none-match": "*" }] as Record<string, string>[]) {
      const told = await put(again);
      expect(told).toMatchObject({ status: 200, json: { status: "unchanged", version: "1.1.0" } });
    }
    expect((await put({ "if-match": `"${digest}"` }, "1.0.0")).status).toBe(412);
    expect((await put({ "if-match": "*" }, "^1.0")).json).toMatchObject({ status: "unchanged", version: "1.1.0" });
    expect((await send("DELETE", path)).status).toBe(428);
    expect((await send("DELETE", path, { headers: { "if-match": "*" } })).json.status).toBe("changed");
    expect((await put({ "if-match": "*" })).status).toBe(412);
    expect((await put({ "if-none-match": "*" })).status).toBe(201);
  });

  it("a rollback that is sent again under its key is not done twice", async () => {
    const { send, registry } = await world();
    for (const version of ["1.1.0", "1.2.0"])
      await registry.storePrompt({ name: "support/triage", version, text: version });
    const path = "/v1/prompts/support/triage/-/rollback";
    const roll = (key: string) => send("POST", path, { headers: { "idempotency-key": key }, json: {} });
    expect((await roll("k1")).json).toMatchObject({ status: "changed", version: "1.1.0", from: "1.2.0" });
    expect((await roll("k1")).json).toMatchObject({ status: "unchanged", version: "1.1.0", from: "1.2.0" });
    expect((await roll("k2")).json).toMatchObject({ status: "changed", version: "1.0.0" });
    expect((await roll("not\u00e9")).status).toBe(400);
  });

  it("the next version is chosen by the server, and the same text makes none", async () => {
    const { send } = await world();
    const path = "/v1/prompts/support/triage/-/versions";
    const json = { bump: "minor", text: "two\n", labels: ["staging"] };
    const first = await send("POST", path, { json });
    expect([first.status, first.json.version]).toEqual([201, "1.1.0"]);
    expect((await send("POST", path, { json })).json).toMatchObject({ status: "unchanged", version: "1.1.0" });
  });

  it("nothing is changed while the audit log can't be written, and what could not be written down is unknown", async () => {
    const { handler: _, registry, send, audit } = await world();
    audit.ready = async () => {
      throw new RegistryError("UNAVAILABLE", "the disk is full");
    };
    const path = "/v1/prompts/support/triage/-/deprecation";
    expect((await send("PUT", path, { json: { message: "old" } })).json).toMatchObject({ outcome: "temporary" });
    expect((await registry.getPrompt("support/triage")).deprecated).toBeUndefined();
    audit.ready = async () => {};
    audit.append = async () => {
      throw new Error("the disk is full");
    };
    const reply = await send("PUT", path, { json: { message: "old" } });
    expect([reply.status, reply.json.outcome]).toEqual([503, "unknown"]);
  });
});

describe("lists, times and the feed", () => {
  it("a page links to the next one", async () => {
    const { send, registry } = await world();
    for (const name of ["a", "b", "c"]) await registry.storePrompt({ name, version: "1.0.0", text: "t" });
    const names: string[] = [];
    for (let path: string | undefined = "/v1/prompts?limit=2&include=heads"; path !== undefined; ) {
      const reply = await send("GET", path);
      names.push(...reply.json.items.map((i: { name: string }) => i.name));
      path = /<(.*)>; rel="next"/.exec(reply.headers.get("link") ?? "")?.[1];
    }
    expect(names).toEqual(["a", "b", "c", "support/triage"]);
  });

  it("ranges, labels and instants resolve; two versions are compared", async () => {
    const { send, registry } = await world();
    await registry.storePrompt({ name: "support/triage", version: "1.1.0", text: "other\n" });
    const at = "/v1/prompts/support/triage/-";
    expect((await send("GET", `${at}/resolve?range=%5E1`)).json.version).toBe("1.1.0");
    expect((await send("GET", `${at}/resolve?label=production`)).json.version).toBe("1.0.0");
    expect((await send("GET", `${at}/resolve?label=production&at=2999-01-01T00:00:00Z`)).json.version).toBe("1.0.0");
    expect((await send("GET", `${at}/resolve?at=1999-01-01T00:00:00Z`)).status).toBe(404);
    expect((await send("GET", `${at}/resolve?label=%5E1`)).status).toBe(400);
    expect((await send("GET", `${at}/diff?from=1.0.0&to=production`)).json.identical).toBe(true);
    expect((await send("GET", `${at}/diff?from=1.0.0&to=1.1.0`)).json.unified).toContain("+other");
  });

  it("events tell of changes, also of those since the last id, and only of what may be read", async () => {
    const access = accessOf({ team: [{ right: "read", prefix: "team" }] });
    const { handler, registry } = httpWorld({ access, pollInterval: 10 });
    const gone = new AbortController();
    const listen = async (headers: Record<string, string>) => {
      const request = new Request("http://r/v1/changes", {
        headers: { accept: "text/event-stream", authorization: "Bearer team", ...headers },
        signal: gone.signal,
      });
      const reader = (await handler(request)).body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      let text = "";
      return async (wanted: RegExp) => {
        while (!wanted.test(text)) {
          const { value, done } = await reader.read();
          if (done) throw new Error(`the stream ended with ${text}`);
          text += new TextDecoder().decode(value);
        }
        return text;
      };
    };
    const first = await listen({});
    const id = /id: (.*)/.exec(await first(/event: ready/))?.[1] as string;
    await registry.storePrompt({ name: "secret/a", version: "1.0.0", text: "t" });
    await registry.storePrompt({ name: "team/a", version: "1.0.0", text: "t" });
    expect(await first(/event: change/)).not.toContain("secret");
    const again = await listen({ "last-event-id": id });
    expect(await again(/data: \{"name":"team\/a"\}/)).not.toContain("secret");
    gone.abort();
    handler.close();
  });
});

describe("the handler itself", () => {
  it("does not start without access, or with a route that says not who may use it", () => {
    const registry = new PromptRegistry(memory());
    expect(() => createHandler(registry, {} as never)).toThrow(/access/);
    const [route] = ROUTES;
    const { right: _, ...open } = { ...route };
    expect(() => checkRoutes([open])).toThrow(/declares no right/);
    expect(() => checkRoutes([{ ...route, resource: "prompt" }])).toThrow(/CONFIG|resource/);
    expect(() => checkRoutes([{ ...route, right: "read", resource: "none" }])).toThrow(/without a resource/);
    expect(() => checkRoutes([route, route])).toThrow(/twice/);
    expect(() => checkRoutes(ROUTES)).not.toThrow();
  });

  it("its OpenAPI document has every route, each with its right and with what goes wrong", async () => {
    const { send } = await world();
    const reply = await send("GET", "/openapi.json");
    expect(reply.json.openapi).toBe("3.1.0");
    for (const { method, path, id, right } of ROUTES) {
      const operation = reply.json.paths[path][method.toLowerCase()];
      expect(operation).toMatchObject({ operationId: id, "x-right": right });
      expect(operation.responses["400"].content["application/problem+json"]).toBeDefined();
    }
    for (const [, ref] of reply.text.matchAll(/"\$ref":"([^"]*)"/g)) {
      expect(ref).toMatch(/^#\/components\/schemas\/(?:Problem|Health)$/);
    }
    const etag = reply.headers.get("etag") as string;
    expect((await send("GET", "/openapi.json", { headers: { "if-none-match": etag } })).status).toBe(304);
  });

  it("tells who watches of each request once, and never rejects", async () => {
    const events: unknown[] = [];
    const { send } = httpWorld({ access: openAccess(), observe: (event) => events.push(event) });
    await send("GET", "/v1/prompts/a/-/latest");
    await send("GET", "/nothing");
    expect(events).toMatchObject([
      { route: "GET /v1/prompts/{name}/-/latest", status: 404, code: "NOT_FOUND", name: "a", requestId: "r" },
      { route: "unmatched", status: 404 },
    ]);
  });
});
