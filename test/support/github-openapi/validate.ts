/**
 * Checks exchanges against GitHub's published OpenAPI description, of which `api.json.gz` holds the part that is used
 * here (made by scripts/github-openapi.mjs).
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Ajv, type ValidateFunction } from "ajv";
import formats from "ajv-formats";
import type { GitHubExchange } from "../../../src/testing/github/index.ts";

type Schema = Readonly<Record<string, unknown>>;

interface Operation {
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: Schema;
  }[];
  readonly body?: { readonly required: boolean; readonly schema: (Schema & { properties?: Schema }) | null };
  readonly responses: Readonly<Record<string, { readonly schema: Schema | null }>>;
}

interface Description {
  readonly source: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly schemas: Readonly<Record<string, Schema>>;
}

const file = new URL("./api.json.gz", import.meta.url);
export const description = JSON.parse(gunzipSync(readFileSync(file)).toString("utf8")) as Description;

// Any operation may be answered so, whether or not its description says it.
const ANYWHERE = new Set([304, 401, 403, 404, 429, 500, 502, 503]);

// Not part of the REST API: OAuth, archives, Git itself, GraphQL (which graphql-js checks).
const ELSEWHERE = /^(\/graphql|\/login\/|\/codeload\/|\/\{owner\}\/\{repo\}\.git)/;

const ajv = new Ajv({ strict: false, allErrors: false, logger: false, coerceTypes: false });
formats.default(ajv);
for (const [name, schema] of Object.entries(description.schemas)) ajv.addSchema(schema, name);

const compiled = new WeakMap<Schema, ValidateFunction>();

function mismatch(schema: Schema, value: unknown): string | undefined {
  const check = compiled.get(schema) ?? ajv.compile(schema);
  compiled.set(schema, check);
  return check(value) ? undefined : ajv.errorsText(check.errors, { dataVar: "" });
}

/** What a request and its reply do that the description does not allow. */
export function validateExchange(exchange: GitHubExchange): readonly string[] {
  const { method, route, status } = exchange;
  if (ELSEWHERE.test(route)) return [];
  const operation = description.paths[route]?.[method.toLowerCase().replace("head", "get")];
  if (operation === undefined) return [`the description has no ${method} ${route}`];
  const problems: string[] = [];
  // A request that was refused may be as wrong as the refusal says.
  if (status < 400) problems.push(...requestProblems(exchange, operation));
  const response = operation.responses[String(status)];
  if (response === undefined) {
    if (!ANYWHERE.has(status)) problems.push(`status ${status} is not in the description of ${method} ${route}`);
  } else if (response.schema !== null && exchange.replyType === "application/json") {
    const wrong = mismatch(response.schema, exchange.replyBody);
    if (wrong !== undefined) problems.push(`reply ${status}: ${wrong}`);
  }
  return problems;
}

function requestProblems(exchange: GitHubExchange, operation: Operation): readonly string[] {
  const problems: string[] = [];
  const known = new Set(operation.parameters.filter((one) => one.in === "query").map(({ name }) => name));
  for (const name of Object.keys(exchange.query)) {
    if (!known.has(name)) problems.push(`unknown query parameter ${name}`);
  }
  for (const parameter of operation.parameters) {
    const given = parameter.in === "query" ? exchange.query[parameter.name] : exchange.params[parameter.name];
    if (given === undefined) {
      if (parameter.required) problems.push(`${parameter.in} parameter ${parameter.name} is missing`);
      continue;
    }
    const isNumber = parameter.schema.type === "integer";
    const wrong = mismatch(parameter.schema, isNumber ? Number(given) : given);
    if (wrong !== undefined) problems.push(`${parameter.in} parameter ${parameter.name}: ${wrong}`);
  }
  const body = operation.body;
  if (body?.schema && (body.required || exchange.requestBody !== undefined)) {
    const wrong = mismatch(body.schema, exchange.requestBody);
    if (wrong !== undefined) problems.push(`request: ${wrong}`);
    const fields = body.schema.properties;
    if (fields !== undefined && typeof exchange.requestBody === "object") {
      const unknown = Object.keys(exchange.requestBody ?? {}).filter((key) => !(key in fields));
      if (unknown.length > 0) problems.push(`request: unknown fields ${unknown.join(", ")}`);
    }
  }
  return problems;
}
