import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Health } from "../../driver.ts";
import { Exposition, Histogram } from "./exposition.ts";
import { openFiles } from "./process.ts";
import type { StorageCall } from "./storage.ts";

/** Why a request was answered by the server itself, and not by the handler. */
export type Refused =
  | "malformed"
  | "host"
  | "too_large"
  | "timeout"
  | "overloaded"
  | "address_rate"
  | "principal_rate"
  | "streams"
  | "bodies"
  | "replies"
  | "failed";

/** What is there now, and not counted here. */
export interface Gauges {
  readonly inFlight: number;
  readonly queued: number;
  readonly connections: number;
  readonly streams: number;
  readonly ready: boolean;
  readonly health?: Health | undefined;
}

interface Route {
  readonly duration: Histogram;
  /** By method and status. */
  readonly counts: Map<string, Map<number, number>>;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]);
/** Patterns of routes are few; a host that gives targets instead must not fill the memory. */
const MAX_ROUTES = 200;

/** The figures of one server, since it started. */
export class Metrics {
  readonly #routes = new Map<string, Route>();
  readonly #errors = new Map<string, number>();
  readonly #refused = new Map<Refused, number>();
  readonly #storage = new Map<string, { readonly call: StorageCall; readonly duration: Histogram; count: number }>();
  readonly #started = Date.now() / 1000;
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly #version: string;
  readonly #late = new Set<() => void>();

  constructor(options: { readonly version?: string } = {}) {
    this.#version = options.version ?? "";
    this.#delay.enable();
  }

  request(route: string, method: string, status: number, ms: number, code?: string): void {
    let entry = this.#routes.get(route);
    if (entry === undefined) {
      if (this.#routes.size >= MAX_ROUTES && route !== "other") {
        this.request("other", method, status, ms, code);
        return;
      }
      entry = { duration: new Histogram(), counts: new Map() };
      this.#routes.set(route, entry);
    }
    entry.duration.observe(ms / 1000);
    const known = METHODS.has(method) ? method : "other";
    let statuses = entry.counts.get(known);
    if (statuses === undefined) {
      statuses = new Map();
      entry.counts.set(known, statuses);
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (code !== undefined) this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  /** For who counts late: called before each reading. @returns ends that */
  beforeReading(count: () => void): () => void {
    this.#late.add(count);
    return () => this.#late.delete(count);
  }

  refused(why: Refused): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }

  /** One call of a storage; see `counted`. */
  readonly storageCall = (call: StorageCall): void => {
    const key = `${call.backend} ${call.operation} ${call.result}`;
    let entry = this.#storage.get(key);
    if (entry === undefined) {
      entry = { call, duration: new Histogram(), count: 0 };
      this.#storage.set(key, entry);
    }
    entry.count++;
    entry.duration.observe(call.ms / 1000);
  };

  close(): void {
    this.#delay.disable();
  }

  text(gauges: Gauges): string {
    for (const count of this.#late) count();
    const out = new Exposition();
    out.family("prompt_registry_info", "gauge", "Version of the server.");
    out.sample("prompt_registry_info", { version: this.#version, node: process.version }, 1);
    this.#requests(out);
    out.one("prompt_registry_http_in_flight", "gauge", "Requests that are being worked on.", gauges.inFlight);
    out.one("prompt_registry_http_queued", "gauge", "Requests that wait for that.", gauges.queued);
    out.one("prompt_registry_http_connections", "gauge", "Open connections.", gauges.connections);
    out.one("prompt_registry_http_streams", "gauge", "Open event streams.", gauges.streams);
    out.one("prompt_registry_ready", "gauge", "1 where the last look at the storage was good.", gauges.ready ? 1 : 0);
    this.#calls(out);
    if (gauges.health !== undefined) figures(out, gauges.health);
    this.#process(out);
    return out.text;
  }

  #requests(out: Exposition): void {
    out.family("prompt_registry_http_requests_total", "counter", "Requests by route, method and status.");
    for (const [route, { counts }] of this.#routes)
      for (const [method, statuses] of counts)
        for (const [status, count] of statuses)
          out.sample("prompt_registry_http_requests_total", { route, method, status: String(status) }, count);
    const duration = "prompt_registry_http_request_duration_seconds";
    out.family(duration, "histogram", "Time from a request's headers to the last byte of its answer, by route.");
    for (const [route, entry] of this.#routes) out.histogram(duration, { route }, entry.duration);
    out.family("prompt_registry_http_errors_total", "counter", "Answers that were errors, by code.");
    for (const [code, count] of this.#errors) out.sample("prompt_registry_http_errors_total", { code }, count);
    out.family("prompt_registry_http_refused_total", "counter", "Requests that a limit or a check turned away.");
    for (const [reason, count] of this.#refused) out.sample("prompt_registry_http_refused_total", { reason }, count);
  }

  #calls(out: Exposition): void {
    out.family("prompt_registry_storage_calls_total", "counter", "Calls of storages, below all layers.");
    for (const { call, count } of this.#storage.values()) {
      const { backend, operation, result } = call;
      out.sample("prompt_registry_storage_calls_total", { backend, operation, result }, count);
    }
    const duration = "prompt_registry_storage_call_duration_seconds";
    out.family(duration, "histogram", "Time that calls of storages took.");
    for (const { call, duration: histogram } of this.#storage.values()) {
      const { backend, operation, result } = call;
      out.histogram(duration, { backend, operation, result }, histogram);
    }
  }

  #process(out: Exposition): void {
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage();
    out.one("process_cpu_seconds_total", "counter", "Processor time.", (cpu.user + cpu.system) / 1e6);
    out.one("process_resident_memory_bytes", "gauge", "Memory in use.", memory.rss);
    out.one("process_start_time_seconds", "gauge", "When the server started.", this.#started);
    const files = openFiles();
    if (files !== undefined) out.one("process_open_fds", "gauge", "Open files and connections.", files);
    out.one("nodejs_heap_used_bytes", "gauge", "Heap in use.", memory.heapUsed);
    const p99 = this.#delay.percentile(99) / 1e9;
    out.one(
      "nodejs_eventloop_delay_p99_seconds",
      "gauge",
      "Delay of timers since the last look.",
      Number.isFinite(p99) ? p99 : 0,
    );
    this.#delay.reset();
  }
}

/** What the storage and its layers count: cache hits, retries and the like. */
function figures(out: Exposition, health: Health): void {
  out.family(
    "prompt_registry_storage_figure",
    "gauge",
    "What the storage and its layers count, as `prompt-registry check` shows it.",
  );
  const seen = new Set<string>();
  const add = (one: Health) => {
    for (const check of one.checks) {
      for (const [figure, value] of Object.entries(check.figures ?? {})) {
        const labels = { backend: one.kind, check: check.name, figure };
        const key = JSON.stringify(labels);
        if (typeof value !== "number" || seen.has(key)) continue;
        seen.add(key);
        out.sample("prompt_registry_storage_figure", labels, value);
      }
    }
    one.inner?.forEach(add);
  };
  add(health);
}
