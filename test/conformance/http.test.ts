import { memory } from "../../src/drivers/memory.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { stack } from "../../src/layers/layer.ts";
import { retry } from "../../src/layers/retry.ts";
import { httpSuite } from "../support/http-suite.ts";
import { damageMemory } from "../support/memory-damage.ts";

httpSuite({ name: "http to memory", open: async () => memory(), damage: damageMemory });

httpSuite({
  name: "http to retry and cache over memory",
  open: async () => stack(memory(), [cache(), retry()]),
});
