import { sealDocument } from "../../document.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import type { RouteSpec } from "../../server/protocol/route.ts";
import { ROUTES, type RouteId } from "../../server/protocol/routes.ts";
import type { Ask } from "../client.ts";
import type { Tools } from "../tools.ts";
import type { Check } from "../types.ts";

interface Case extends Ask {
  readonly query?: string;
  /** In its path; default 1.0.0. */
  readonly version?: string;
  /** Default 200. */
  readonly status?: number;
}

const MARKDOWN = { "content-type": "text/markdown" };

/** One request to each route that must be answered by a success. The prompt has 1.0.0 and 1.1.0, and staging on 1.0.0. */
const CASES: Readonly<Record<RouteId, (t: Tools) => Case | Promise<Case>>> = {
  "discovery.get": () => ({}),
  "openapi.get": () => ({}),
  "service.get": () => ({}),
  "prompts.list": (t) => ({ query: `?prefix=${t.name}&include=heads&includeRemoved=true&limit=10` }),
  "reads.post": (t) => ({ json: { asks: [{ name: t.name, selector: { kind: "latest" } }], fresh: true } }),
  "commits.post": (t) => {
    const at = new Date().toISOString();
    const name = parseName(`${t.name}/c`);
    const { text } = sealDocument({ name, version: parseVersion("1.0.0"), text: "one\n", createdAt: at });
    return { json: { id: `r-${at}`, at, changes: [{ name, add: [{ version: "1.0.0", text }] }] } };
  },
  "changes.list": () => ({ query: "?limit=10" }),
  "check.get": () => ({}),
  "verify.get": (t) => ({ query: `?name=${t.name}` }),
  "repair.post": (t) => ({ json: { repair: [], name: t.name, at: new Date().toISOString() } }),
  "prompt.get": () => ({}),
  "head.get": () => ({}),
  "versions.list": () => ({ query: "?limit=10&includeRemoved=true" }),
  "versions.get": () => ({}),
  "labels.get": () => ({}),
  "latest.get": () => ({}),
  "history.list": () => ({ query: "?limit=10" }),
  "diff.get": () => ({ query: "?from=1.0.0&to=latest" }),
  "resolve.get": () => ({ query: "?range=%5E1" }),
  "prompt.delete": () => ({ query: "?message=why" }),
  "versions.post": () => ({ json: { bump: "minor", text: "next\n", message: "why", labels: ["beta"] }, status: 201 }),
  "versions.put": () => ({
    ...{ version: "2.0.0", query: "?message=why&labels=beta&unpin=true", status: 201 },
    ...{ headers: { ...MARKDOWN, "if-none-match": "*" }, body: "two\n" },
  }),
  "versions.delete": () => ({ version: "1.1.0", query: "?message=why" }),
  "versions.restore": async (t) => {
    const { text } = await t.ask("versions/1.1.0");
    t.status(await t.send("DELETE", t.prompt("versions/1.1.0")), 200);
    return { version: "1.1.0", headers: MARKDOWN, body: text };
  },
  "yank.put": () => ({ version: "1.1.0", query: "?message=why" }),
  "yank.delete": () => ({ version: "1.1.0" }),
  "labels.put": () => ({ json: { version: "1.1.0", message: "why" }, headers: { "if-match": "*" } }),
  "labels.delete": () => ({ headers: { "if-match": "*" } }),
  "rollback.post": () => ({ json: { to: "1.0.0", message: "why" } }),
  "pin.delete": () => ({}),
  "deprecation.put": () => ({ json: { message: "use another" } }),
  "deprecation.delete": () => ({}),
};

function pathOf(route: RouteSpec, name: string, version = "1.0.0"): string {
  return route.path.replace("{name}", name).replace("{version}", version).replace("{label}", "staging");
}

function successOf(route: RouteSpec): Check {
  const isAboutOne = route.path.includes("{name}") || CASES[route.id as RouteId].length > 0;
  const needed = route.right === "public" || route.right === "authenticated" ? [] : [route.right];
  return {
    id: `routes.${route.id}`,
    rule: `${route.method} ${route.path} succeeds with a reply that it declares`,
    section: route.mutates === true ? "Writing" : "Reading",
    ...(isAboutOne ? { rights: ["read", "write", "promote", ...needed] } : needed.length > 0 ? { rights: needed } : {}),
    async run(t: Tools) {
      if (isAboutOne) {
        await t.seedStaged(["1.0.0", "1.1.0"]);
      }
      const { query = "", version, status = 200, ...ask } = await CASES[route.id as RouteId](t);
      const answer = await t.send(route.method, `${pathOf(route, t.name, version)}${query}`, ask);
      t.status(answer, status);
      t.declared(answer, route.id as RouteId);
    },
  };
}

/** What every route must refuse, and how. Nothing of it may have an effect. */
function refusalOf(route: RouteSpec): Check {
  const needed = route.right === "public" || route.right === "authenticated" ? [] : [route.right];
  const isAboutOne = route.path.includes("{name}");
  return {
    id: `refusals.${route.id}`,
    rule: `${route.method} ${route.path} refuses unknown parameters${isAboutOne ? ", bad names" : ""}${route.body === undefined ? "" : " and bad bodies"} with problems`,
    section: "Errors",
    ...(needed.length > 0 ? { rights: needed } : {}),
    async run(t: Tools) {
      const { query: _, version, status: __, ...ask } = isAboutOne || route.body !== undefined ? plain(route) : {};
      const path = pathOf(route, t.name, version);
      t.problem(await t.send(route.method, `${path}?no-such-parameter=1`, ask), 400, "INVALID");
      if (isAboutOne) {
        const answer = await t.send(route.method, pathOf(route, "Not-A-Name", version), ask);
        t.problem(answer, 400, "INVALID");
      }
      if (route.body === undefined) return;
      const headers = { ...ask.headers, "content-type": "application/x-www-form-urlencoded" };
      t.problem(await t.send(route.method, path, { headers, body: "a=b" }), [400, 415, 428], "INVALID");
      if (route.body.type !== "application/json") return;
      for (const body of ["{", '{"no-such-field":1}', "[]"]) {
        const json = { ...ask.headers, "content-type": "application/json" };
        t.problem(await t.send(route.method, path, { headers: json, body }), 400, "INVALID");
      }
    },
  };
}

/** A request whose form is right, without looking at the server. */
function plain(route: RouteSpec): Case {
  if (route.id === "labels.put" || route.id === "labels.delete") return { headers: { "if-match": "*" } };
  if (route.body?.type === "text/markdown") return { headers: { ...MARKDOWN, "if-none-match": "*" }, body: "x" };
  return route.body === undefined ? {} : { json: {} };
}

export const routeChecks: readonly Check[] = [
  ...(ROUTES as readonly RouteSpec[]).map(successOf),
  ...(ROUTES as readonly RouteSpec[]).map(refusalOf),
];
