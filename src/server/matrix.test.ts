import { describe, expect, it } from "vitest";
import { accessOf, auditTrail, httpWorld, type Send } from "../../test/support/http-world.ts";
import { documentOf } from "../testing/builders.ts";
import { COMMON } from "./protocol/openapi.ts";
import { ROUTES, type RouteId, type RouteSpec } from "./protocol/routes.ts";
import { problem } from "./protocol/schemas.ts";
import type { Grant, Right } from "./types.ts";

/** How each route is asked about a prompt. A route without a case is a test that fails. */
const CASES: Readonly<Record<RouteId, (name: string) => Send & { readonly path?: string; readonly query?: string }>> = {
  "discovery.get": () => ({}),
  "openapi.get": () => ({}),
  "service.get": () => ({}),
  "prompts.list": () => ({}),
  "prompt.get": () => ({}),
  "prompt.delete": () => ({}),
  "head.get": () => ({}),
  "versions.list": () => ({}),
  "versions.post": () => ({ json: { bump: "minor", text: "next\n" } }),
  "versions.get": () => ({}),
  "versions.put": () => ({ body: "new\n", headers: { "if-none-match": "*", "content-type": "text/markdown" } }),
  "versions.delete": () => ({}),
  "versions.restore": (name) => ({
    body: documentOf(name, "1.0.0").text,
    headers: { "content-type": "text/markdown" },
  }),
  "yank.put": () => ({}),
  "yank.delete": () => ({}),
  "labels.get": () => ({}),
  "labels.put": () => ({ json: { version: "1.0.0" }, headers: { "if-match": "*" } }),
  "labels.delete": () => ({ headers: { "if-match": "*" } }),
  "latest.get": () => ({}),
  "rollback.post": () => ({ json: { to: "1.0.0" } }),
  "pin.delete": () => ({}),
  "deprecation.put": () => ({ json: { message: "old" } }),
  "deprecation.delete": () => ({}),
  "history.list": () => ({}),
  "diff.get": () => ({ query: "?from=1.0.0&to=1.1.0" }),
  "resolve.get": () => ({ query: "?range=%5E1" }),
  "reads.post": (name) => ({ json: { asks: [{ name, selector: { kind: "latest" } }] } }),
  "commits.post": (name) => {
    const { version, text } = documentOf(name, "3.0.0");
    return { json: { id: "c", at: "2026-01-01T00:00:00.000Z", changes: [{ name, add: [{ version, text }] }] } };
  },
  "changes.list": () => ({}),
  "check.get": () => ({}),
  "verify.get": () => ({}),
  "repair.post": () => ({ json: { repair: [], at: "2026-01-01T00:00:00.000Z" } }),
};

const RIGHTS: readonly Right[] = ["read", "write", "promote", "import", "admin"];
const PREFIXES = ["", "team", "team/a", "tea"];
const NAMES = { own: "team/a", other: "other/b", absent: "team/none", "absent elsewhere": "other/none" };

function tokenOf(right: Right, prefix: string): string {
  return `${right}.${prefix.replaceAll("/", "-")}`;
}

const grants: Record<string, readonly Grant[]> = { none: [] };
for (const right of RIGHTS) for (const prefix of PREFIXES) grants[tokenOf(right, prefix)] = [{ right, prefix }];

const covers = (prefix: string, name: string) => prefix === "" || name === prefix || name.startsWith(`${prefix}/`);

async function world() {
  const audit = auditTrail();
  const made = httpWorld({ access: accessOf(grants), audit });
  for (const name of [NAMES.own, NAMES.other]) {
    for (const version of ["1.0.0", "1.1.0"])
      await made.registry.storePrompt({ name, text: documentOf(name, version).text });
    await made.registry.setLabel(name, "staging", "1.0.0");
  }
  return { ...made, audit };
}

/** What must be answered, worked out from the words of the route and nothing else. */
function expected(
  route: RouteSpec,
  right: Right | undefined,
  prefix: string,
  name: string,
): "allowed" | 401 | 403 | 404 {
  const { right: needed, resource } = route;
  if (needed === "public" || needed === "authenticated") return "allowed";
  const has = right === needed || right === "admin";
  if (route.id === "commits.post") {
    if (has && covers(prefix, name)) return "allowed";
    // Who may change nothing at all is told so before anybody looks at what was sent.
    return right === undefined || right === "read" ? 403 : 404;
  }
  if (resource === "each") return has ? "allowed" : 403;
  if (resource === "registry") return has && prefix === "" ? "allowed" : 403;
  if (has && covers(prefix, name)) return "allowed";
  return (right === "read" || right === "admin") && covers(prefix, name) ? 403 : 404;
}

function pathOf(route: RouteSpec, name: string): string {
  const version = route.id === "versions.put" ? "2.0.0" : route.id === "versions.delete" ? "1.1.0" : "1.0.0";
  return route.path.replace("{name}", name).replace("{version}", version).replace("{label}", "staging");
}

/** Whether the OpenAPI document tells of such a reply. */
function isDeclared(route: RouteSpec, reply: { status: number; headers: Headers; text: string }): boolean {
  const type = (reply.headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (type === "application/problem+json") {
    return Object.hasOwn(COMMON, reply.status) && problem.safeParse(JSON.parse(reply.text)).success;
  }
  const content = route.replies[reply.status]?.content?.find((c) => c.type === type);
  return content !== undefined && (!("schema" in content) || content.schema.safeParse(JSON.parse(reply.text)).success);
}

describe("authorization matrix", () => {
  it("every route has a case, and says who may use it for what", () => {
    expect(Object.keys(CASES).sort()).toEqual(ROUTES.map((r) => r.id).sort());
  });

  it.each((ROUTES as readonly RouteSpec[]).map((route) => [route.id, route] as const))(
    "%s: every right × prefix × own, other and absent prompts",
    async (_, route) => {
      const id = route.id as RouteId;
      for (const right of [...RIGHTS, undefined]) {
        for (const prefix of right === undefined ? [""] : PREFIXES) {
          const denials: string[] = [];
          const { send, audit } = await world();
          for (const [which, name] of Object.entries(NAMES)) {
            const { query = "", ...rest } = CASES[id](name);
            const token = right === undefined ? "none" : tokenOf(right, prefix);
            const where = `${id} with ${right} on "${prefix}", ${which} prompt`;
            audit.entries.length = 0;
            const reply = await send(route.method, `${pathOf(route, name)}${query}`, { ...rest, token });
            const wanted = expected(route, right, prefix, name);
            expect(isDeclared(route, reply), `${where}: ${reply.status} ${reply.text}`).toBe(true);
            if (wanted === "allowed") {
              expect([401, 403], `${where}: ${reply.text}`).not.toContain(reply.status);
              if (which === "own" || which === "other")
                expect(reply.status, `${where}: ${reply.text}`).toBeLessThan(300);
              // A prompt that nobody may see is not told of in passing either.
              if (!(right === "read" || right === "admin") || !covers(prefix, name)) {
                if (route.resource === "each" && route.method !== "POST") expect(reply.text, where).not.toContain(name);
                if (id === "reads.post") expect(reply.json.answers, where).toEqual([{ status: "absent" }]);
              }
              const isDenied = id === "reads.post" && !covers(prefix, name);
              expect(audit.entries.length, where).toBe(route.mutates === true || isDenied ? 1 : 0);
            } else {
              expect(reply.status, `${where}: ${reply.text}`).toBe(wanted);
              expect(audit.entries, where).toMatchObject([{ action: id, outcome: "denied" }]);
              if (wanted === 404) denials.push(reply.text.replaceAll(name, "NAME"));
            }
          }
          // What is there and what is not are told of in the same words.
          expect(new Set(denials).size, `${id}, ${right} on "${prefix}"`).toBeLessThanOrEqual(1);
        }
      }
    },
  );

  it.each((ROUTES as readonly RouteSpec[]).filter((r) => r.right !== "public").map((r) => [r.id, r] as const))(
    "%s: nobody without a token",
    async (_, route) => {
      const id = route.id as RouteId;
      const { send } = await world();
      const { query = "", ...rest } = CASES[id](NAMES.own);
      for (const token of [{}, { token: "wrong" }]) {
        const reply = await send(route.method, `${pathOf(route, NAMES.own)}${query}`, { ...rest, ...token });
        expect(reply.status).toBe(401);
        expect(reply.headers.get("www-authenticate")).toMatch(/^Bearer/);
      }
    },
  );

  it("labels: only those a promote grant names, and a protected one only when it is named", async () => {
    const access = accessOf({
      any: [{ right: "promote", prefix: "team" }],
      staging: [{ right: "promote", prefix: "team", labels: ["staging" as never] }],
      production: [{ right: "promote", prefix: "team", labels: ["production" as never] }],
    });
    const { send, registry } = httpWorld({ access });
    await registry.storePrompt({ name: "team/a", version: "1.0.0", text: "t" });
    const put = async (token: string, label: string) => {
      const headers = { "if-none-match": "*" };
      const reply = await send("PUT", `/v1/prompts/team/a/-/labels/${label}`, {
        token,
        headers,
        json: { version: "1.0.0" },
      });
      if (reply.status < 300) await registry.removeLabel("team/a", label);
      return reply.status;
    };
    expect([await put("any", "staging"), await put("any", "production"), await put("any", "beta")]).toEqual([
      201, 404, 201,
    ]);
    expect([await put("staging", "staging"), await put("staging", "beta")]).toEqual([201, 404]);
    expect([await put("production", "production"), await put("production", "staging")]).toEqual([201, 404]);
  });
});
