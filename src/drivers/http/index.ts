import type {
  Cursor,
  Health,
  HealthCheck,
  Operation,
  Page,
  PageQuery,
  ReadAnswer,
  ReadAsk,
  StorageDriver,
} from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import * as schemas from "../../server/protocol/schemas.ts";
import { type Checker, Client } from "./client.ts";
import { commit } from "./commit.ts";
import { type HttpOptions, placeOf, tokenFor } from "./options.ts";
import { ServiceInfo } from "./service.ts";

export type { HttpOptions } from "./options.ts";

/** What lies beneath the driver. */
export interface HttpNative {
  readonly url: string;
  /** What the server says of itself, asked anew. */
  service(): Promise<schemas.Service>;
}

/**
 * Another registry, over HTTP. What it can do is what its server says; while nobody answers, the driver opens all the
 * same and claims little, so that layers around it (cache, fallback) can do their work.
 *
 * @throws RegistryError CONFIG for a location or token that must not be used; UNAUTHENTICATED; UNSUPPORTED for a server of
 *   another version of the protocol
 * @example
 * const registry = new PromptRegistry(await http({ url: "https://registry.example" }));
 */
export async function http(options: HttpOptions): Promise<StorageDriver<HttpNative>> {
  const place = placeOf(options.url);
  const client = new Client(place, {
    ...(await tokenFor(place, options)),
    fetch: options.fetch,
    deadline: options.deadline,
  });
  const service = new ServiceInfo(client);
  try {
    await service.load();
  } catch (error) {
    if (!isRegistryError(error) || error.outcome === "final") throw error;
  }

  async function get<T>(
    path: string,
    query: Readonly<Record<string, string | number | boolean | undefined>>,
    reply: Checker<T>,
    operation: string,
    op: Operation | undefined,
  ): Promise<T> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    const text = search.toString();
    return client.ask({ method: "GET", path: text === "" ? path : `${path}?${text}`, reply, operation, op });
  }

  /** A page of something that a prompt has; nothing, where there is no such prompt. */
  async function pageOf<T>(
    name: PromptName,
    what: "versions" | "history",
    query: PageQuery & { readonly includeRemoved?: boolean },
    reply: Checker<Page<T>>,
    op: Operation | undefined,
  ): Promise<Page<T>> {
    try {
      return await get(`/v1/prompts/${name}/-/${what}`, { ...query }, reply, what, op);
    } catch (error) {
      if (isRegistryError(error, "NOT_FOUND")) return { items: [] };
      throw error;
    }
  }

  async function read(asks: readonly ReadAsk[], op?: Operation): Promise<readonly ReadAnswer[]> {
    const answers: ReadAnswer[] = [];
    do {
      const rest = asks.slice(answers.length, answers.length + schemas.MAX_ASKS);
      const fresh = op?.fresh === undefined ? {} : { fresh: op.fresh };
      const body = JSON.stringify({ asks: rest, ...fresh });
      const reply = schemas.readsReply;
      const got = await client.ask({ method: "POST", path: "/v1/reads", body, reply, operation: "read", op });
      const isAnswer = got.answers.every((answer, i) => answersTo(rest[i], answer));
      if (!isAnswer || (got.answers.length === 0 && rest.length > 0)) {
        throw new RegistryError("UNAVAILABLE", `${place.base} answered something else than it was asked`, {
          ...client.context,
          operation: "read",
        });
      }
      answers.push(...got.answers);
    } while (answers.length < asks.length);
    return answers;
  }

  async function check(op?: Operation): Promise<Health> {
    const start = Date.now();
    const checks: HealthCheck[] = [];
    const inner: Health[] = [];
    try {
      const { principal } = await service.ask(op);
      checks.push({ name: "server", ok: true, detail: `answers as ${principal.name}` });
      const mayAsk = principal.grants.some(({ right, prefix }) => right === "admin" && prefix === "");
      if (mayAsk && op?.probe !== false) {
        inner.push(await get("/v1/check", {}, schemas.health, "check", op));
      }
    } catch (error) {
      if (!isRegistryError(error) || error.code === "ABORTED" || op?.signal?.aborted === true) throw error;
      checks.push({ name: "server", ok: false, detail: error.message });
    }
    const ok = checks.every((c) => c.ok) && inner.every((h) => h.ok);
    return { ok, kind: "http", location: place.base, latency: Date.now() - start, checks, inner };
  }

  return {
    kind: "http",
    location: place.base,
    get capabilities() {
      return service.capabilities;
    },
    native: { url: place.base, service: () => service.ask() },
    peek: () => undefined,
    read,
    listPrompts: (query, op) => get("/v1/prompts", { ...query }, schemas.promptPage, "listPrompts", op),
    listVersions: (name, query, op) => pageOf(name, "versions", query, schemas.versionPage, op),
    history: (name, query, op) => pageOf(name, "history", query, schemas.historyPage, op),
    async changes(query, op) {
      const page = await get("/v1/changes", { ...query }, schemas.changePage, "changes", op);
      return { items: page.items, cursor: page.cursor as Cursor };
    },
    async commit(whole, op) {
      await service.load(op);
      return commit(client, service, whole, op);
    },
    repair: (plan, op) =>
      client.ask({
        method: "POST",
        path: "/v1/repair",
        body: JSON.stringify(plan),
        reply: schemas.repairReport,
        operation: "repair",
        mutates: plan.repair.length > 0,
        op,
      }),
    check,
    async close() {
      client.close();
    },
  } satisfies StorageDriver<HttpNative>;
}

/** Whether it speaks of what was asked. */
function answersTo(ask: ReadAsk | undefined, answer: ReadAnswer): boolean {
  if (ask === undefined) return false;
  if (answer.status === "unchanged") return answer.revision === ask.known;
  if (!("document" in answer)) return answer.status !== "head" || ask.selector.kind === "head";
  if (answer.document.name !== ask.name || ask.selector.kind === "head") return false;
  return ask.selector.kind !== "version" || answer.document.version === ask.selector.version;
}
