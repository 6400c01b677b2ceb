import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { RegistryError } from "../../errors.ts";
import { asciiJson } from "../ascii-json.ts";
import { digestHeader } from "../handler/coding.ts";
import { addressKey, Buckets } from "../operations/buckets.ts";
import type { ReadinessCheck } from "../operations/health.ts";
import { PROBLEM_TYPE, problemOf, statusOf } from "../protocol/problem.ts";
import type { Access, AuditLog, Principal, RequestInfo } from "../types.ts";

export interface OwnOptions {
  readonly access: Access;
  readonly readiness: ReadinessCheck;
  readonly secure: readonly (readonly [string, string])[];
  isDraining(): boolean;
  /** Where denials are written. */
  readonly audit?: AuditLog | undefined;
  /** The text for `/metrics`. */
  metrics(): Promise<string>;
  /** Whether the port beside is called so. */
  isHostAside(host: string | undefined): boolean;
}

type Answer = (request: IncomingMessage, response: ServerResponse, info: RequestInfo) => void;

/** That are written down, by caller: a few at once, then one in ten minutes. */
const DENIALS = { rate: 1 / 600, burst: 3 };
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** What the server answers about itself: whether it lives, whether it is ready, what it counted. */
export function ownAnswers(options: OwnOptions): {
  readonly routes: ReadonlyMap<string, Answer>;
  readonly aside: RequestListener;
} {
  const { access, readiness, secure, isDraining } = options;

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    type: string,
    text: string,
    more: string[] = [],
  ): void {
    if (response.destroyed) return;
    const body = Buffer.from(text);
    response.writeHead(status, [
      ...["content-type", type, "content-length", String(body.length), "cache-control", "no-store"],
      ...["content-digest", digestHeader(body)],
      ...secure.flat(),
      ...more,
      ...(isDraining() ? ["connection", "close"] : []),
    ]);
    response.end(request.method === "HEAD" ? undefined : body);
  }

  const reading =
    (answer: Answer): Answer =>
    (request, response, info) => {
      if (request.method === "GET" || request.method === "HEAD") return answer(request, response, info);
      send(request, response, 405, "text/plain", "", ["allow", "GET, HEAD", "connection", "close"]);
    };

  const healthz = reading((request, response) => send(request, response, 200, "text/plain", "ok\n"));

  const readyz = reading(async (request, response) => {
    const { ok, state } = await readiness.look();
    send(request, response, ok ? 200 : 503, "text/plain", `${state}\n`, ok ? [] : ["retry-after", "1"]);
  });

  async function figures(request: IncomingMessage, response: ServerResponse): Promise<void> {
    send(request, response, 200, METRICS_TYPE, await options.metrics());
  }

  const denials = new Buckets(DENIALS);
  const untold = { count: 0 };

  /** Of those who come without credentials, or ask again and again, the first are written down, and how many the others were. */
  async function denied({ address, requestId }: RequestInfo, who: Principal | undefined, { code }: RegistryError) {
    if (options.audit === undefined) return;
    if (denials.take(who?.id ?? (address === undefined ? "" : addressKey(address))) > 0) {
      untold.count++;
      return;
    }
    const note = untold.count === 0 ? {} : { note: `${untold.count} more since the last` };
    untold.count = 0;
    await options.audit.append({
      ...(who === undefined ? {} : { who: who.id, name: who.name }),
      ...{ action: "metrics.get", outcome: "denied", code },
      ...(address === undefined ? {} : { address }),
      ...(requestId === undefined ? {} : { requestId }),
      ...note,
    });
  }

  const metrics = reading(async (request, response, info) => {
    let principal: Principal | undefined;
    try {
      principal = await access.authenticate({ authorization: request.headers.authorization, address: info.address });
      if (!access.allows(principal, "admin", {}))
        throw new RegistryError("FORBIDDEN", "metrics take the right admin; or use a metrics port of their own");
      await figures(request, response);
    } catch (thrown) {
      const error = thrown instanceof RegistryError ? thrown : new RegistryError("INTERNAL", "metrics failed");
      // The answer is no, whether that can be written down or not, and does not wait for it.
      if (error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN")
        void denied(info, principal, error).catch(() => {});
      const more = error.code === "UNAUTHENTICATED" ? ["www-authenticate", "Bearer"] : [];
      send(request, response, statusOf(error), PROBLEM_TYPE, asciiJson(problemOf(error)), more);
    }
  });

  const routes = new Map<string, Answer>([
    ["/healthz", healthz],
    ["/readyz", readyz],
    ["/metrics", metrics],
  ]);
  const open = new Map<string, Answer>([...routes, ["/metrics", reading((q, r) => void figures(q, r))]]);
  return {
    routes,
    aside(request, response) {
      const answer = open.get(request.url ?? "");
      const isHealth = answer === healthz || answer === readyz;
      if (!isHealth && !options.isHostAside(request.headers.host))
        send(request, response, 403, "text/plain", "this server is not called by that name\n");
      else if (answer === undefined)
        send(request, response, 404, "text/plain", "only /metrics, /healthz and /readyz\n");
      else answer(request, response, {});
    },
  };
}
