import { ROUTES, type RouteSpec } from "../../server/protocol/routes.ts";
import { discovery } from "../../server/protocol/schemas.ts";
import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

async function document(t: Tools): Promise<Json> {
  const answer = await t.nobody.send("GET", "/openapi.json");
  t.status(answer, 200);
  return answer.json() as Json;
}

/** Every `$ref` in it, with where it stands. */
function* refs(node: Json, at = "#"): Generator<readonly [string, string]> {
  if (typeof node !== "object" || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === "$ref" && typeof value === "string") yield [at, value];
    else yield* refs(value, `${at}/${key}`);
  }
}

function resolves(root: Json, ref: string): boolean {
  if (!ref.startsWith("#/")) return false;
  let node = root;
  for (const part of ref.slice(2).split("/")) node = node?.[part.replaceAll("~1", "/").replaceAll("~0", "~")];
  return node !== undefined;
}

export const serviceChecks: readonly Check[] = [
  {
    id: "discovery.document",
    rule: "/.well-known/prompt-registry.json says without credentials which versions are spoken",
    section: "Basics",
    async run(t: Tools) {
      const answer = await t.nobody.send("GET", "/.well-known/prompt-registry.json");
      t.status(answer, 200);
      const json = answer.json() as Json;
      t.ok(discovery.safeParse(json).success, "the discovery document is not as it must be");
      const v1 = json.protocols.find((one: Json) => one.version === 1);
      t.equal(v1?.path, "/v1", "the path of protocol version 1");
      t.equal(json.openapi, "/openapi.json", "where the OpenAPI document is");
    },
  },
  {
    id: "service.description",
    rule: "GET /v1 says what the registry can do, its limits, and who is asking",
    section: "Basics",
    async run(t: Tools) {
      t.declared(await t.get("/v1"), "service.get");
    },
  },
  {
    id: "openapi.document",
    rule: "/openapi.json is an OpenAPI 3.1 document whose references resolve and whose operations have names and replies",
    section: "Basics",
    async run(t: Tools) {
      const json = await document(t);
      t.ok(/^3\.1\.\d+$/.test(json.openapi), `openapi is ${JSON.stringify(json.openapi)}, not 3.1`);
      t.ok(
        typeof json.info?.title === "string" && typeof json.info?.version === "string",
        "info has no title or version",
      );
      for (const [at, ref] of refs(json)) t.ok(resolves(json, ref), `${at} refers to ${ref}, which is not there`);
      const ids = new Set<string>();
      for (const [path, item] of Object.entries<Json>(json.paths ?? {})) {
        t.ok(path.startsWith("/"), `the path ${path} does not start with /`);
        for (const [method, operation] of Object.entries<Json>(item)) {
          const where = `${method} ${path}`;
          t.ok(
            typeof operation.operationId === "string" && !ids.has(operation.operationId),
            `${where} has no operationId of its own`,
          );
          ids.add(operation.operationId);
          t.ok(Object.keys(operation.responses ?? {}).length > 0, `${where} has no responses`);
          for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
            const isThere = operation.parameters?.some(
              (p: Json) => p.in === "path" && p.name === name && p.required === true,
            );
            t.ok(isThere === true, `${where} does not declare {${name}}`);
          }
        }
      }
    },
  },
  {
    id: "openapi.routes",
    rule: "/openapi.json has every route of v1 with its parameters, bodies, replies and problems",
    section: "Basics",
    async run(t: Tools) {
      const json = await document(t);
      for (const route of ROUTES as readonly RouteSpec[]) {
        const where = `${route.method} ${route.path}`;
        const operation = json.paths?.[route.path]?.[route.method.toLowerCase()];
        t.ok(operation !== undefined, `${where} is not in it`);
        for (const name of Object.keys(route.query?.shape ?? {})) {
          const isThere = operation.parameters?.some((p: Json) => p.in === "query" && p.name === name);
          t.ok(isThere === true, `${where} lacks the parameter ${name}`);
        }
        if (route.body !== undefined) {
          t.ok(operation.requestBody?.content?.[route.body.type] !== undefined, `${where} takes no ${route.body.type}`);
        }
        for (const [status, reply] of Object.entries(route.replies)) {
          t.ok(operation.responses[status] !== undefined, `${where} lacks the reply ${status}`);
          for (const { type } of reply.content ?? []) {
            t.ok(operation.responses[status].content?.[type] !== undefined, `${where}: ${status} lacks ${type}`);
          }
        }
        const problem = operation.responses["400"] ?? operation.responses["4XX"] ?? operation.responses.default;
        t.ok(problem?.content?.["application/problem+json"] !== undefined, `${where} declares no problem`);
      }
    },
  },
  {
    id: "replies.request-id",
    rule: "every reply has X-Request-Id",
    section: "Basics",
    async run(t: Tools) {
      for (const [method, path] of [
        ["GET", "/v1"],
        ["GET", "/v1/nothing"],
        ["DELETE", "/v1"],
        ["HEAD", "/v1"],
      ] as const) {
        const answer = await t.send(method, path);
        t.ok((answer.headers["x-request-id"] ?? "") !== "", `${answer.asked}: no X-Request-Id`);
      }
    },
  },
  {
    id: "paths.unknown",
    rule: "a path that is none is a problem with 404",
    section: "Errors",
    async run(t: Tools) {
      for (const path of ["/v1/nothing", "/v1/prompts/a/-/nothing", "/v9"]) {
        t.problem(await t.get(path), 404, "NOT_FOUND");
      }
    },
  },
  {
    id: "methods.unknown",
    rule: "a method that a path does not take is 405, with Allow",
    section: "Errors",
    async run(t: Tools) {
      for (const [method, path] of [
        ["DELETE", "/v1/prompts"],
        ["POST", "/v1"],
        ["PATCH", "/v1/changes"],
      ] as const) {
        const answer = await t.send(method, path);
        t.problem(answer, 405, "INVALID");
        t.ok(
          /\bGET\b/.test(answer.headers.allow ?? ""),
          `${answer.asked}: Allow is ${JSON.stringify(answer.headers.allow)}`,
        );
      }
    },
  },
];
