import * as z from "zod";
import { RegistryError } from "../../errors.ts";
import { flag, json, pageQuery, type RouteSpec, unchanged } from "./route.ts";
import { READ_ROUTES } from "./routes-read.ts";
import { WRITE_ROUTES } from "./routes-write.ts";
import * as s from "./schemas.ts";

export type { Content, Reply, RouteSpec } from "./route.ts";

const REGISTRY_ROUTES = [
  {
    id: "discovery.get",
    method: "GET",
    path: "/.well-known/prompt-registry.json",
    summary: "Which versions of the protocol are spoken here",
    right: "public",
    resource: "none",
    replies: { 200: { description: "The versions and where they start", content: [json(s.discovery)] } },
  },
  {
    id: "openapi.get",
    method: "GET",
    path: "/openapi.json",
    summary: "This protocol as OpenAPI 3.1",
    right: "public",
    resource: "none",
    replies: {
      200: { description: "An OpenAPI document", content: [json(z.record(z.string(), z.unknown()))] },
      304: unchanged,
    },
  },
  {
    id: "service.get",
    method: "GET",
    path: "/v1",
    summary: "What this registry can do, its limits, and who is asking",
    right: "authenticated",
    resource: "none",
    replies: { 200: { description: "Capabilities, limits and principal", content: [json(s.service)] } },
  },
  {
    id: "prompts.list",
    method: "GET",
    path: "/v1/prompts",
    summary: "A page of prompts by name, in byte order; those that the caller may read",
    right: "read",
    resource: "each",
    query: z.strictObject({
      ...pageQuery,
      prefix: z.string().max(200).optional(),
      text: z.string().max(1000).optional(),
      include: z.literal("heads").optional(),
      includeRemoved: flag,
    }),
    replies: { 200: { description: "A page", content: [json(s.promptPage)] } },
  },
  {
    id: "reads.post",
    method: "POST",
    path: "/v1/reads",
    summary: "Many reads at once; what the caller may not read is absent",
    right: "read",
    resource: "each",
    body: json(s.reads),
    replies: { 200: { description: "Answers to the first asks, index-aligned", content: [json(s.readsReply)] } },
  },
  {
    id: "commits.post",
    method: "POST",
    path: "/v1/commits",
    summary: "Changes as a storage driver is given them",
    right: "write",
    resource: "each",
    mutates: true,
    body: json(s.commit),
    replies: { 200: { description: "Outcomes, index-aligned", content: [json(s.commitReply)] } },
  },
  {
    id: "changes.list",
    method: "GET",
    path: "/v1/changes",
    summary: "The feed of names that may have changed, as a page or, where asked for, as server-sent events",
    right: "read",
    resource: "each",
    headers: { "Last-Event-ID": "With text/event-stream: the cursor to go on from" },
    query: z.strictObject(pageQuery),
    replies: {
      200: { description: "A page, or a stream", content: [json(s.changePage), { type: "text/event-stream" }] },
    },
  },
  {
    id: "check.get",
    method: "GET",
    path: "/v1/check",
    summary: "Whether the storage can be reached and does what it claims",
    right: "admin",
    resource: "registry",
    replies: { 200: { description: "The health of the storage", content: [json(s.health)] } },
  },
  {
    id: "verify.get",
    method: "GET",
    path: "/v1/verify",
    summary: "Every byte of one prompt or of all read and checked",
    right: "admin",
    resource: "registry",
    query: z.strictObject({ name: s.name.optional() }),
    replies: { 200: { description: "What was found", content: [json(s.verifyReport)] } },
  },
  {
    id: "repair.post",
    method: "POST",
    path: "/v1/repair",
    summary: "Repair what a crash or a hand left behind; an empty list only looks",
    right: "admin",
    resource: "registry",
    mutates: true,
    body: json(s.repairPlan),
    replies: { 200: { description: "What was found", content: [json(s.repairReport)] } },
  },
] as const satisfies readonly RouteSpec[];

/** Every route there is. A route that names no right and no resource can't be started: see {@link checkRoutes}. */
export const ROUTES = [...REGISTRY_ROUTES, ...READ_ROUTES, ...WRITE_ROUTES] as const;

export type RouteId = (typeof ROUTES)[number]["id"];

/**
 * A route that does not say who may use it for what must not be served.
 *
 * @throws RegistryError CONFIG naming every such route
 */
export function checkRoutes(routes: readonly Partial<RouteSpec>[]): void {
  const seen = new Set<string>();
  const issues: string[] = [];
  for (const { id, method, path, right, resource } of routes) {
    const where = `${method} ${path}`;
    if (seen.has(where) || id === undefined) issues.push(`${where} is there twice, or has no id`);
    seen.add(where);
    if (right === undefined) issues.push(`${where} declares no right`);
    if (resource === undefined) issues.push(`${where} declares no resource`);
    else if ((resource === "none") !== (right === "public" || right === "authenticated")) {
      issues.push(`${where} declares a right without a resource, or a resource without a right`);
    } else if (resource === "prompt" && !path?.includes("{name}")) issues.push(`${where} has no prompt in its path`);
    else if (resource === "label" && !path?.includes("{label}")) issues.push(`${where} has no label in its path`);
  }
  if (issues.length === 0) return;
  throw new RegistryError("CONFIG", `the server can't start: ${issues.join("; ")}`, { issues });
}
