import fc from "fast-check";
import { sealDocument } from "../../src/document.ts";
import { parseName } from "../../src/names.ts";
import { parseVersion } from "../../src/semver.ts";

// biome-ignore lint/suspicious/noExplicitAny: JSON Schema as it comes
export type Json = any;

/** A request, except for what is only known when it is sent: texts `@N` stand for something that the server said before. */
export interface FuzzRequest {
  readonly id: string;
  readonly template: string;
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const NASTY = [
  "",
  " ",
  ".",
  "..",
  "%",
  "%2f",
  "%252e%252e",
  "%00",
  "a//b",
  "__proto__",
  "constructor",
  "latest",
  "-",
  "/-/",
  "'\";--",
  "$(x)",
  "🙂",
  "\u202e",
  "\u0000",
  "\ud800",
  "x".repeat(300),
  "9".repeat(30),
  "1e9",
  "-1",
  "NaN",
  "null",
  "true",
];
/** What other schemas are about, by the example that stands in them; so that requests meet each other. */
const POOLS: Readonly<Record<string, readonly string[]>> = {
  "support/triage": ["a", "a/b", "b", "fuzz/x", "fuzz/y.z"],
  "1.2.0": ["1.0.0", "1.0.1", "1.1.0", "2.0.0-beta.1", "2.0.0"],
  production: ["staging", "production", "beta"],
};
const TEXTS = [
  "",
  "one\n",
  "two\n",
  "---\nmodel: m\n---\nSay {{word}}.\n",
  "a\r\nb",
  "---\n: {\n---\n",
  "registry.digest: x\n",
];

const token = fc.nat({ max: 99 }).map((n) => `@${n}`);
const nasty = fc.constantFrom(...NASTY);
const anything: fc.Arbitrary<Json> = fc.oneof(fc.jsonValue({ maxDepth: 2 }), nasty, token);

/** Values of a JSON Schema, now and then of another one. */
function valuesOf(schema: Json, root: Json, depth = 0): fc.Arbitrary<Json> {
  const valid = validOf(schema, root, depth);
  return fc.oneof({ weight: 30, arbitrary: valid }, { weight: 1, arbitrary: anything });
}

function validOf(schema: Json, root: Json, depth: number): fc.Arbitrary<Json> {
  if (typeof schema.$ref === "string") {
    const target = schema.$ref
      .slice(2)
      .split("/")
      .reduce((node: Json, part: string) => node[part], root);
    return depth > 4 ? fc.constant({}) : valuesOf(target, root, depth + 1);
  }
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const union = schema.oneOf ?? schema.anyOf;
  if (union !== undefined) return fc.oneof(...union.map((one: Json) => valuesOf(one, root, depth + 1)));
  if (schema.type === "object") return objectOf(schema, root, depth);
  if (schema.type === "array") {
    const maxLength = depth > 3 ? 1 : Math.min(schema.maxItems ?? 4, 4);
    return fc.array(valuesOf(schema.items ?? {}, root, depth + 1), { maxLength });
  }
  if (schema.type === "string") return stringOf(schema);
  if (schema.type === "integer" || schema.type === "number") {
    const bounds = [schema.minimum ?? 0, schema.maximum ?? 1000, 1, 2];
    return fc.oneof(fc.constantFrom(...bounds), fc.integer({ min: -1, max: 1001 }));
  }
  if (schema.type === "boolean") return fc.boolean();
  return schema.type === "null" ? fc.constant(null) : anything;
}

function objectOf(schema: Json, root: Json, depth: number): fc.Arbitrary<Json> {
  const fields = Object.entries<Json>(schema.properties ?? {});
  if (fields.length === 0 && typeof schema.additionalProperties === "object") {
    const key =
      schema.propertyNames === undefined
        ? fc.string({ maxLength: 5 })
        : valuesOf({ type: "string", ...schema.propertyNames }, root);
    const entries = fc.array(fc.tuple(key.map(String), valuesOf(schema.additionalProperties, root, depth + 1)), {
      maxLength: 3,
    });
    return entries.map((all) => Object.fromEntries(all));
  }
  const model = Object.fromEntries(fields.map(([name, one]) => [name, valuesOf(one, root, depth + 1)]));
  const record = fc.record(model, { requiredKeys: schema.required ?? [] });
  const extra = fc.record({ unknown: anything });
  return fc.oneof(
    { weight: 40, arbitrary: record },
    { weight: 1, arbitrary: fc.tuple(record, extra).map(([a, b]) => ({ ...a, ...b })) },
  );
}

function stringOf(schema: Json): fc.Arbitrary<string> {
  const pool = POOLS[schema.examples?.[0]];
  if (pool !== undefined)
    return fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...pool) }, { weight: 1, arbitrary: matching(schema) });
  if (schema.pattern?.includes("T[0-9]{2}:") === true) {
    return fc.oneof(fc.constantFrom("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"), matching(schema));
  }
  if (schema.pattern !== undefined) return matching(schema);
  // Whatever selects a version.
  if (schema.minLength === 1 && schema.maxLength === 200) {
    return fc.constantFrom(
      "1.0.0",
      "1.0.1",
      "1.1.0",
      "2.0.0",
      "latest",
      "staging",
      "^1",
      "*",
      ">=1.0.0 <2",
      "1.0.0-",
      "=",
    );
  }
  return fc.oneof(fc.constantFrom(...TEXTS), token, fc.string({ maxLength: 20, unit: "grapheme" }));
}

function matching({ pattern, maxLength = 200 }: Json): fc.Arbitrary<string> {
  return fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, maxLength));
}

const PATH: Readonly<Record<string, fc.Arbitrary<string>>> = {
  name: fc.constantFrom(...(POOLS["support/triage"] as string[])),
  version: fc.constantFrom(...(POOLS["1.2.0"] as string[])),
  label: fc.constantFrom(...(POOLS.production as string[])),
};
const PRINTABLE = /^[\x21-\x7e]+$/;
const HEADERS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "If-Match": fc.oneof(
    fc.constant("*"),
    token.map((t) => `"${t}"`),
    fc.constantFrom('"x"', "W/", '"sha256:0;gzip"', "x, y"),
  ),
  "If-None-Match": fc.oneof(
    { weight: 4, arbitrary: fc.constant("*") },
    { weight: 1, arbitrary: token.map((t) => `"${t}"`) },
  ),
  "Idempotency-Key": fc.constantFrom("k1", "k2", "k3", "a b", "x".repeat(201)),
  "Last-Event-ID": token,
};
const EXTRA: readonly Readonly<Record<string, string>>[] = [
  {},
  {},
  {},
  { "accept-encoding": "gzip, br" },
  { "accept-encoding": "br;q=0, *;q=x" },
  { accept: "text/event-stream" },
  { accept: "application/xml" },
  { "cache-control": "no-cache" },
  { "content-encoding": "gzip" },
  { "content-type": "text/plain" },
  { "content-type": "application/json; charset=utf-16" },
  { "if-none-match": '"', "if-match": "," },
];

/** Arbitrary requests to all operations of an OpenAPI document, most of them as they should be. */
export function requestsOf(document: Json): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries<Json>(document.paths).flatMap(([template, item]) =>
    Object.entries<Json>(item).map(([method, operation]) => ({
      weight: WEIGHTS[operation.operationId] ?? 4,
      arbitrary: requestOf(document, template, method.toUpperCase(), operation),
    })),
  );
  return fc.oneof(...operations);
}

/** What is removed is gone for ever, and where nothing is published nothing can be tried. */
const WEIGHTS: Readonly<Record<string, number>> = {
  "versions.put": 30,
  "versions.post": 12,
  "labels.put": 10,
  "versions.delete": 2,
  "prompt.delete": 1,
};

/** Documents of a commit are sealed, as clients seal them. */
function sealed(commit: Json): Json {
  for (const { name, add = [] } of Array.isArray(commit?.changes) ? commit.changes : []) {
    for (const document of Array.isArray(add) ? add : []) {
      try {
        const { version, text } = document;
        const slot = { name: parseName(name), version: parseVersion(version) };
        document.text = sealDocument({ ...slot, text, createdAt: "2026-01-01T00:00:00.000Z" }).text;
      } catch {
        // As it is.
      }
    }
  }
  return commit;
}

function requestOf(document: Json, template: string, method: string, operation: Json): fc.Arbitrary<FuzzRequest> {
  const parameters: Json[] = operation.parameters ?? [];
  const within = (place: string) => parameters.filter((one) => one.in === place);
  const path = fc
    .tuple(
      ...within("path").map(({ name }) =>
        fc.oneof({ weight: 25, arbitrary: PATH[name] as fc.Arbitrary<string> }, { weight: 1, arbitrary: nasty }),
      ),
    )
    .map((values) =>
      within("path").reduce((text, { name }, i) => text.replace(`{${name}}`, () => values[i] as string), template),
    );
  const query = fc
    .record<Record<string, unknown>, string>(
      Object.fromEntries(within("query").map(({ name, schema }) => [name, valuesOf(schema, document)])),
      { requiredKeys: within("query").flatMap(({ name, required }) => (required ? [String(name)] : [])) },
    )
    .map((found) => Object.entries(found).map(([name, value]) => [name, String(value)] as const));
  const named = within("header").map(({ name }: Json) =>
    (HEADERS[name] ?? fc.constant("x")).map((value) => ({ [name]: value })),
  );
  const one: fc.Arbitrary<Readonly<Record<string, string>>> = named.length === 0 ? fc.constant({}) : fc.oneof(...named);
  const headers = fc.oneof({ weight: 12, arbitrary: one }, { weight: 1, arbitrary: fc.constant({}) });
  const odd = fc.oneof(
    { weight: 20, arbitrary: fc.constant<FuzzRequest["query"]>([]) },
    { weight: 1, arbitrary: fc.constant<FuzzRequest["query"]>([["unknown", "1"]]) },
  );
  const verb = method === "GET" ? fc.constantFrom("GET", "GET", "GET", "HEAD") : fc.constant(method);
  return fc.tuple(path, query, odd, headers, fc.constantFrom(...EXTRA), bodyOf(document, operation), verb).map(
    ([at, asked, more, said, extra, body, sent]): FuzzRequest => ({
      id: operation.operationId,
      template,
      method: sent,
      path: at,
      query: [...asked, ...more],
      headers: { ...(body?.type === undefined ? {} : { "content-type": body.type }), ...said, ...extra },
      body: body?.text,
    }),
  );
}

function bodyOf(
  document: Json,
  operation: Json,
): fc.Arbitrary<{ readonly type: string; readonly text: string } | undefined> {
  const [first] = Object.entries<Json>(operation.requestBody?.content ?? {});
  if (first === undefined) return fc.constant(undefined);
  const [type, { schema }] = first;
  const whole =
    type === "application/json"
      ? valuesOf(schema, document)
          .map(sealed)
          .map((value) => JSON.stringify(value) ?? "")
      : fc.oneof(fc.constantFrom(...TEXTS), token, fc.string());
  const cut = fc.tuple(whole, fc.nat({ max: 50 })).map(([text, at]) => text.slice(0, at));
  const twice = whole.map((text) => text.replace(/^\{("[^"]*":)/, "{$1null,$1"));
  return fc
    .oneof({ weight: 30, arbitrary: whole }, { weight: 1, arbitrary: cut }, { weight: 1, arbitrary: twice })
    .map((text) => ({ type, text }));
}

/** Puts in what the server said before. */
export function filledIn(text: string, said: readonly string[], inJson: boolean): string {
  return text.replace(/@(\d{1,2})/g, (_, n: string) => {
    const found = said.length === 0 ? "" : (said[Number(n) % said.length] as string);
    return inJson ? JSON.stringify(found).slice(1, -1) : found;
  });
}

/** The request line's target; it is not mended, but has to be characters that an HTTP client can send at all. */
export function targetOf({ path, query }: FuzzRequest, said: readonly string[]): string {
  const parts = query.map(
    ([name, value]) => `${name}=${encodeURIComponent(filledIn(value, said, false).toWellFormed?.() ?? value)}`,
  );
  const target = `${path}${parts.length === 0 ? "" : `?${parts.join("&")}`}`;
  return PRINTABLE.test(target) ? target : encodeURI(target.replace(/[\ud800-\udfff]/g, "?")).replaceAll("%25", "%");
}
