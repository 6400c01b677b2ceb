import { getEventListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StorageDriver } from "../driver.ts";
import { memory } from "../drivers/memory.ts";
import { abortable } from "../errors.ts";
import { PromptRegistry } from "../registry.ts";
import { backupFile, copyStorage, restoreFile, syncStorages } from "./index.ts";

let folder: string;
let warnings: Error[];
const onWarning = (warning: Error) => warnings.push(warning);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "prompt-registry-signal-"));
  warnings = [];
  process.on("warning", onWarning);
});
afterEach(() => {
  process.off("warning", onWarning);
  rmSync(folder, { recursive: true, force: true });
});

/** Every request waits a moment and listens to its signal, as those over a network do. */
function remote(): StorageDriver & { mostListeners: number } {
  const driver = memory();
  const far = {
    ...driver,
    mostListeners: 0,
    read(asks, op) {
      const answer = new Promise((resolve) => setTimeout(resolve, 5)).then(() => driver.read(asks, op));
      const answered = abortable(answer, op, "read");
      if (op?.signal) far.mostListeners = Math.max(far.mostListeners, getEventListeners(op.signal, "abort").length);
      return answered;
    },
  } as StorageDriver & { mostListeners: number };
  return far;
}

test.each(["copy", "sync", "backup and restore"])(
  "%s with many requests on their way warns of no leak",
  async (what) => {
    const from = remote();
    const to = remote();
    const registry = new PromptRegistry(from);
    for (let i = 0; i < 40; i++) await registry.storePrompt({ name: `p${i}`, version: "1.0.0", text: `${i}\n` });
    const { signal } = new AbortController();
    if (what === "copy") await copyStorage(from, to, { signal });
    else if (what === "sync") await syncStorages(from, to, { signal });
    else {
      await backupFile(from, join(folder, "all.gz"), { signal, concurrency: 16 });
      await restoreFile(to, join(folder, "all.gz"), { signal });
    }
    // Warnings come a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    expect(Math.max(from.mostListeners, to.mostListeners)).toBeGreaterThan(10);
    expect(warnings).toEqual([]);
  },
);
