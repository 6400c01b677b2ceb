import { expect, test } from "vitest";
import { accessOf } from "../../../test/support/http-world.ts";
import type { ReadAnswer, ReadAsk, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { createHandler } from "../handler.ts";

const MAX_REPLY = 8 * 2 ** 20;
const access = accessOf({ reader: [{ right: "read", prefix: "" }], team: [{ right: "read", prefix: "team" }] });

/** A handler whose storage tells how many it was asked for at a time. */
function world() {
  const inner = memory();
  const batches: number[] = [];
  const driver: StorageDriver = {
    ...inner,
    read(asks, op) {
      batches.push(asks.length);
      return inner.read(asks, op);
    },
  };
  const seed = new PromptRegistry(inner, { author: "seed" });
  const handler = createHandler(new PromptRegistry(driver), { access });
  async function reads(asks: readonly ReadAsk[], token = "reader") {
    batches.length = 0;
    const request = new Request("http://x/v1/reads", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ asks }),
    });
    const text = await (await handler(request)).text();
    return { size: text.length, answers: (JSON.parse(text) as { answers: ReadAnswer[] }).answers };
  }
  return { seed, reads, batches };
}

const askFor = (name: string, version = "1.0.0") =>
  ({ name, selector: { kind: "version", version } }) as unknown as ReadAsk;

test("what is asked for again and again is read once, and a reply is no larger than it may be", async () => {
  const { seed, reads, batches } = world();
  await seed.storePrompt({ name: "big", version: "1.0.0", text: "x".repeat(1_000_000) });
  const { size, answers } = await reads(Array.from({ length: 100 }, () => askFor("big")));
  expect(size).toBeLessThan(MAX_REPLY + 1000);
  expect(answers).toHaveLength(8);
  expect(batches).toEqual([1]);
});

test("characters that are written as six bytes are counted as six", async () => {
  const { seed, reads } = world();
  for (let i = 0; i < 4; i++)
    await seed.storePrompt({ name: `p${i}`, version: "1.0.0", text: "\u007f\\\n".repeat(300_000) });
  const asks = Array.from({ length: 100 }, (_, i) => askFor(`p${i % 4}`));
  const { size, answers } = await reads(asks);
  expect(size).toBeLessThan(MAX_REPLY + 1000);
  expect(answers.length).toBeGreaterThan(1);
});

test("many that are small take few reads, and come in the order in which they were asked for", async () => {
  const { seed, reads, batches } = world();
  const names = Array.from({ length: 60 }, (_, i) => `team/p${i}`);
  await seed.storePrompts(names.map((name) => ({ name, version: "1.0.0", text: `text of ${name}` })));
  const asks = names.flatMap((name) => [askFor(name), askFor("other/secret"), askFor("team/none")]).slice(0, 100);
  const { answers } = await reads(asks, "team");
  expect(answers).toHaveLength(100);
  for (const [i, answer] of answers.entries()) {
    if (i % 3 === 0) expect(answer).toMatchObject({ status: "found", document: { name: asks[i]?.name } });
    else expect(answer).toEqual({ status: "absent" });
  }
  expect(batches.length).toBeLessThanOrEqual(5);
});

test("of large ones not many more are read than are sent", async () => {
  const { seed, reads, batches } = world();
  const names = Array.from({ length: 30 }, (_, i) => `big/p${i}`);
  for (const name of names) await seed.storePrompt({ name, version: "1.0.0", text: "y".repeat(900_000) });
  const { answers } = await reads(names.map((name) => askFor(name)));
  const read = batches.reduce((sum, n) => sum + n, 0);
  expect(answers.length).toBeGreaterThan(7);
  expect(read - answers.length).toBeLessThanOrEqual(2);
});
