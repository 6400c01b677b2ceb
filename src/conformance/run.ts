import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { isName } from "../names.ts";
import { type Service, service as serviceSchema } from "../server/protocol/schemas.ts";
import { CHECKS } from "./checks.ts";
import { type Answer, Client } from "./client.ts";
import { type Json, mediaType, statusesOf, Tools } from "./tools.ts";
import {
  type Check,
  type CheckResult,
  type ConformanceOptions,
  type ConformanceReport,
  type Run,
  Skip,
  Violation,
} from "./types.ts";

/** Judged by what all the others were answered. */
const CODES: Check = {
  id: "errors.codes",
  rule: "every error of the run was a problem whose status is one that the table has for its code",
  section: "Errors",
  async run() {},
};

/**
 * Checks a server against protocol v1, rule by rule, over HTTP. It writes below a fresh random prefix, and leaves there
 * what it wrote, as versions are for ever.
 *
 * @param url the origin of the server: `https://registry.example`
 * @throws RegistryError INVALID for options that can't be, CONFIG where a token would be sent in plain text,
 *   UNAUTHENTICATED where the server does not take it, UNAVAILABLE where the server can't be reached
 * @example
 * const report = await checkConformance("http://127.0.0.1:7420", { token: process.env.TOKEN });
 * for (const { id, detail } of report.results.filter((r) => r.status === "failed")) console.error(id, detail);
 */
export async function checkConformance(url: string, options: ConformanceOptions = {}): Promise<ConformanceReport> {
  const { prefix, only, readOnly = false, timeout = 30_000, token, limitedToken } = options;
  const origin = originOf(url);
  if (token !== undefined || limitedToken !== undefined) refusePlainText(origin);
  const fresh = `conformance-${randomBytes(5).toString("hex")}`;
  const root = prefix === undefined ? fresh : `${prefix}/${fresh}`;
  if (!isName(`${root}/a/b/c/d`)) {
    throw new RegistryError("INVALID", `${show(prefix)} is no prefix of prompt names, or is too long`, {
      field: "prefix",
    });
  }
  const matches = matcher(only);
  if (!CHECKS.some(({ id }) => matches(id)) && !matches(CODES.id)) {
    throw new RegistryError("INVALID", `no check has an id like ${show(only)}`, { field: "only" });
  }
  // One of its own, as every request of a race listens to it.
  const signal = options.signal === undefined ? undefined : AbortSignal.any([options.signal]);
  if (signal !== undefined) setMaxListeners(0, signal);
  const odd = new Map<string, string>();
  const seen = (answer: Answer) => judge(answer, odd);
  const client = (credentials: string | undefined) => new Client(origin, { token: credentials, timeout, signal, seen });
  const run: Run = {
    client: client(token),
    nobody: client(undefined),
    limited: limitedToken === undefined ? undefined : client(limitedToken),
    root,
    patience: timeout / 3,
  };
  const service = await describe(run.client);
  const results: CheckResult[] = [];
  const note = (result: CheckResult) => {
    results.push(result);
    options.onResult?.(result);
  };
  let wrote = false;
  try {
    for (const check of CHECKS) {
      if (!matches(check.id)) continue;
      signal?.throwIfAborted();
      const why = reasonToSkip(check, run, service, readOnly);
      if (why !== undefined) {
        note(resultOf(check, "skipped", 0, why));
        continue;
      }
      if (isWriting(check)) wrote = true;
      note(await attempt(check, new Tools(run, check.id, service)));
    }
    if (matches(CODES.id)) {
      const [first] = odd.values();
      note(resultOf(CODES, first === undefined ? "passed" : "failed", 0, first));
    }
  } finally {
    for (const one of [run.client, run.nobody, run.limited]) one?.close();
  }
  const count = (status: CheckResult["status"]) => results.filter((result) => result.status === status).length;
  const failed = count("failed");
  return {
    ...{ url: origin, ok: failed === 0, passed: count("passed"), failed, skipped: count("skipped") },
    ...(wrote ? { left: `${root}/` } : {}),
    results,
  };
}

function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isHttp = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  const isBare = parsed?.pathname === "/" && parsed.search === "" && parsed.hash === "" && parsed.username === "";
  if (parsed !== undefined && isHttp && isBare && parsed.password === "") return parsed.origin;
  throw new RegistryError("INVALID", "the address of a server is like https://registry.example, without a path", {
    field: "url",
  });
}

function refusePlainText(origin: string): void {
  const { protocol, hostname } = new URL(origin);
  if (protocol === "https:" || /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(hostname)) return;
  throw new RegistryError("CONFIG", `a token must not be sent to ${origin} in plain text; use https://`, {
    field: "url",
  });
}

/** What the server says of itself, as far as it can be read; that it is right is for a check to say. */
async function describe(client: Client): Promise<Service | undefined> {
  const answer = await client.send("GET", "/v1");
  if (answer.status === 401) {
    const what = client.token === undefined ? "there is no token" : "the token is not accepted";
    throw new RegistryError("UNAUTHENTICATED", `${what}, and ${client.origin.origin} needs one`, { field: "token" });
  }
  try {
    const parsed = serviceSchema.safeParse(JSON.parse(answer.text));
    return parsed.success ? (parsed.data as Service) : undefined;
  } catch {
    return undefined;
  }
}

function matcher(pattern: string | undefined): (id: string) => boolean {
  if (pattern === undefined) return () => true;
  const escaped = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const isExact = pattern.includes("*");
  const regex = new RegExp(isExact ? `^${escaped.join(".*")}$` : escaped.join(""));
  return (id) => regex.test(id);
}

/** Whether it changes anything: every route that does takes one of these rights. */
function isWriting({ rights = [] }: Check): boolean {
  return rights.some((right) => right === "write" || right === "promote");
}

function reasonToSkip(check: Check, run: Run, service: Service | undefined, readOnly: boolean): string | undefined {
  if (check.limited === true && run.limited === undefined) return "needs a second token: --limited-token-env";
  const changes = isWriting(check) || check.rights?.includes("admin") === true;
  if (readOnly && changes) return "it writes, and --read-only was given";
  if (service?.capabilities.write === false && changes) return "the storage behind the server is read-only";
  const isRegistryWide =
    check.id.endsWith("check.get") || check.id.endsWith("verify.get") || check.id.endsWith("repair.post");
  for (const right of check.rights ?? []) {
    const at = isRegistryWide && right === "admin" ? "" : run.root;
    if (service !== undefined && !covers(service, right, at))
      return `the token lacks the right to ${right} on ${at || "everything"}`;
  }
  return undefined;
}

function covers({ principal }: Service, wanted: string, name: string): boolean {
  return principal.grants.some(({ right, prefix, labels }) => {
    if (right !== wanted && right !== "admin") return false;
    if (labels !== undefined && !["staging", "beta"].every((label) => labels.includes(label))) return false;
    return prefix === "" || name === prefix || name.startsWith(`${prefix}/`);
  });
}

async function attempt(check: Check, tools: Tools): Promise<CheckResult> {
  const start = performance.now();
  const took = () => Math.round(performance.now() - start);
  try {
    await check.run(tools);
    return resultOf(check, "passed", took());
  } catch (error) {
    if (error instanceof Skip) return resultOf(check, "skipped", took(), error.message);
    if (error instanceof Violation || !isRegistryError(error, "UNAVAILABLE")) {
      return resultOf(check, "failed", took(), line(error));
    }
    // One connection that breaks is for this check to tell; a server that is gone ends the run.
    await tools.nobody.send("GET", "/.well-known/prompt-registry.json");
    return resultOf(check, "failed", took(), line(error));
  }
}

function line(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s+/g, " ");
}

function resultOf(check: Check, status: CheckResult["status"], duration: number, detail?: string): CheckResult {
  const { id, rule, section } = check;
  return { id, rule, section, status, ...(detail === undefined ? {} : { detail }), duration };
}

function judge(answer: Answer, odd: Map<string, string>): void {
  const { asked, status, bytes } = answer;
  if (status < 400 || bytes.length === 0) return;
  let json: Json;
  try {
    json = answer.json();
  } catch {
    json = undefined;
  }
  if (mediaType(answer) !== "application/problem+json" || typeof json?.code !== "string") {
    odd.set(`${status}`, `${asked}: ${status} with ${show(mediaType(answer))}, which is no problem`);
    return;
  }
  const allowed = statusesOf(json.code);
  if (allowed === undefined || allowed.includes(status)) return;
  odd.set(`${json.code} ${status}`, `${asked}: ${json.code} with ${status}, not ${allowed.join(", ")}`);
}
