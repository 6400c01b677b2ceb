import { randomBytes } from "node:crypto";
import type { Tools } from "../tools.ts";
import type { Check } from "../types.ts";

/** Each must be refused with 400 as it stands; through sockets, as every client library would mend some of them. */
async function refused(t: Tools, targets: readonly string[]): Promise<void> {
  for (const target of targets) {
    const reply = await t.client.raw(target);
    // A server whose parser gives up on the line may hang up.
    if (reply === undefined) continue;
    t.ok(reply.status === 400, `GET ${JSON.stringify(target)}: ${reply.status} instead of 400`);
  }
}

const JSON_TYPE = { "content-type": "application/json" };

export const hostileChecks: readonly Check[] = [
  {
    id: "targets.encoded-slash",
    rule: "an encoded slash or backslash in a path is 400, encoded once or twice",
    section: "Names in paths",
    rights: ["read", "write"],
    async run(t: Tools) {
      await t.seed(["1.0.0"], `${t.name}/b`);
      const name = (slash: string) => `/v1/prompts/${t.name}${slash}b`;
      t.status(await t.get(name("/")), 200);
      await refused(
        t,
        ["%2f", "%2F", "%252f", "%5c", "%c0%af"].flatMap((s) => [name(s), `${name(s)}/-/latest`]),
      );
    },
  },
  {
    id: "targets.encoded",
    rule: "nothing in a path is decoded: any % is 400",
    section: "Names in paths",
    async run(t: Tools) {
      await refused(t, [
        "/v1/%70rompts",
        "/%76%31",
        "/v1/prompts?limit=1".replace("prompts", "prompt%73"),
        "/v1/prompts/%61",
      ]);
    },
  },
  {
    id: "targets.dot-segments",
    rule: "dot segments are 400, never walked",
    section: "Names in paths",
    async run(t: Tools) {
      await refused(t, [
        "/v1/prompts/../prompts",
        "/v1/./prompts",
        "/v1/x/../prompts",
        "/v1/prompts/..",
        "/v1/prompts/%2e%2e/prompts",
        "/../v1",
      ]);
    },
  },
  {
    id: "targets.empty-segments",
    rule: "empty segments and a slash at the end are 400",
    section: "Names in paths",
    async run(t: Tools) {
      await refused(t, ["//v1/prompts", "/v1//prompts", "/v1/prompts/", "/v1/prompts/a/", "/v1/"]);
    },
  },
  {
    id: "targets.controls",
    rule: "NUL, controls, backslashes and bytes above ASCII in a target are 400",
    section: "Names in paths",
    async run(t: Tools) {
      await refused(t, [
        "/v1/prompts/a%00",
        "/v1/prompts/a\0",
        "/v1/prompts/a\u0001",
        "/v1/prompts/a\\b",
        "/v1/prompts/\u00e9",
        "/v1/prompts/a;b",
      ]);
    },
  },
  {
    id: "targets.long",
    rule: "a target that is too long is refused",
    section: "Errors",
    async run(t: Tools) {
      const reply = await t.client.raw(`/v1/prompts?text=${"a".repeat(70_000)}`);
      t.ok(
        reply === undefined || [400, 414, 431].includes(reply.status),
        `a target of 70,000 characters: ${reply?.status}`,
      );
    },
  },
  {
    id: "names.refused",
    rule: "what can't be a name, a version or a label is 400",
    section: "Names in paths",
    async run(t: Tools) {
      for (const name of ["A", ".hidden", "a.", "-a", `${"x".repeat(65)}`, `${"a/".repeat(8)}a`, "latest"]) {
        t.problem(await t.get(`/v1/prompts/${name}/-/latest`), 400, "INVALID");
      }
      for (const version of ["1", "v1.0.0", "01.0.0", "latest", "1.0.0.0"]) {
        t.problem(await t.get(`/v1/prompts/a/-/versions/${version}`), 400, "INVALID");
      }
      for (const label of ["A", "-a", "1.0.0"]) {
        t.problem(await t.get(`/v1/prompts/a/-/labels/${label}`), 400, "INVALID");
      }
    },
  },
  {
    id: "query.unknown",
    rule: "a query parameter that is not known is 400",
    section: "What may change",
    async run(t: Tools) {
      for (const path of [
        "/v1?x=1",
        "/v1/prompts?prefx=a",
        "/v1/prompts/a?at=1",
        "/v1/prompts/a/-/latest?version=1.0.0",
        "/v1/changes?since=1",
      ]) {
        t.problem(await t.get(path), 400, "INVALID");
      }
    },
  },
  {
    id: "query.twice",
    rule: "a query parameter that is given twice is 400",
    section: "What may change",
    async run(t: Tools) {
      t.problem(await t.get("/v1/prompts?limit=1&limit=2"), 400, "INVALID");
      t.problem(await t.get("/v1/prompts?prefix=a&prefix=a"), 400, "INVALID");
    },
  },
  {
    id: "bodies.unknown-fields",
    rule: "a field that is not known is 400, and nothing happens",
    section: "What may change",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      const headers = { "if-none-match": "*" };
      const put = await t.send("PUT", t.prompt("labels/staging"), {
        headers,
        json: { version: "1.0.0", expect: null },
      });
      t.problem(put, 400, "INVALID");
      t.problem(await t.reads([{ name: t.name, selector: { kind: "latest", at: "x" } }]), 400, "INVALID");
      t.problem(await t.commit([{ name: t.name, ifUnchanged: true }]), 400, "INVALID");
      t.status(await t.ask("labels/staging"), 404);
    },
  },
  {
    id: "bodies.duplicate-keys",
    rule: "a key that stands twice in an object is 400, at any depth and however it is spelled",
    section: "Basics",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      const path = t.prompt("labels/staging");
      for (const body of ['{"version":"1.0.0","version":"2.0.0"}', '{"version":"1.0.0","\\u0076ersion":"2.0.0"}']) {
        const answer = await t.send("PUT", path, { headers: { ...JSON_TYPE, "if-none-match": "*" }, body });
        t.problem(answer, 400, "INVALID");
      }
      const nested = `{"asks":[{"name":"${t.name}","selector":{"kind":"latest","kind":"head"}}]}`;
      t.problem(await t.send("POST", "/v1/reads", { headers: JSON_TYPE, body: nested }), 400, "INVALID");
      t.status(await t.get(path), 404);
    },
  },
  {
    id: "bodies.malformed",
    rule: "what is no JSON, or JSON of another shape, is 400",
    section: "Basics",
    async run(t: Tools) {
      for (const body of ["", "{", "nul", "[]", "null", '{"asks":{}}', '{"asks":[1]}', "[".repeat(10_000)]) {
        t.problem(await t.send("POST", "/v1/reads", { headers: JSON_TYPE, body }), 400, "INVALID");
      }
    },
  },
  {
    id: "bodies.media-type",
    rule: "a body of another media type, or coded, is 415",
    section: "Basics",
    rights: ["read", "write"],
    async run(t: Tools) {
      const put = (headers: Record<string, string>) =>
        t.send("PUT", t.prompt("versions/1.0.0"), { headers: { "if-none-match": "*", ...headers }, body: "{}" });
      t.problem(await put({ "content-type": "application/json" }), 415, "INVALID");
      t.problem(await put({ "content-type": "text/markdown", "content-encoding": "gzip" }), 415, "INVALID");
      const reads = await t.send("POST", "/v1/reads", {
        headers: { "content-type": "text/plain" },
        body: '{"asks":[]}',
      });
      t.problem(reads, 415, "INVALID");
      t.status(await t.ask("versions/1.0.0"), 404);
    },
  },
  {
    id: "bodies.bytes",
    rule: "NUL and bytes that are no UTF-8 are 400",
    section: "Basics",
    rights: ["read", "write"],
    async run(t: Tools) {
      for (const body of ["a\0b", Uint8Array.of(0x61, 0xff), Uint8Array.of(0xed, 0xa0, 0x80)]) {
        t.problem(await t.put("1.0.0", body), 400, "INVALID");
      }
      t.status(await t.ask("versions/1.0.0"), 404);
    },
  },
  {
    id: "bodies.too-large",
    rule: "a text above limits.documentBytes and a body above limits.bodyBytes are refused",
    section: "Basics",
    rights: ["read", "write"],
    async run(t: Tools) {
      const limits = t.service?.limits;
      t.ok(limits !== undefined, "GET /v1 does not tell the limits");
      t.problem(await t.put("1.0.0", "x".repeat(limits.documentBytes + 1)), [400, 413], "INVALID");
      t.status(await t.ask("versions/1.0.0"), 404);
      if (limits.bodyBytes > 64 * 2 ** 20) return;
      const body = `{"asks":[${" ".repeat(limits.bodyBytes)}]}`;
      t.problem(await t.send("POST", "/v1/reads", { headers: JSON_TYPE, body }), 413, "INVALID");
    },
  },
  {
    id: "errors.secrets",
    rule: "errors tell nothing of credentials, code or places of the server",
    section: "Errors",
    async run(t: Tools) {
      const secret = `secret-${randomBytes(12).toString("hex")}`;
      const answers = [
        await t.nobody.send("GET", "/v1/prompts", { headers: { authorization: `Bearer ${secret}` } }),
        await t.nobody.send("GET", "/v1/nothing", { headers: { authorization: `Bearer ${secret}` } }),
        await t.get("/v1/prompts/A"),
        await t.get("/v1/prompts?cursor=nonsense"),
        await t.send("POST", "/v1/reads", { headers: JSON_TYPE, body: "{" }),
      ];
      for (const { asked, text, status } of answers) {
        if (status < 400) continue;
        const { token } = t.client;
        t.ok(
          !text.includes(secret) && (token === undefined || !text.includes(token)),
          `${asked}: the error repeats a credential`,
        );
        const leak =
          /\bat \S+ \(?\S+:\d+:\d+|\bnode_modules\b|(?:^|[\s"'(])\/(?:home|usr|var|tmp|opt|srv|app)\/|Traceback|Exception in/m.exec(
            text,
          );
        t.ok(leak === null, `${asked}: the error tells of the inside of the server: ${JSON.stringify(leak?.[0])}`);
      }
    },
  },
];
