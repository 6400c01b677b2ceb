import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { circuit } from "../../src/layers/circuit.ts";
import { fallback } from "../../src/layers/fallback.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { limit } from "../../src/layers/limit.ts";
import { mirror } from "../../src/layers/mirror.ts";
import { prefix } from "../../src/layers/prefix.ts";
import { retry } from "../../src/layers/retry.ts";
import { route } from "../../src/layers/route.ts";
import { deadline, timeout } from "../../src/layers/timeout.ts";
import { trace } from "../../src/layers/trace.ts";
import { driverSuite } from "../../src/testing/index.ts";
import { COMPOSED, composed } from "../support/composed.ts";

const root = mkdtempSync(join(tmpdir(), "layers-suite-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const folder = () => mkdtempSync(join(root, "x-"));

const runner = { describe, it };

const layers: Readonly<Record<string, () => Layer>> = {
  cache: () => cache(),
  "cache with a disk tier": () => cache({ disk: { path: folder() } }),
  "cache that keeps next to nothing": () => cache({ maxBytes: 3000 }),
  "cache that remembers what is not there": () => cache({ negativeTtl: 60_000 }),
  retry: () => retry(),
  circuit: () => circuit(),
  timeout: () => timeout(),
  deadline: () => deadline(),
  limit: () => limit({ concurrency: 2 }),
  "prefix of everything": () => prefix(""),
  fallback: () => fallback([memory()]),
  "mirror to memory": () => mirror(memory()),
  "route to two storages": () =>
    route([
      { names: "*", storage: memory() },
      { names: "p*/**", storage: memory() },
    ]),
  trace: () => trace({ log: () => {} }),
};

for (const [name, layer] of Object.entries(layers)) {
  driverSuite({ name: `${name} over memory`, runner, open: async () => layer()(memory()) });
}

const places = new WeakMap<StorageDriver, { readonly path: string; readonly disk: string }>();

function open(place: { readonly path: string; readonly disk: string }): StorageDriver {
  const driver = composed(fs({ path: place.path }), place.disk);
  places.set(driver, place);
  return driver;
}

driverSuite({
  name: `${COMPOSED} over fs`,
  runner,
  open: async () => open({ path: join(folder(), "registry"), disk: folder() }),
  // No `another`: handles with a cache of their own see each other's changes after the TTL, which is their contract.
  reopen: async (driver) => {
    await driver.close();
    return open(places.get(driver) as { path: string; disk: string });
  },
});
