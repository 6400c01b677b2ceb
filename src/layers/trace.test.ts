import { trace as otel } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";
import { fault, seedPrompts } from "../testing/index.ts";
import { fallback } from "./fallback.ts";
import { stack } from "./layer.ts";
import { retry } from "./retry.ts";
import { type SpanTracer, type TraceEvent, type TraceSpan, trace } from "./trace.ts";

describe("trace", () => {
  function recorder() {
    const spans: { name: string; attributes: Record<string, unknown>; status?: number; ended: boolean }[] = [];
    const tracer: SpanTracer = {
      startActiveSpan(name, options, run) {
        const span = {
          name,
          attributes: { ...options.attributes } as Record<string, unknown>,
          ended: false,
        } as (typeof spans)[number];
        spans.push(span);
        const recorded: TraceSpan = {
          setAttributes: (more) => Object.assign(span.attributes, more),
          recordException: () => {},
          setStatus: ({ code }) => {
            span.status = code;
          },
          end: () => {
            span.ended = true;
          },
        };
        return run(recorded);
      },
    };
    return { spans, tracer };
  }

  it("makes a span and a line of every call, without texts", async () => {
    const { spans, tracer } = recorder();
    const events: TraceEvent[] = [];
    const faulty = Object.assign(fault(memory()), { peek: () => undefined });
    const copy = memory();
    await seedPrompts(new PromptRegistry(copy), { a: { "1.0.0": "secret text" } });
    const driver = stack(faulty, [
      trace({ tracer, log: (e) => events.push(e) }),
      fallback([copy]),
      retry({ baseDelay: 0 }),
    ]);
    const registry = new PromptRegistry(driver);
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "secret text" });
    faulty.plan({ method: "read", what: "fail" });
    await registry.getPrompt("a");
    faulty.plan({ method: "history", what: "fail" });
    await expect(registry.history("b").all()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(spans.map((s) => [s.name, s.status, s.ended])).toEqual([
      ["prompt_registry.commit", undefined, true],
      ["prompt_registry.read", undefined, true],
      ["prompt_registry.history", 2, true],
    ]);
    expect(spans[1]?.attributes).toMatchObject({
      "prompt_registry.names": "a",
      "prompt_registry.source": "fallback:memory",
      "prompt_registry.stale": true,
    });
    expect(spans[2]?.attributes).toMatchObject({ "error.type": "UNAVAILABLE", "prompt_registry.attempts": 3 });
    expect(events.map((e) => [e.operation, e.ok, e.names])).toEqual([
      ["commit", true, ["a"]],
      ["read", true, ["a"]],
      ["history", false, ["b"]],
    ]);
    expect(JSON.stringify([spans, events])).not.toContain("secret");
  });

  it("a logger that throws breaks nothing; a tracer of OpenTelemetry fits", async () => {
    const driver = trace({
      tracer: otel.getTracer("test"),
      log: () => {
        throw new Error("logger");
      },
    })(memory());
    await new PromptRegistry(driver).storePrompt({ name: "a", version: "1.0.0", text: "a" });
    expect((await new PromptRegistry(driver).getPrompt("a")).text).toBe("a");
  });
});
