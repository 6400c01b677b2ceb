import type { IncomingMessage } from "node:http";
import type { RequestInfo } from "../types.ts";

/** The parts of `@opentelemetry/api` that are used; the package itself is one. */
export interface OpenTelemetry {
  readonly context: { active(): unknown; with<T>(context: never, run: () => T): T };
  readonly propagation: { extract(context: never, carrier: unknown): unknown };
  readonly trace: { getTracer(name: string): unknown };
}

interface Span {
  setAttributes(attributes: Record<string, string | number>): unknown;
  setStatus(status: { code: number }): unknown;
  updateName(name: string): unknown;
  end(): void;
}

interface Tracer {
  startActiveSpan<T>(name: string, options: object, context: unknown, run: (span: Span) => T): T;
}

export interface RequestTracing {
  run(request: IncomingMessage, info: RequestInfo, call: () => Promise<Response>): Promise<Response>;
}

/** `SpanKind.SERVER` and `SpanStatusCode.ERROR`; the package itself is not needed for two numbers. */
const SERVER = 1;
const ERROR = 2;

/**
 * A span a request, below the caller's where it sent a W3C `traceparent`; the names are those of the semantic conventions:
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 *
 * @param routeOf the pattern of a request whose answer is known
 */
export function requestTracing(api: OpenTelemetry, routeOf: (requestId: string) => string | undefined): RequestTracing {
  const tracer = api.trace.getTracer("prompt-registry") as Tracer;
  return {
    run(request, info, call) {
      const parent = api.propagation.extract(api.context.active() as never, request.headers);
      const method = request.method ?? "GET";
      return tracer.startActiveSpan(method, { kind: SERVER }, parent, async (span) => {
        try {
          const reply = await call();
          const route = info.requestId === undefined ? undefined : routeOf(info.requestId);
          if (route !== undefined) span.updateName(route);
          span.setAttributes({
            "http.request.method": method,
            "http.response.status_code": reply.status,
            ...(route === undefined ? {} : { "http.route": route.slice(route.indexOf(" ") + 1) }),
            ...(info.requestId === undefined ? {} : { "prompt_registry.request_id": info.requestId }),
          });
          if (reply.status >= 500) span.setStatus({ code: ERROR });
          return reply;
        } catch (error) {
          span.setStatus({ code: ERROR });
          throw error;
        } finally {
          span.end();
        }
      });
    },
  };
}
