import { describe, it } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { driverSuite } from "../../src/testing/index.ts";
import { damageMemory } from "../support/memory-damage.ts";

driverSuite({ name: "memory", open: async () => memory(), damage: damageMemory, runner: { describe, it } });
