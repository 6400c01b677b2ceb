import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Every test file belongs to exactly one project: a new folder under test/ falls into "unit".
const conformance = ["test/conformance/**/*.test.ts"];
// One process each, which mostly waits for what it has started.
const faults = [
  "test/process/*faults.test.ts",
  "test/process/*linearizability.test.ts",
  "test/process/{bit-rot,crashes,power-loss,server-soak,symlinks}.test.ts",
];
// A browser each.
const web = ["test/web/**/*.test.ts"];
const process = ["test/process/**/*.test.ts", "test/live/**/*.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    // Vitest's default leaves one core idle, which is half of a small CI machine; and a fifth of the time they all wait: for a
    // disk, another process, a database.
    maxWorkers: availableParallelism() + 1,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/**/*.test.ts", "web/src/**/*.test.ts"],
          exclude: [...conformance, ...process, ...web],
          testTimeout: 10_000,
          hookTimeout: 10_000,
        },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          include: conformance,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "faults",
          include: faults,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "process",
          include: process,
          exclude: faults,
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // These start servers, kill processes and measure time: one file at a time, after all the others.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "web",
          include: web,
          testTimeout: 90_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
