import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { openAccess } from "../handler.ts";
import { type ServeOptions, serve } from "./serve.ts";
import type { RunningServer } from "./server.ts";

const running: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop(50)));
});

/** How often the feed was looked at while an exact version was asked for again and again. */
async function looks(options: Partial<ServeOptions>, over: Partial<StorageDriver> = {}): Promise<number> {
  const inner = memory();
  let count = 0;
  const changes: StorageDriver["changes"] = (query, op) => {
    count++;
    return inner.changes(query, op);
  };
  const registry = new PromptRegistry({ ...inner, ...over, changes });
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "x" });
  const server = await serve(registry, { access: openAccess(), port: 0, ...options });
  running.push(server);
  for (let i = 0; i < 16; i++) {
    expect((await fetch(`${server.url}/v1/prompts/a/-/versions/1.0.0`)).status).toBe(200);
    await sleep(50);
  }
  return count;
}

test("the feed is looked at as often as `poll` says, by all who follow it", async () => {
  // Each begins with one look.
  expect(await looks({ poll: 3_600_000 })).toBeLessThanOrEqual(2);
  expect(await looks({ poll: 20 })).toBeGreaterThan(6);
});

test("where each look is a request, there are few", async () => {
  expect(await looks({}, { kind: "s3" })).toBeLessThanOrEqual(2);
});
