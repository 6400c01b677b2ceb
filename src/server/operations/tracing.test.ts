import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { type OpenTelemetry, requestTracing } from "./tracing.ts";

interface Recorded {
  name: string;
  readonly parent: unknown;
  readonly kind: unknown;
  readonly attributes: Record<string, unknown>;
  status?: number;
  ended: boolean;
}

/** What of `@opentelemetry/api` is used, and what was done with it. */
function fake() {
  const spans: Recorded[] = [];
  const api: OpenTelemetry = {
    context: { active: () => "here", with: (_, run) => run() },
    propagation: { extract: (_, carrier) => (carrier as Record<string, unknown>).traceparent ?? "root" },
    trace: {
      getTracer: () => ({
        startActiveSpan(name: string, { kind }: { kind: unknown }, parent: unknown, run: (span: unknown) => unknown) {
          const span: Recorded = { name, kind, parent, attributes: {}, ended: false };
          spans.push(span);
          return run({
            setAttributes: (more: object) => Object.assign(span.attributes, more),
            setStatus: ({ code }: { code: number }) => {
              span.status = code;
            },
            updateName: (fresh: string) => {
              span.name = fresh;
            },
            end: () => {
              span.ended = true;
            },
          });
        },
      }),
    },
  };
  return { api, spans };
}

const request = (headers: Record<string, string> = {}) => ({ method: "GET", headers }) as unknown as IncomingMessage;

test("a request is a span of a server, below the caller's, called by its route", async () => {
  const { api, spans } = fake();
  const tracing = requestTracing(api, (id) => (id === "id-1" ? "GET /v1/prompts/{name}" : undefined));
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const reply = await tracing.run(
    request({ traceparent: parent }),
    { requestId: "id-1" },
    async () => new Response("x"),
  );
  expect(await reply.text()).toBe("x");
  expect(spans).toEqual([
    {
      name: "GET /v1/prompts/{name}",
      kind: 1,
      parent,
      ended: true,
      attributes: {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/prompts/{name}",
        "prompt_registry.request_id": "id-1",
      },
    },
  ]);
});

test("a failure of the server is an error of the span, a failure of the caller is none", async () => {
  const { api, spans } = fake();
  const tracing = requestTracing(api, () => undefined);
  await tracing.run(request(), {}, async () => new Response(null, { status: 503 }));
  await tracing.run(request(), {}, async () => new Response(null, { status: 404 }));
  await expect(tracing.run(request(), {}, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(spans.map(({ status, ended }) => [status, ended])).toEqual([
    [2, true],
    [undefined, true],
    [2, true],
  ]);
});
