import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { CheckedConfig } from "../../config-schema.ts";
import type { StorageConfig } from "../../config-storages.ts";
import type { StorageDriver } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Layer } from "../layer.ts";

export type LayerConfig = Omit<CheckedConfig, "storage" | "author" | "policy" | "server">;

export interface Surroundings {
  readonly open: (storage: StorageConfig) => Promise<StorageDriver>;
  /** Where relative paths start. */
  readonly cwd: string;
  /** Whether a network lies between: then `retry` and `timeout` are on unless they are switched off. */
  readonly isRemote: (storage: StorageConfig) => boolean;
  /** Whether `PROMPT_REGISTRY_TOKEN` is for it where `PROMPT_REGISTRY_TOKEN_ORIGIN` does not say which origin it is for. */
  readonly environmentToken: (storage: StorageConfig) => boolean;
}

/** Opens the storages and puts the layers around them; when it fails, what was opened is closed again. */
export async function compose(main: StorageConfig, config: LayerConfig, around: Surroundings): Promise<StorageDriver> {
  const opened: StorageDriver[] = [];
  const open = async (storage: StorageConfig): Promise<StorageDriver> => {
    const driver = await around.open(storage);
    opened.push(driver);
    return driver;
  };
  try {
    return await build(main, config, { ...around, open });
  } catch (error) {
    await Promise.allSettled(opened.map((driver) => driver.close()));
    throw error;
  }
}

async function build(main: StorageConfig, config: LayerConfig, around: Surroundings): Promise<StorageDriver> {
  const { stack } = await import("../layer.ts");
  const driver = await guarded(main, config, around);
  const layers: (Layer | undefined)[] = [
    config.trace === true ? await traced() : undefined,
    await cached(main, config, around),
    config.readonly === true ? (await import("../readonly.ts")).readonly() : undefined,
    await fallingBack(config, around),
    await mirrored(config, around),
    await bounded(main, config, around),
    await routed(config, around),
  ];
  const composed = stack(driver, layers);
  const preload = typeof config.cache === "object" ? config.cache.preload : undefined;
  if (preload !== undefined && preload.length > 0) {
    // What can't be read now is read when it is needed; a start must not depend on it.
    await (await import("../cache/find.ts")).cacheOf(composed)?.warm(preload);
  }
  return composed;
}

/** A storage with what keeps it and its callers from harm; each has its own, so that one that is down stops no other. */
async function guarded(storage: StorageConfig, config: LayerConfig, around: Surroundings): Promise<StorageDriver> {
  const { stack } = await import("../layer.ts");
  const isRemote = around.isRemote(storage);
  const { retry: retries = isRemote, circuit: breaker = false, limit: most, prefix: start } = config;
  const { timeout: time = isRemote ? {} : false } = config;
  const attempt = time === false ? undefined : ("attempt" in time && time.attempt) || 10_000;
  return stack(await around.open(storage), [
    retries === false ? undefined : (await import("../retry.ts")).retry(retries === true ? {} : retries),
    breaker === false ? undefined : (await import("../circuit.ts")).circuit(breaker === true ? {} : breaker),
    attempt === undefined ? undefined : (await import("../timeout.ts")).timeout(attempt),
    most === undefined ? undefined : (await import("../limit.ts")).limit(most),
    start === undefined ? undefined : (await import("../prefix.ts")).prefix(start),
  ]);
}

async function bounded(main: StorageConfig, config: LayerConfig, around: Surroundings): Promise<Layer | undefined> {
  const { timeout: time = around.isRemote(main) ? {} : false } = config;
  if (time === false) return undefined;
  const { attempt = 10_000, call = attempt * 3 } = "call" in time || "attempt" in time ? (time as Times) : {};
  return (await import("../timeout.ts")).deadline(call);
}

interface Times {
  readonly attempt?: number;
  readonly call?: number;
}

async function cached(
  main: StorageConfig,
  { cache: wanted, route }: LayerConfig,
  around: Surroundings,
): Promise<Layer | undefined> {
  if (wanted === undefined || wanted === false) return undefined;
  const { cache } = await import("../cache/index.ts");
  if (wanted === true) return cache();
  const { preload: _, disk, ...rest } = wanted;
  // In memory each cache wraps one storage: who asks needs to be known for what other processes find on disk.
  if (disk === undefined) return cache(rest);
  const principals: string[] = [];
  for (const storage of [main, ...(route ?? []).map(({ storage }) => storage)]) {
    principals.push(await principalOf(storage, around));
  }
  const principal = principals.length === 1 ? (principals[0] as string) : JSON.stringify(principals);
  return cache({ ...rest, principal, disk: { ...disk, path: resolve(around.cwd, disk.path) } });
}

/** Who reads, as far as the storage tells people apart; the password is none of it. */
async function principalOf(storage: StorageConfig, around: Surroundings): Promise<string> {
  if (storage.backend === "http") {
    // The token that is sent, from wherever it comes: one that is withheld from this place says nothing of who asks there.
    const { placeOf, tokenFor } = await import("../../drivers/http/options.ts");
    const { url, token } = storage;
    const environmentToken = around.environmentToken(storage);
    const options = { url, environmentToken, ...(token === undefined ? {} : { token }) };
    return tokenMark((await tokenFor(placeOf(url), options)).token);
  }
  if (storage.backend !== "postgres") return "";
  if (storage.user !== undefined) return storage.user;
  try {
    return new URL(storage.url ?? "").username;
  } catch {
    return "";
  }
}

/** Tells tokens apart without holding one. */
function tokenMark(token: string | undefined): string {
  return token === undefined ? "" : createHash("sha256").update(token).digest("hex").slice(0, 16);
}

async function fallingBack(
  { fallback: places, prefix: start }: LayerConfig,
  around: Surroundings,
): Promise<Layer | undefined> {
  // An empty list is a valid one: it says that nothing is to be asked.
  if (places === undefined || places.length === 0) return undefined;
  const { fallback } = await import("../fallback.ts");
  const storages: StorageDriver[] = [];
  for (const place of places) {
    // What is not shown of the main storage is not shown in an outage either.
    const within = start === undefined ? undefined : (await import("../prefix.ts")).prefix(start);
    storages.push(await beside(place, 5000, around, within));
  }
  return fallback(storages);
}

/** A storage that stands in for the main one, or copies it: one that is down or hangs must not be waited for each time. */
async function beside(place: StorageConfig, ms: number, around: Surroundings, inmost?: Layer): Promise<StorageDriver> {
  const { stack } = await import("../layer.ts");
  const guards = around.isRemote(place)
    ? [(await import("../circuit.ts")).circuit(), (await import("../timeout.ts")).timeout(ms)]
    : [];
  return stack(await around.open(place), [...guards, inmost]);
}

/** Milliseconds. A hang must end, but nobody waits for a copy, and one commit of it may carry many documents. */
const COPYING = 60_000;

async function mirrored({ mirror: wanted }: LayerConfig, around: Surroundings): Promise<Layer | undefined> {
  if (wanted === undefined) return undefined;
  const { cursorFile, mirror } = await import("../mirror.ts");
  const { to, cursor, poll } = wanted as {
    readonly to: StorageConfig;
    readonly cursor?: string;
    readonly poll?: number;
  };
  return mirror(await beside(to, COPYING, around), {
    ...(cursor === undefined ? {} : { cursor: cursorFile(resolve(around.cwd, cursor)) }),
    ...(poll === undefined ? {} : { poll }),
  });
}

async function routed(config: LayerConfig, around: Surroundings): Promise<Layer | undefined> {
  const { route: routes } = config;
  if (routes === undefined || routes.length === 0) return undefined;
  const { route } = await import("../route.ts");
  const opened = [];
  for (const { names, storage } of routes) opened.push({ names, storage: await guarded(storage, config, around) });
  return route(opened);
}

async function traced(): Promise<Layer> {
  const { trace } = await import("../trace.ts");
  try {
    const api = await import("@opentelemetry/api");
    return trace({ tracer: api.trace.getTracer("prompt-registry") });
  } catch (cause) {
    throw new RegistryError("CONFIG", "trace needs the package @opentelemetry/api: npm install @opentelemetry/api", {
      field: "trace",
      cause,
    });
  }
}
