import { describe, expect, it } from "vitest";
import { httpWorld } from "../../../test/support/http-world.ts";
import { cut } from "../../errors.ts";
import { openAccess } from "../handler.ts";
import { parseJson } from "../protocol/json.ts";

const MIB = 2 ** 20;
const JSON_TYPE = { "content-type": "application/json" };
const AT = "2026-01-01T00:00:00.000Z";

function world() {
  const { send } = httpWorld({ access: openAccess() });
  const post = async (path: string, body: string) => {
    const started = performance.now();
    const reply = await send("POST", path, { headers: JSON_TYPE, body });
    return { ...reply, json: JSON.parse(reply.text), ms: performance.now() - started };
  };
  return { send, post };
}

const keys = (bytes: number, make = (i: number) => `"k${i.toString(36)}":0`) =>
  Array.from({ length: Math.floor(bytes / 10) }, (_, i) => make(i)).join(",");
const ask = (more: string) => `{"asks":[{"name":"a","selector":{"kind":"latest"},${more}}]}`;
const commit = (changes: string) => `{"id":"c","at":"${AT}","changes":[${changes}]}`;
const head = (labels: string, entries = "") =>
  `{"name":"a","head":{"expect":null,"entries":[${entries}],"next":{"yanked":{},"labels":{${labels}}}}}`;

/** How long that takes here and now. */
function reading(body: string): number {
  const started = performance.now();
  parseJson(body);
  return performance.now() - started;
}

describe("what is wrong with a body", () => {
  it("is told in few words, however much it is", async () => {
    const { post } = world();
    const bodies: readonly (readonly [string, string])[] = [
      ["/v1/reads", `{"asks":[],${keys(900)}}`],
      ["/v1/reads", ask(`"${"x".repeat(MIB / 2)}":1`)],
      ["/v1/reads", `{"asks":[${Array(1000).fill("{}").join(",")}]}`],
      ["/v1/commits", `{"id":"c","at":"${AT}","changes":[],${keys(900)}}`],
      ["/v1/commits", commit(head(`"${"x".repeat(MIB / 2)}":"1.0.0"`))],
      ["/v1/commits", commit(Array(500).fill("{}").join(","))],
    ];
    for (const [path, body] of bodies) {
      const { status, json, text } = await post(path, body);
      expect([status, json.code]).toEqual([400, "INVALID"]);
      expect(json.detail.length).toBeLessThanOrEqual(1000);
      expect(json.context.issues.length).toBeLessThanOrEqual(20);
      for (const issue of json.context.issues) expect(issue.length).toBeLessThanOrEqual(200);
      expect(json.context.field.length).toBeLessThanOrEqual(200);
      expect(text.length).toBeLessThan(8000);
    }
  });

  it("still says where it is", async () => {
    const { post } = world();
    const fields = async (path: string, body: string) => (await post(path, body)).json.context.issues;
    expect(
      await fields("/v1/reads", '{"asks":[{"name":"a","selector":{"kind":"latest"}},{"name":"A","x":1}]}'),
    ).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^body\.asks\.1\.name: /),
        expect.stringMatching(/^body\.asks\.1\.selector: /),
        expect.stringMatching(/^body\.asks\.1: Unrecognized key: "x"/),
      ]),
    );
    for (const [labels, at] of [
      ['"ok":"1.0.0","Bad":"1.0.0"', "Bad"],
      ['"ok":"one"', "ok"],
      ['"__proto__":"1.0.0"', "__proto__"],
    ] as const) {
      const issues = await fields("/v1/commits", commit(head(labels)));
      expect(issues[0]).toMatch(new RegExp(`^body\\.changes\\.0\\.head\\.next\\.labels\\.${at}: `));
    }
    expect(
      await fields(
        "/v1/commits",
        commit('{"name":"a","head":{"expect":null,"entries":[],"next":{"yanked":[],"labels":{}}}}'),
      ),
    ).toEqual(["body.changes.0.head.next.yanked: must be an object"]);
  });

  it("is found out quickly", async () => {
    const { post } = world();
    const bodies: Readonly<Record<string, readonly [string, string]>> = {
      unknown: ["/v1/reads", `{"asks":[],${keys(MIB * 0.9)}}`],
      asks: ["/v1/reads", `{"asks":[${"{},".repeat(MIB / 4)}{}]}`],
      keys: ["/v1/commits", commit(head(keys(MIB, (i) => `"K${i.toString(36)}":0`)))],
      values: ["/v1/commits", commit(head(keys(MIB)))],
      entries: [
        "/v1/commits",
        commit(
          Array(25)
            .fill(head("", Array(20_000).fill("0").join(",")))
            .join(","),
        ),
      ],
      documents: [
        "/v1/commits",
        commit(
          Array(150)
            .fill(`{"name":"a","add":[${"{},".repeat(1999)}{}]}`)
            .join(","),
        ),
      ],
    };
    for (const [what, [path, body]] of Object.entries(bodies)) {
      const { status, ms } = await post(path, body);
      expect(status, what).toBe(400);
      // Of all that could be wrong to be collected took twenty times as long as to read it.
      expect(ms, what).toBeLessThan(500 + 4 * reading(body));
    }
  });

  it("is cut between characters", () => {
    expect(cut("abc", 3)).toBe("abc");
    expect(cut("abcd", 3)).toBe("ab…");
    expect(cut("a\u{1f600}bc", 3)).toBe("a…");
  });
});

describe("sizes", () => {
  it("of reads are bounded by what as many asks as there may be need", async () => {
    const { post } = world();
    const name = `${"n".repeat(60)}/${"m".repeat(60)}/${"o".repeat(60)}`;
    const one = JSON.stringify({ name, selector: { kind: "label", label: "l".repeat(60) }, known: "k".repeat(500) });
    const full = `{"asks":[${Array(1000).fill(one).join(",")}]}`;
    expect((await post("/v1/reads", full)).status).toBe(200);
    expect((await post("/v1/reads", `${full}${" ".repeat(MIB)}`)).status).toBe(413);
  });

  it("objects have no more keys than anything has, but for the heads of a commit", async () => {
    const { post } = world();
    const { status, json } = await post("/v1/reads", `{"asks":[],${keys(5000)}}`);
    expect([status, json.detail]).toEqual([400, "the body has more than 100 keys in one object"]);
    const labels = Array.from({ length: 300 }, (_, i) => `"l${i}":"1.0.0"`).join(",");
    // It is read, and then there is no such version.
    expect((await post("/v1/commits", commit(head(labels)))).json.code).toBe("NOT_FOUND");
    const more = [`{"name":"a","head":{${keys(5000)}}}`, head(keys(2 * MIB)), `{},`.repeat(300_000)];
    const said = await Promise.all(
      more.map(async (changes) => (await post("/v1/commits", commit(changes))).json.detail),
    );
    expect(said).toEqual([
      "the body has more than 100 keys in one object",
      "the body has more than 100000 keys in its maps",
      "the body has more than 300000 objects and lists",
    ]);
  });

  it("of a server that takes larger bodies go up with them: a client fills each with what there is to copy", async () => {
    const { send } = httpWorld({ access: openAccess(), maxBodyBytes: 64 * MIB });
    const detail = async (changes: string) => {
      const { text } = await send("POST", "/v1/commits", { headers: JSON_TYPE, body: commit(changes) });
      return JSON.parse(text).detail;
    };
    const yanks = (count: number) =>
      Array.from({ length: count }, (_, i) => `"0.0.${i}":{"at":"${AT}","removed":1}`).join(",");
    const yanked = (count: number) => head("").replace('"yanked":{}', `"yanked":{${yanks(count)}}`);
    expect(await detail(yanked(110_000))).toContain("changes.0.head.next.yanked.0.0.0.removed");
    expect(await detail(`${"{},".repeat(310_000)}{}`)).toContain("body.changes");
    expect(await detail(`${"{},".repeat(1_200_000)}{}`)).toBe("the body has more than 1200000 objects and lists");
  });
});

describe("queries", () => {
  it("that are no UTF-8 are refused, and never stored as something else", async () => {
    const { send } = world();
    for (const bad of ["%ff", "%c3", "%ed%a0%80", "%c0%80", "%", "%zz", "a%f0%9f%98"]) {
      const reply = await send("GET", `/v1/prompts?text=${bad}`);
      expect([reply.status, reply.json.context?.field], bad).toEqual([400, "query"]);
    }
    for (const good of ["%C3%A9", "%F0%9F%98%80", "a+b", "%25", "%ef%bf%bd"])
      expect((await send("GET", `/v1/prompts?text=${good}`)).status, good).toBe(200);
  });
});

describe("a page of another origin", () => {
  it("can send nothing that changes something without being asked for it first", async () => {
    const { send } = world();
    const headers = { "if-none-match": "*", "content-type": "text/markdown" };
    const path = "/v1/prompts/a/-/versions/1.0.0";
    expect((await send("PUT", path, { headers: { ...headers, "content-type": "text/plain" }, body: "t" })).status).toBe(
      201,
    );
    const { text } = await send("GET", path);
    await send("DELETE", path);
    const restore = (type: string) =>
      send("POST", `${path}/restore`, { headers: { "content-type": type }, body: text });
    for (const type of ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"])
      expect((await restore(type)).status, type).toBe(415);
    expect((await send("GET", path)).status).toBe(410);
    expect((await restore("text/markdown")).status).toBe(200);
    expect((await send("GET", path)).text).toBe(text);
  });
});
