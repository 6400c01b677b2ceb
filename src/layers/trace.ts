import type { Operation, ReadAnswer, StorageDriver } from "../driver.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { asRegistryError } from "./outage.ts";

type AttributeValue = string | number | boolean;
type Attributes = Readonly<Record<string, AttributeValue>>;

/** What is used of a span of `@opentelemetry/api`. */
export interface TraceSpan {
  setAttributes(attributes: Record<string, AttributeValue>): unknown;
  recordException(exception: Error): void;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/** What is used of a tracer of `@opentelemetry/api`; `trace.getTracer("my-app")` is one. */
export interface SpanTracer {
  startActiveSpan<R>(
    name: string,
    options: { attributes?: Record<string, AttributeValue> },
    run: (span: TraceSpan) => R,
  ): R;
}

/** One call of the storage, when it has ended. Holds no texts and no secrets. */
export interface TraceEvent {
  readonly operation: string;
  readonly backend: string;
  readonly location: string;
  /** Prompts that were asked for or changed; at most ten. */
  readonly names: readonly string[];
  /** Milliseconds. */
  readonly duration: number;
  readonly ok: boolean;
  /** `RegistryError.code` and `outcome`, where it failed. */
  readonly code?: string;
  readonly outcome?: string;
  readonly attempts?: number;
  readonly message?: string;
  /** Where answers came from, when not from the store itself: `cache`, `fallback:snapshot`. */
  readonly source?: string;
  readonly stale?: true;
}

export interface TraceOptions {
  /** Makes the spans. Default: none. */
  readonly tracer?: SpanTracer | undefined;
  /** Called at the end of every call; what it throws is ignored. Default: none. */
  readonly log?: ((event: TraceEvent) => void) | undefined;
}

const MAX_NAMES = 10;
/** `SpanStatusCode.ERROR`; the package itself is not needed for one number. */
const ERROR = 2;

/**
 * Tells of every call: a span through OpenTelemetry, a line to your logger, or both. What `peek` and leases answer takes
 * no time and is not told.
 *
 * @example
 * import { trace as otel } from "@opentelemetry/api";
 * stack(driver, [trace({ tracer: otel.getTracer("my-app"), log: (event) => logger.debug(event, "prompt storage") }), cache()]);
 */
export function trace(options: TraceOptions = {}): Layer {
  const { tracer, log } = options;
  return defineLayer("trace", (inner) => {
    const common = { "prompt_registry.backend": inner.kind, "prompt_registry.location": inner.location };

    async function run<T>(
      operation: string,
      names: readonly string[],
      call: () => Promise<T>,
      tell: (value: T) => Partial<TraceEvent> = () => ({}),
    ): Promise<T> {
      if (tracer === undefined) return observe(operation, names, call, tell, undefined);
      const attributes: Attributes = {
        ...common,
        "prompt_registry.operation": operation,
        ...(names.length === 0 ? {} : { "prompt_registry.names": names.slice(0, MAX_NAMES).join(" ") }),
        ...(names.length === 0 ? {} : { "prompt_registry.count": names.length }),
      };
      return tracer.startActiveSpan(`prompt_registry.${operation}`, { attributes: { ...attributes } }, (span) =>
        observe(operation, names, call, tell, span),
      );
    }

    async function observe<T>(
      operation: string,
      names: readonly string[],
      call: () => Promise<T>,
      tell: (value: T) => Partial<TraceEvent>,
      span: TraceSpan | undefined,
    ): Promise<T> {
      const started = performance.now();
      const event = { operation, backend: inner.kind, location: inner.location, names: names.slice(0, MAX_NAMES) };
      try {
        const value = await call();
        const told = tell(value);
        span?.setAttributes(attributesOf(told));
        report({ ...event, duration: performance.now() - started, ok: told.ok ?? true, ...told });
        return value;
      } catch (thrown) {
        const error = asRegistryError(thrown, inner.kind);
        const { code, outcome, message } = error;
        const { attempts } = error.context;
        const told = { code, outcome, ...(attempts === undefined ? {} : { attempts }) };
        span?.setAttributes(attributesOf(told));
        // "There is no such prompt" is an answer; only what went wrong is an error of the span.
        if (code !== "NOT_FOUND") {
          span?.recordException(error);
          span?.setStatus({ code: ERROR, message: code });
        }
        report({ ...event, duration: performance.now() - started, ok: false, message, ...told });
        throw error;
      } finally {
        span?.end();
      }
    }

    function report(event: TraceEvent): void {
      try {
        log?.(event);
      } catch {
        // A broken logger must not break a read.
      }
    }

    return {
      kind: inner.kind,
      location: inner.location,
      capabilities: inner.capabilities,
      native: inner.native,
      peek: (ask) => inner.peek(ask),
      read: (asks, op) =>
        run(
          "read",
          asks.map(({ name }) => name),
          () => inner.read(asks, op),
          provenanceOf,
        ),
      listPrompts: (query, op) => run("listPrompts", [], () => inner.listPrompts(query, op)),
      listVersions: (name, query, op) => run("listVersions", [name], () => inner.listVersions(name, query, op)),
      history: (name, query, op) => run("history", [name], () => inner.history(name, query, op)),
      changes: (query, op) => run("changes", [], () => inner.changes(query, op)),
      commit: (commit, op) =>
        run(
          "commit",
          commit.changes.map(({ name }) => name),
          () => inner.commit(commit, op),
          (outcomes) => {
            const failed = outcomes.find((o) => o.status === "failed");
            return failed?.status === "failed"
              ? { ok: false, code: failed.error.code, outcome: failed.error.outcome, message: failed.error.message }
              : {};
          },
        ),
      repair: (plan, op) => run("repair", plan.name === undefined ? [] : [plan.name], () => inner.repair(plan, op)),
      check: (op?: Operation) =>
        run(
          "check",
          [],
          () => inner.check(op),
          ({ ok }) => ({ ok }),
        ),
      close: () => inner.close(),
    } satisfies StorageDriver;
  });
}

function provenanceOf(answers: readonly ReadAnswer[]): Partial<TraceEvent> {
  const elsewhere = answers.find(({ provenance }) => provenance !== undefined)?.provenance;
  if (elsewhere === undefined) return {};
  const isStale = answers.some(({ provenance }) => provenance?.stale === true);
  return { source: elsewhere.source, ...(isStale ? { stale: true as const } : {}) };
}

function attributesOf(told: Partial<TraceEvent>): Record<string, AttributeValue> {
  const { code, outcome, attempts, source, stale } = told;
  return {
    ...(code === undefined ? {} : { "error.type": code }),
    ...(outcome === undefined ? {} : { "prompt_registry.outcome": outcome }),
    ...(attempts === undefined ? {} : { "prompt_registry.attempts": attempts }),
    ...(source === undefined ? {} : { "prompt_registry.source": source }),
    ...(stale === undefined ? {} : { "prompt_registry.stale": stale }),
  };
}
