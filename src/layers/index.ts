export {
  readSnapshot,
  type Snapshot,
  type SnapshotDriverOptions,
  type SnapshotOptions,
  type SnapshotPrompt,
  type SnapshotReport,
  snapshot,
  writeSnapshot,
} from "../drivers/snapshot/index.ts";
export { cacheOf } from "./cache/find.ts";
export {
  type CacheDriver,
  type CacheOptions,
  type CacheStats,
  cache,
  type DiskOptions,
  type WarmReport,
} from "./cache/index.ts";
export { type CircuitOptions, circuit } from "./circuit.ts";
export { type FallbackOptions, fallback } from "./fallback.ts";
export {
  defineLayer,
  LAYER_ORDER,
  type Layer,
  type LayerName,
  layersOf,
  stack,
} from "./layer.ts";
export { type LimitOptions, limit } from "./limit.ts";
export {
  type CopyPrompt,
  type CursorStore,
  cursorFile,
  type MirrorDriver,
  type MirrorOptions,
  type MirrorStats,
  mirror,
} from "./mirror.ts";
export { prefix } from "./prefix.ts";
export { readonly } from "./readonly.ts";
export { type RetryOptions, retry } from "./retry.ts";
export { type Route, route } from "./route.ts";
export { deadline, timeout } from "./timeout.ts";
export { type SpanTracer, type TraceEvent, type TraceOptions, type TraceSpan, trace } from "./trace.ts";
