import { describe, expect, it } from "vitest";
import { MARKDOWN, world } from "../../test/support/handler-lab.ts";
import { accessOf, httpWorld } from "../../test/support/http-world.ts";
import { memory } from "../drivers/memory.ts";
import { RegistryError } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { createHandler, openAccess } from "./handler.ts";
import { checkRoutes, ROUTES } from "./protocol/routes.ts";

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
    // Also where the version is told by what selects it.
    for (const selector of ["^1.0", "latest", "production"])
      expect(await put({ "if-match": `"${digest}"` }, selector)).toMatchObject({
        status: 200,
        json: { status: "unchanged" },
      });
    expect((await put({ "if-match": `"${digest}"` }, "~1.0.0")).status).toBe(412);
    expect((await put({ "if-match": `"${digest}"` }, "^9")).status).toBe(412);
    expect((await send("DELETE", path)).status).toBe(428);
    expect((await send("DELETE", path, { headers: { "if-match": "*" } })).json.status).toBe("changed");
    expect((await put({ "if-match": "*" })).status).toBe(412);
    expect((await put({ "if-none-match": "*" })).status).toBe(201);
  });

  it("a label takes every ETag of its version as precondition", async () => {
    const { send, registry } = await world();
    await registry.storePrompt({ name: "support/triage", version: "1.1.0", text: "t" });
    const path = "/v1/prompts/support/triage/-/labels/production";
    for (const [i, query] of ["", "?form=text", "?form=text"].entries()) {
      const got = await send("GET", `${path}${query}`, {
        headers: { "accept-encoding": i === 2 ? "gzip" : "identity" },
      });
      const headers = { "if-match": got.headers.get("etag") as string };
      const json = { version: got.headers.get("registry-version") === "1.0.0" ? "1.1.0" : "1.0.0" };
      expect((await send("PUT", path, { headers, json })).json, headers["if-match"]).toMatchObject({
        status: "changed",
      });
      if (json.version === "1.1.0") await registry.setLabel("support/triage", "production", "1.0.0");
    }
    const { headers } = await send("GET", `${path}?form=text`);
    const etag = headers.get("etag") as string;
    expect(etag).toMatch(/^"sha256:[0-9a-f]{64};text"$/);
    expect((await send("DELETE", path, { headers: { "if-match": etag } })).status).toBe(200);
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

it("an error is sent in ASCII, and says what it said", async () => {
  const { handler } = await world();
  const reply = await handler(new Request("http://localhost/v1/changes?cursor=%C3%A9%F0%9F%8E%89"));
  const text = await reply.text();
  expect(text).toMatch(/^[\x20-\x7e]*\n$/);
  expect([reply.status, JSON.parse(text).detail]).toEqual([400, expect.stringContaining("é🎉")]);
});

describe("where there is no body", () => {
  it("one is refused, and nothing done", async () => {
    const { send, registry } = await world();
    const path = "/v1/prompts/support/triage";
    const refused = await send("DELETE", path, { body: "why" });
    expect([refused.status, refused.json.code, refused.headers.get("connection")]).toEqual([400, "INVALID", "close"]);
    expect((await registry.getPrompt("support/triage")).version).toBe("1.0.0");
    expect((await send("DELETE", path, { body: "" })).status).toBe(200);
  });

  it("nothing is done before the whole request is there", async () => {
    const { handler, registry } = await world();
    let end = () => {};
    const body = new ReadableStream({
      start(controller) {
        end = () => controller.close();
      },
    });
    const url = "http://localhost/v1/prompts/support/triage";
    const headers = { authorization: "Bearer admin" };
    const reply = handler(new Request(url, { method: "DELETE", headers, body, duplex: "half" } as RequestInit));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await registry.getPrompt("support/triage")).version).toBe("1.0.0");
    end();
    expect((await reply).status).toBe(200);
    await expect(registry.getPrompt("support/triage")).rejects.toMatchObject({ code: "NOT_FOUND" });
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

  it("a page of the feed is empty only where nothing more is to be told, however much others may read", async () => {
    const access = accessOf({ team: [{ right: "read", prefix: "team" }] });
    const { send, registry } = httpWorld({ access });
    const page = async (cursor?: string) => {
      const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      return (await send("GET", `/v1/changes?limit=2${query}`, { token: "team" })).json;
    };
    const { cursor: start } = await page();
    for (let i = 0; i < 15; i++) await registry.storePrompt({ name: `secret/p${i}`, version: "1.0.0", text: "t" });
    await registry.storePrompt({ name: "team/a", version: "1.0.0", text: "t" });
    const { items, cursor } = await page(start);
    expect(items).toEqual([{ name: "team/a" }]);
    expect((await page(cursor)).items).toEqual([]);
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
