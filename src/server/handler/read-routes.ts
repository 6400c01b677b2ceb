import { openStored } from "../../document.ts";
import type { DriverSelector, Page, ReadAnswer } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { formatSelector, type PromptName, parseSelector, type Selector } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { StatusError } from "../protocol/problem.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { listVisible } from "./visible.ts";

/** What a request that reads may be answered with from memory, and when it must end. */
export function operationOf({ request }: Call): { readonly signal: AbortSignal; readonly fresh: boolean } {
  const fresh = /\bno-cache\b|\bmax-age=0\b/.test(request.headers.get("cache-control") ?? "");
  return { signal: request.signal, fresh };
}

export function nameOf({ params }: Call): PromptName {
  return params.name as PromptName;
}

/** The link to the page that follows, as RFC 8288 spells it. */
function pageResult(call: Call, page: Page<unknown>): Result {
  if (page.cursor === undefined) return { status: 200, json: page };
  const next = new URLSearchParams();
  for (const [key, value] of Object.entries(call.query)) {
    if (value !== undefined && key !== "cursor") next.set(key, String(value));
  }
  next.set("cursor", page.cursor);
  const path = call.route.path.replace("{name}", call.params.name ?? "");
  return { status: 200, json: page, headers: { Link: `<${path}?${next}>; rel="next"` } };
}

interface PageParameters {
  readonly limit?: number;
  readonly cursor?: string;
}

function pageOf({ query }: Call): { readonly limit: number; readonly cursor?: string } {
  const { limit = 100, cursor } = query as PageParameters;
  return { limit, ...(cursor === undefined ? {} : { cursor }) };
}

/** One document by a selector of the driver. */
async function documentResult(call: Call, selector: DriverSelector): Promise<Result> {
  const { driver } = call.shared;
  const op = operationOf(call);
  const name = nameOf(call);
  const { form = "sealed" } = call.query as { form?: "sealed" | "text" | "json" };
  const ask = { name, selector };
  const answer = (op.fresh ? undefined : driver.peek(ask)) ?? ((await driver.read([ask], op))[0] as ReadAnswer);
  if (answer.status !== "found") return missing(call, selector, answer);
  const { document } = answer;
  const opened = openStored(document.text, document);
  if (opened.kind === "tombstone") return missing(call, selector, { ...answer, status: "removed" });
  const { version } = document;
  const { provenance } = answer;
  // What may have been removed meanwhile is not to be kept by anybody.
  const cache = selector.kind === "version" && provenance?.stale !== true ? "exact" : "moving";
  const known = { cache, ...(provenance === undefined ? {} : { provenance }) } as const;
  const headers = {
    "Content-Location": `/v1/prompts/${name}/-/versions/${version}`,
    "Registry-Version": version,
    ...(provenance?.stale === true ? { Warning: '110 - "Response is Stale"' } : {}),
  };
  if (form === "sealed") {
    return { status: 200, headers, document: { text: document.text, tag: opened.digest, ...known } };
  }
  if (form === "text") {
    return { status: 200, headers, document: { text: opened.text, tag: `${opened.digest};text`, ...known } };
  }
  const selected = `${name}@${version}`;
  return { status: 200, headers, json: await call.shared.registry.getPrompt(selected, { ...op, status: true }) };
}

/** The registry knows best how to say what is not there. */
async function missing(call: Call, selector: DriverSelector, answer: ReadAnswer): Promise<Result> {
  const name = nameOf(call);
  if (answer.status === "removed") {
    const { version } = answer.document;
    throw new StatusError(410, "NOT_FOUND", `${name}@${version} was removed`, { name, version });
  }
  if (selector.kind !== "head") {
    await call.shared.registry.getPrompt(`${name}@${formatSelector(selector)}`, operationOf(call));
  }
  throw new RegistryError("NOT_FOUND", `${name} was changed while it was read; ask again`, {
    name,
    outcome: "temporary",
  });
}

async function headOf(call: Call) {
  const name = nameOf(call);
  const op = operationOf(call);
  const [answer] = await call.shared.driver.read([{ name, selector: { kind: "head" } }], op);
  if (answer?.status === "head") return answer.head;
  throw new RegistryError("NOT_FOUND", `there is no prompt ${name}; list the names to see what there is`, { name });
}

async function listPrompts(call: Call): Promise<Result> {
  const { access, driver } = call.shared;
  const { prefix, text, include, includeRemoved } = call.query as {
    prefix?: string;
    text?: string;
    include?: "heads";
    includeRemoved?: "true" | "false";
  };
  if (prefix !== undefined && !/^[a-z0-9._/-]*$/.test(prefix)) {
    throw new RegistryError("INVALID", 'a prefix is made of a-z, 0-9, ".", "_", "-", "/"', { field: "query.prefix" });
  }
  const query = {
    ...pageOf(call),
    ...(prefix === undefined ? {} : { prefix }),
    ...(text === undefined ? {} : { text }),
    ...(include === undefined ? {} : { include }),
    ...(includeRemoved === "true" ? { includeRemoved: true } : {}),
  };
  return pageResult(call, await listVisible(driver, access, call.principal, query, operationOf(call)));
}

async function resolve(call: Call): Promise<Result> {
  const { registry } = call.shared;
  const name = nameOf(call);
  const { range, label, at } = call.query as { range?: string; label?: string; at?: string };
  if (range !== undefined && label !== undefined) {
    throw new RegistryError("INVALID", "give a range or a label, not both", { field: "query.label" });
  }
  if (at !== undefined) {
    if (range !== undefined)
      throw new RegistryError("INVALID", "a range has no past; give a label", { field: "query.at" });
    const version = await registry.resolveAt(name, label ?? "latest", at, { signal: call.request.signal });
    if (version !== undefined) return { status: 200, json: { name, version } };
    throw new RegistryError("NOT_FOUND", `${name}@${label ?? "latest"} selected nothing at that time`, { name });
  }
  const selector: Selector = parseSelector(range ?? label ?? "latest");
  if (label !== undefined && selector.kind !== "label" && selector.kind !== "latest") {
    throw new RegistryError("INVALID", "that is no label", { field: "query.label" });
  }
  const prompt = await registry.getPrompt(`${name}@${formatSelector(selector)}`, operationOf(call));
  return { status: 200, json: { name, version: prompt.version, digest: prompt.digest } };
}

export const readRoutes = {
  "prompts.list": listPrompts,
  "prompt.get": async (call) => ({ status: 200, json: { name: nameOf(call), head: await headOf(call) } }),
  "head.get": async (call) => ({ status: 200, json: await headOf(call) }),
  "versions.list": async (call) => {
    const { includeRemoved } = call.query as { includeRemoved?: string };
    const query = { ...pageOf(call), ...(includeRemoved === "true" ? { includeRemoved: true } : {}) };
    return pageResult(call, await call.shared.driver.listVersions(nameOf(call), query, operationOf(call)));
  },
  "history.list": async (call) =>
    pageResult(call, await call.shared.driver.history(nameOf(call), pageOf(call), operationOf(call))),
  "versions.get": (call) => documentResult(call, { kind: "version", version: call.params.version as Version }),
  "labels.get": (call) =>
    documentResult(call, { kind: "label", label: call.params.label as NonNullable<Call["params"]["label"]> }),
  "latest.get": (call) => documentResult(call, { kind: "latest" }),
  "resolve.get": resolve,
} satisfies Record<string, RouteHandler>;
