import * as z from "zod";
import { insideOf } from "./bounded.ts";
import { type Content, type Reply, ROUTES, type RouteSpec } from "./routes.ts";
import { health, problem } from "./schemas.ts";

type Json = Readonly<Record<string, unknown>>;

/** What path parameters look like. `[0-9]`, as `\d` is more than ASCII to many a program that reads this document. */
const PATH_PARAMETERS: Readonly<Record<string, Json>> = {
  name: {
    description:
      "The prompt's name, whose segments stand in the path as they are, joined by /. Never percent-encoded: an encoded slash is refused",
    schema: { type: "string", pattern: "^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$", examples: ["triage"] },
  },
  version: { schema: { type: "string", pattern: "^(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})$" } },
  label: { schema: { type: "string", pattern: "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$" } },
};

const PROBLEM = {
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};
/** What any route may answer beside its own replies. */
export const COMMON: Readonly<Record<number, string>> = {
  400: "The request is not as it must be",
  401: "No valid credentials",
  403: "The credentials do not allow it",
  404: "Not there, or not to be seen with these credentials",
  405: "The path takes other methods; see Allow",
  408: "The request did not arrive in time",
  409: "Taken, changed by somebody else, or still needed",
  410: "It was removed",
  412: "A precondition does not hold",
  413: "The body is too large",
  414: "The request target is too long",
  415: "The body is of another media type",
  422: "This storage does not support it",
  428: "A precondition is missing",
  429: "Too many requests; see Retry-After",
  431: "The headers are too large",
  500: "An error of the server, or damaged bytes",
  501: "No such transfer coding here",
  503: "Not available now; see Retry-After",
  504: "Took too long",
  507: "No space left",
};

function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    ...({ target: "draft-2020-12", io: "input", unrepresentable: "any" } as const),
    override({ zodSchema, jsonSchema: made }) {
      const inside = insideOf(zodSchema);
      if (inside === undefined) return;
      const parts = Object.entries(inside.parts).map(([keyword, part]) => [keyword, jsonSchema(part)]);
      Object.assign(made, { type: inside.type }, Object.fromEntries(parts));
    },
  });
  return rest;
}

function schemaOf(schema: z.ZodType): Json {
  return schema === health ? { $ref: HEALTH } : jsonSchema(schema);
}

const HEALTH = "#/components/schemas/Health";

/** The one shape that holds itself: inside this document `#` is not the schema. */
function healthSchema(): Json {
  return JSON.parse(JSON.stringify(jsonSchema(health)).replaceAll('"$ref":"#"', `"$ref":"${HEALTH}"`)) as Json;
}

function contentOf(contents: readonly Content[]): Json {
  return Object.fromEntries(
    contents.map((content) => [
      content.type,
      { schema: content.type === "application/json" ? schemaOf(content.schema) : { type: "string" } },
    ]),
  );
}

function parametersOf(route: RouteSpec): readonly Json[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    ...PATH_PARAMETERS[name as string],
  }));
  const inQuery = Object.entries(route.query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: "query",
    required: !(schema as z.ZodType).safeParse(undefined).success,
    schema: schemaOf(schema as z.ZodType),
  }));
  const inHeader = Object.entries(route.headers ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    description,
    required: false,
    schema: { type: "string" },
  }));
  return [...inPath, ...inQuery, ...inHeader];
}

function operationOf(route: RouteSpec): Json {
  const replies = Object.entries(route.replies).map(([status, reply]: [string, Reply]) => [
    status,
    { description: reply.description, ...(reply.content === undefined ? {} : { content: contentOf(reply.content) }) },
  ]);
  const problems = Object.entries(COMMON).map(([status, description]) => [status, { description, ...PROBLEM }]);
  const parameters = parametersOf(route);
  return {
    operationId: route.id,
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: contentOf([route.body]) } }),
    responses: Object.fromEntries([...problems, ...replies]),
    security: route.right === "public" ? [] : [{ bearer: [] }, {}],
    "x-right": route.right,
    "x-resource": route.resource,
  };
}

/**
 * The protocol as an OpenAPI 3.1 document, made of the very table that requests are checked with.
 *
 * @param version of this package
 */
export function openapi(version: string, routes: readonly RouteSpec[] = ROUTES): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "prompt-registry",
      version,
      description: "Protocol v1 of prompt-registry. Every error is a problem of RFC 9457.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: { Problem: schemaOf(problem), Health: healthSchema() },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
  };
}
