import type { StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";

/** From outermost to innermost. Every layer stands inside those before it and around those after it. */
export const LAYER_ORDER = [
  "trace",
  "cache",
  "readonly",
  "fallback",
  "mirror",
  "deadline",
  "route",
  "retry",
  "circuit",
  "timeout",
  "limit",
  "prefix",
] as const;

export type LayerName = (typeof LAYER_ORDER)[number];

/**
 * A layer: puts itself around a storage and is one itself.
 *
 * @example
 * const driver = cache({ ttl: 60_000 })(retry()(fs({ path: "./registry" })));
 */
export interface Layer<D extends StorageDriver = StorageDriver> {
  (inner: StorageDriver): D;
  readonly layer: LayerName;
}

interface Wrapped {
  readonly layer: LayerName;
  readonly inner: StorageDriver;
  readonly view: (() => unknown) | undefined;
}

// What a layer made is known by identity, so that the order is checked however a stack is put together.
const wrapped = new WeakMap<StorageDriver, Wrapped>();

/**
 * Makes a layer out of a function that wraps a driver; for layers of your own, take the name whose place they stand in.
 *
 * @param wrap gives a driver that forwards everything it doesn't change
 * @param view for a layer that shows other prompts than the storage it wraps: what tells its view from others. What is kept
 *   of one is never given under another
 */
export function defineLayer<D extends StorageDriver>(
  layer: LayerName,
  wrap: (inner: StorageDriver) => D,
  view?: () => unknown,
): Layer<D> {
  const apply = (inner: StorageDriver): D => {
    checkOrder(layer, inner);
    const driver = wrap(inner);
    wrapped.set(driver, { layer, inner, view });
    return driver;
  };
  return Object.assign(apply, { layer });
}

function checkOrder(outer: LayerName, inner: StorageDriver): void {
  const below = wrapped.get(inner);
  if (below === undefined) return;
  const rank = (name: LayerName) => LAYER_ORDER.indexOf(name);
  if (rank(outer) < rank(below.layer)) return;
  const problem =
    outer === below.layer
      ? `layer ${outer} stands around another ${outer}; keep one`
      : `layer ${outer} stands around ${below.layer}, but ${below.layer} belongs around ${outer}`;
  throw new RegistryError("CONFIG", `${problem}; from outside in the order is ${LAYER_ORDER.join(", ")}`, {
    field: outer,
  });
}

/**
 * Puts layers around a storage, listed from the outermost to the innermost. `undefined` and `false` are left out, which
 * lets a layer depend on a condition.
 *
 * @throws RegistryError CONFIG naming the two layers that stand in the wrong order, or the one that is there twice
 * @example
 * const driver = stack(fs({ path: "./registry" }), [cache({ ttl: 60_000 }), retry(), timeout(5_000)]);
 */
export function stack(driver: StorageDriver, layers: readonly (Layer | undefined | false)[]): StorageDriver {
  return layers.reduceRight<StorageDriver>((inner, layer) => (layer ? layer(inner) : inner), driver);
}

/**
 * The layers of a stack from the outermost to the innermost, each with the driver it is.
 *
 * @example
 * layersOf(registry.driver).map(({ layer }) => layer); // ["cache", "retry", "timeout"]
 */
export function layersOf(driver: StorageDriver): { readonly layer: LayerName; readonly driver: StorageDriver }[] {
  const found: { layer: LayerName; driver: StorageDriver }[] = [];
  let at: StorageDriver | undefined = driver;
  for (let one = wrapped.get(at); one !== undefined; one = wrapped.get(at)) {
    found.push({ layer: one.layer, driver: at });
    at = one.inner;
  }
  return found;
}

/** Which storage answers, and what of it is shown: two with the same identity give the same answers. Holds no secret. */
export function identityOf(driver: StorageDriver): readonly unknown[] {
  const views: unknown[] = [];
  let at: StorageDriver | undefined = driver;
  for (let one = wrapped.get(at); one !== undefined; one = wrapped.get(at)) {
    if (one.view !== undefined) views.push([one.layer, one.view()]);
    at = one.inner;
  }
  return [driver.kind, driver.location, ...views];
}
