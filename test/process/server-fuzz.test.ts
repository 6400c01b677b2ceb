import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request as send } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { openAccess } from "../../src/server/handler.ts";
import { serve } from "../../src/server/node/serve.ts";
import { openapi } from "../../src/server/protocol/openapi.ts";
import { type FuzzRequest, filledIn, type Json, requestsOf, targetOf } from "../support/openapi-requests.ts";
import { runsFrom } from "../support/sizes.ts";

// Requests to all stores together. The same ones each time, unless more are asked for.
const REQUESTS = runsFrom("PROMPT_REGISTRY_FUZZ_RUNS", 3200);
const SEED = process.env.PROMPT_REGISTRY_FUZZ_RUNS === undefined ? 20261124 : Date.now() % 2 ** 31;
const AT_ONCE = 8;
const folder = mkdtempSync(join(tmpdir(), "prompt-registry-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STORES: Readonly<Record<string, () => Promise<StorageDriver>>> = {
  memory: async () => memory(),
  sqlite: () => sqlite({ path: join(folder, "registry.db") }),
};

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly etag: string | undefined;
}

/** Judges replies by the document that the server itself gives. */
class Judge {
  readonly #document: Json;
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Json) {
    this.#document = document;
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
    this.#ajv.addSchema({ $id: "https://registry.test/openapi.json", ...document });
  }

  /** Why the reply is none that was declared; `undefined` where it is. */
  fault({ template, method, id }: FuzzRequest, { status, type, text }: Answer): string | undefined {
    if (status >= 500) return `${status}`;
    const verb = method === "HEAD" ? "get" : method.toLowerCase();
    const reply = this.#document.paths[template][verb].responses[status];
    if (reply === undefined) return `${status} is not declared for ${id}`;
    if (reply.content === undefined) return text === "" ? undefined : `${status} of ${id} has a body`;
    if (reply.content[type] === undefined) return `${status} of ${id} with "${type}" is not declared`;
    if (method === "HEAD") return text === "" ? undefined : "HEAD has a body";
    if (!type.endsWith("json")) return undefined;
    const pointer = ["paths", template, verb, "responses", String(status), "content", type, "schema"];
    const where = pointer.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
    const validate =
      this.#validators.get(where) ?? this.#ajv.compile({ $ref: `https://registry.test/openapi.json#/${where}` });
    this.#validators.set(where, validate);
    if (validate(JSON.parse(text))) return undefined;
    return `${status} of ${id}: ${this.#ajv.errorsText(validate.errors)}`;
  }
}

const agent = new Agent({ keepAlive: true });
afterAll(() => agent.destroy());

function ask(
  url: string,
  { method, headers, body, path, query, ...rest }: FuzzRequest,
  said: readonly string[],
): Promise<Answer> {
  const target = targetOf({ method, headers, body, path, query, ...rest }, said);
  const inJson = headers["content-type"]?.startsWith("application/json") === true;
  const content = body === undefined ? undefined : Buffer.from(filledIn(body, said, inJson));
  const { hostname, port } = new URL(url);
  const filled = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      filledIn(value, said, false).replace(/[^\t\x20-\x7e]/g, "?"),
    ]),
  );
  const length = method === "PUT" || method === "POST" ? { "content-length": String(content?.length ?? 0) } : {};
  return new Promise((resolve, reject) => {
    const request = send({ hostname, port, method, path: target, headers: { ...length, ...filled }, agent });
    request.on("error", reject);
    request.on("response", (response: IncomingMessage) => {
      const type = (response.headers["content-type"] ?? "").split(";")[0] ?? "";
      const { statusCode: status = 0 } = response;
      const { etag } = response.headers;
      if (type === "text/event-stream") {
        response.destroy();
        resolve({ status, type, text: "", etag });
        return;
      }
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const isCoded = response.headers["content-encoding"] !== undefined;
        resolve({ status, type: isCoded ? "" : type, text: isCoded ? "" : Buffer.concat(chunks).toString(), etag });
      });
    });
    request.end(content);
  });
}

/** What a later request may say again: revisions, cursors, digests, sealed texts. */
function learn(said: string[], { text, type, etag }: Answer): void {
  const found = etag === undefined ? [] : [etag.replaceAll('"', "")];
  if (type === "text/markdown") found.push(text);
  for (const [, value] of text.matchAll(/"(?:revision|cursor|digest|text)":"((?:[^"\\]|\\.)*)"/g)) {
    found.push(JSON.parse(`"${value}"`) as string);
  }
  said.unshift(...found.filter((one) => one.length < 5000));
  said.length = Math.min(said.length, 100);
}

describe("the judge of replies", () => {
  it("finds a 5xx, a status, a content type and a shape that are not declared", () => {
    const judge = new Judge(openapi("0.0.0"));
    const request: FuzzRequest = {
      ...{ id: "head.get", template: "/v1/prompts/{name}/-/head", method: "GET", path: "/v1/prompts/a/-/head" },
      ...{ query: [], headers: {}, body: undefined },
    };
    const head = { head: { labels: {}, yanked: {}, generation: 0 }, revision: null };
    const answer = { status: 200, type: "application/json", text: JSON.stringify(head), etag: undefined };
    expect(judge.fault(request, answer)).toBeUndefined();
    expect(judge.fault(request, { ...answer, status: 500 })).toBe("500");
    expect(judge.fault(request, { ...answer, status: 202 })).toBe("202 is not declared for head.get");
    expect(judge.fault(request, { ...answer, type: "text/html" })).toMatch(/"text\/html" is not declared/);
    expect(judge.fault(request, { ...answer, text: "{}" })).toMatch(/^200 of head\.get: .*required/);
    expect(judge.fault({ ...request, method: "HEAD" }, answer)).toBe("HEAD has a body");
    const problem = { ...answer, status: 404, type: "application/problem+json" };
    expect(judge.fault(request, problem)).toMatch(/^404 of head\.get: /);
  });
});

describe("any request that the OpenAPI document allows, and many that it does not", () => {
  it.each(Object.keys(STORES))("over %s: no 5xx, and no reply that is not declared", async (store) => {
    const registry = new PromptRegistry(await (STORES[store] as () => Promise<StorageDriver>)());
    const rate = { rate: 1_000_000, burst: 1_000_000 };
    const failures: string[] = [];
    const log = (lines: string) => failures.push(...lines.split("\n").filter((line) => line.includes('"status":5')));
    const server = await serve(registry, {
      ...{ log, logLevel: "errors" as const },
      access: openAccess(),
      port: 0,
      limits: { principalRate: rate, addressRate: rate },
    });
    const statuses = new Map<string, number>();
    const routes = new Set<string>();
    let count = 0;
    try {
      const document: Json = await (await fetch(`${server.url}/openapi.json`)).json();
      const judge = new Judge(document);
      const said: string[] = [];
      const property = fc.asyncProperty(
        fc.array(requestsOf(document), { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async (requests) => {
          const answers = await Promise.all(requests.map((request) => ask(server.url, request, said)));
          for (const [i, answer] of answers.entries()) {
            const request = requests[i] as FuzzRequest;
            count++;
            learn(said, answer);
            const fault =
              answer.type === "" && answer.text === "" && answer.status === 200
                ? undefined
                : judge.fault(request, answer);
            if (fault !== undefined)
              throw new Error(
                `${request.method} ${targetOf(request, said)}: ${fault}\n${answer.text}\n${failures.at(-1) ?? ""}`,
              );
            const kind = `${Math.floor(answer.status / 100)}xx`;
            statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
            if (answer.status < 300) routes.add(request.id);
          }
        },
      );
      const numRuns = Math.ceil(REQUESTS / Object.keys(STORES).length / AT_ONCE);
      await fc.assert(property, { seed: SEED, numRuns, endOnFailure: true });
      const operations = Object.values<Json>(document.paths).flatMap((item) => Object.keys(item));
      // Requests that never get in say nothing about what is behind the door.
      expect((statuses.get("2xx") ?? 0) / count, JSON.stringify([...statuses])).toBeGreaterThan(0.25);
      expect(routes.size, [...routes].join(" ")).toBeGreaterThan(operations.length * 0.8);
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      expect((await registry.verify()).ok).toBe(true);
    } finally {
      await server.stop(0);
      await registry.close();
    }
  });
});
