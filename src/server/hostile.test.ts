import { describe, expect, it } from "vitest";
import { httpWorld } from "../../test/support/http-world.ts";
import { documentOf } from "../testing/builders.ts";
import { openAccess } from "./handler.ts";
import { parseJson } from "./protocol/json.ts";
import { checkTarget } from "./protocol/path.ts";

const TRAVERSALS = [
  "/v1/prompts/../../etc/passwd",
  "/v1/prompts/a/../b",
  "/v1/prompts/./a",
  "/v1/prompts/a/..",
  "/v1/prompts/..%2f..%2fetc",
  "/v1/prompts/%2e%2e/%2e%2e/etc",
  "/v1/prompts/%2e%2e%2fetc",
  "/v1/prompts/%252e%252e%252fetc",
  "/v1/prompts/a%2fb",
  "/v1/prompts/a%252fb",
  "/v1/prompts/a%5cb",
  "/v1/prompts/a\\..\\b",
  "/v1/prompts/a%00",
  "/v1/prompts/a\0b",
  "/v1/prompts/a%c0%af..",
  "/v1/prompts/a%e0%80%af",
  "/v1/prompts//a",
  "/v1/prompts/a//-/latest",
  "//v1/prompts/a",
  "/v1/prompts/a/",
  "/v1/prompts/a;b",
  "/v1/prompts/a b",
  "/v1/prompts/a\tb",
  "/v1/prompts/a\r\nb",
  "/v1/prompts/\u202ea",
  "/v1/prompts/a#b",
  "/v1/prompts?cursor=\u00e9",
  "http://evil.example/v1/prompts/a",
  "*",
  "",
];

const BAD_NAMES = [
  "A",
  "latest",
  "con",
  "nul.txt",
  "v1.0.0",
  "1.0.0",
  "a.md",
  "a.json",
  ".hidden",
  "a.",
  "-a",
  "a/latest/b",
  `${"a/".repeat(8)}a`,
  "x".repeat(65),
];

const MARKDOWN = { "if-none-match": "*", "content-type": "text/markdown" };

function world(maxBodyBytes?: number) {
  return httpWorld({ access: openAccess(), ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }) });
}

describe("hostile requests", () => {
  it.each(TRAVERSALS)("the target %j is refused, never mended", async (target) => {
    const { send, registry } = world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    await registry.storePrompt({ name: "b", version: "1.0.0", text: "t" });
    const reply = await send("GET", "/", { target });
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({ code: "INVALID", outcome: "final", context: { field: "path" } });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(reply.json.detail).not.toMatch(/[\x00-\x1f]/);
  });

  it.each(BAD_NAMES)("the name %j is refused on every route", async (name) => {
    const { send } = world();
    for (const rest of ["", "/-/latest", "/-/versions/1.0.0", "/-/labels/production", "/-/history"]) {
      expect((await send("GET", `/v1/prompts/${name}${rest}`)).status).toBe(400);
    }
    const put = await send("PUT", `/v1/prompts/${name}/-/versions/1.0.0`, { headers: MARKDOWN, body: "t" });
    expect(put.status).toBe(400);
  });

  it.each(["1", "v1.0.0", "1.0.0-A", "01.0.0", "latest", "1.0.0.0"])("the version %j is refused", async (version) => {
    const { send, registry } = world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    expect((await send("GET", `/v1/prompts/a/-/versions/${version}`)).status).toBe(400);
  });

  it("a target may be long, and no longer", () => {
    expect(() => checkTarget(`/v1/prompts?text=${"a".repeat(8000)}`)).not.toThrow();
    expect(() => checkTarget(`/${"a".repeat(8192)}`)).toThrow(expect.objectContaining({ status: 414 }));
  });

  it("keys that are there twice are refused at any depth, however they are spelled", () => {
    expect(() => parseJson('{"a":1,"a":2}')).toThrow(/twice/);
    expect(() => parseJson('{"x":[{"a":1,"\\u0061":2}]}')).toThrow(/twice/);
    expect(() => parseJson('{"__proto__":1,"__proto__":2}')).toThrow(/twice/);
    expect(parseJson('{"a":{"b":1},"c":{"b":"a\\"b\\\\"},"d":["b","b"]}')).toEqual({
      a: { b: 1 },
      c: { b: 'a"b\\' },
      d: ["b", "b"],
    });
    expect(() => parseJson("[".repeat(100_000))).toThrow(/deep/);
    for (const text of ["", "{", '{"a', '{"a":1,}', "nul", '"\\u12"', "[1 2]"])
      expect(() => parseJson(text)).toThrow(/JSON/);
  });

  it("duplicate keys, unknown fields and prototypes in a body reach nothing", async () => {
    const { send, registry } = world();
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    const bodies = [
      '{"version":"1.0.0","version":"2.0.0"}',
      '{"version":"1.0.0","expect":null}',
      '{"version":"1.0.0","__proto__":{"admin":true}}',
      '{"version":["1.0.0"]}',
      '{"version":1}',
      "[]",
      "null",
      "",
    ];
    for (const body of bodies) {
      const headers = { "content-type": "application/json", "if-none-match": "*" };
      const reply = await send("PUT", "/v1/prompts/a/-/labels/production", { headers, body });
      expect(reply.status, body).toBe(400);
    }
    expect((await registry.getPrompt({ name: "a", version: "1.0.0" }, { status: true })).labels).toEqual([]);
  });

  it("a body of another type, coded, not UTF-8, with NUL or too large is refused", async () => {
    const { send, registry } = world();
    const put = (headers: Record<string, string>, body: string | Uint8Array) =>
      send("PUT", "/v1/prompts/a/-/versions/1.0.0", { headers: { ...MARKDOWN, ...headers }, body });
    expect((await put({ "content-type": "application/json" }, "{}")).status).toBe(415);
    expect((await put({ "content-type": "multipart/form-data; boundary=x" }, "--x")).status).toBe(415);
    expect((await put({ "content-encoding": "gzip" }, "x")).status).toBe(415);
    expect((await put({}, Uint8Array.of(0x61, 0xff))).status).toBe(400);
    expect((await put({}, "a\0b")).status).toBe(400);
    expect((await put({}, "x".repeat(2 ** 20 + 1))).status).toBe(400);
    expect((await put({}, "x".repeat(2 ** 21))).status).toBe(413);
    expect((await put({}, "---\nregistry.digest: x\n---\n")).status).toBe(400);
    expect((await registry.listPrompts({ includeRemoved: true })).items).toEqual([]);
    expect((await put({}, "x".repeat(2 ** 20))).status).toBe(201);
  });

  it("huge lists are refused before anything is looked up", async () => {
    const { send } = world(200_000);
    const ask = { name: "a", selector: { kind: "latest" } };
    const asks = (count: number) => ({ json: { asks: Array.from({ length: count }, () => ask) } });
    expect((await send("POST", "/v1/reads", asks(1000))).status).toBe(200);
    expect((await send("POST", "/v1/reads", asks(1001))).status).toBe(400);
    expect((await send("POST", "/v1/reads", asks(10_000))).status).toBe(413);
    for (const limit of ["0", "1001", "-1", "1e9", "NaN", "", "1.5"]) {
      expect((await send("GET", `/v1/prompts?limit=${limit}`)).status, limit).toBe(400);
    }
    const labels = Array.from({ length: 101 }, (_, i) => `l${i}`);
    const many = await send("POST", "/v1/prompts/a/-/versions", { json: { bump: "minor", text: "t", labels } });
    expect(many.status).toBe(400);
  });

  it("a query with a parameter twice, or one that is none, is refused", async () => {
    const { send } = world();
    for (const query of [
      "limit=1&limit=2",
      "prefx=a",
      "__proto__=1",
      "constructor=1",
      "include=everything",
      "text=%00",
      "prefix=A",
    ]) {
      expect((await send("GET", `/v1/prompts?${query}`)).status, query).toBe(400);
    }
    expect((await send("GET", "/v1?x=1")).status).toBe(400);
  });

  it("a method that a path does not take is 405 and says which it takes; a path that is none is 404", async () => {
    const { send } = world();
    const reply = await send("DELETE", "/v1/prompts");
    expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    for (const method of ["OPTIONS", "PATCH", "PROPFIND"]) expect((await send(method, "/v1")).status).toBe(405);
    for (const path of [
      "/",
      "/v2/prompts",
      "/v1/prompts/a/-",
      "/v1/prompts/a/-/nothing",
      "/v1/prompts/-/latest",
      "/admin",
    ]) {
      expect((await send("GET", path)).status, path).toBe(404);
    }
  });

  it("what a store says of its insides stays inside", async () => {
    const { send, driver } = world();
    driver.read = async () => {
      throw new TypeError("secret-host:5432 refused password hunter2");
    };
    const reply = await send("POST", "/v1/reads", { json: { asks: [{ name: "a", selector: { kind: "head" } }] } });
    expect(reply.status).toBe(500);
    expect(reply.text).not.toMatch(/secret-host|hunter2|TypeError|\.ts/);
  });

  it("a document that is sealed as another, damaged, or no document is not stored by a commit", async () => {
    const { send, registry } = world();
    const good = documentOf("a", "1.0.0");
    const commit = (changes: unknown) =>
      send("POST", "/v1/commits", { json: { id: "c", at: "2026-01-01T00:00:00.000Z", changes } });
    const texts = [
      documentOf("b", "1.0.0").text,
      documentOf("a", "1.1.0").text,
      good.text.replace("a 1.0.0", "a 6.6.6"),
      "not sealed\n",
      "",
      good.text.replace(/\n/, "\r\n"),
    ];
    for (const text of texts) {
      expect((await commit([{ name: "a", add: [{ version: "1.0.0", text }] }])).status, text).toBe(400);
      expect((await commit([{ name: "a", remove: [{ version: "1.0.0", text }] }])).status, text).toBe(400);
    }
    const twice = { version: "1.0.0", text: good.text };
    expect((await commit([{ name: "a", add: [twice, twice] }])).status).toBe(400);
    const change = { name: "a", add: [twice] };
    expect((await commit([change, change])).status).toBe(400);
    expect((await commit([{ ...change, ifUnchanged: true }])).status).toBe(400);
    expect((await registry.listPrompts({ includeRemoved: true })).items).toEqual([]);
    expect((await commit([change])).json.outcomes).toMatchObject([{ status: "done" }]);
  });
});
