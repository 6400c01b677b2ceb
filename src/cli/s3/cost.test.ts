import { afterAll, beforeAll, expect, test } from "vitest";
import { s3 } from "../../drivers/s3/index.ts";
import { PromptRegistry } from "../../registry.ts";
import { type FakeS3, fakeS3 } from "../../testing/s3/index.ts";
import { CALLS, estimate, USAGE } from "./cost.ts";
import { PRICES, readPrices } from "./prices.ts";

const PROMPTS = 10;
let server: FakeS3;
let registry: PromptRegistry;
const connect = async () => {
  const { endpoint, region, credentials } = server;
  const own = credentials as { accessKeyId: string; secretAccessKey: string };
  return new PromptRegistry(await s3({ bucket: "prompts", endpoint, region, credentials: own }), { author: "ada" });
};

beforeAll(async () => {
  server = await fakeS3();
  server.createBucket("prompts");
  registry = await connect();
  const names = Array.from({ length: PROMPTS }, (_, i) => `p${i}`);
  await Promise.all(names.map((name) => registry.storePrompt({ name, version: "1.0.0", text: "one\n" })));
});
afterAll(async () => {
  await registry.close();
  await server.close();
});

/** `latest.json` is written behind the caller's back: waits until nothing is asked any more. */
async function idle(): Promise<void> {
  for (let before = -1; before !== server.calls.length; ) {
    before = server.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What an operation asked of the store, by a handle that is warm or one that has seen nothing. */
async function counted(run: (own: PromptRegistry) => Promise<unknown>, cold = false) {
  const own = cold ? await connect() : registry;
  await idle();
  server.clearCalls();
  await run(own);
  await idle();
  const { GetObject = 0, PutObject = 0, ListObjectsV2 = 0, ...others } = server.counts();
  expect(others).toEqual({});
  if (cold) await own.close();
  return { get: GetObject, put: PutObject, list: ListObjectsV2 };
}

test("the estimate counts the requests that are made", async () => {
  expect(await counted((own) => own.getPrompt("p0@1.0.0"), true)).toEqual(CALLS.pinnedRead);
  expect(await counted((own) => own.getPrompt("p0"), true)).toEqual(CALLS.latestRead);
  expect(await counted((own) => own.storePrompt({ name: "p0", version: "1.1.0", text: "two\n" }))).toEqual(CALLS.write);
  const page = async (own: PromptRegistry) => {
    for await (const _ of own.listPrompts({ include: "heads", limit: 100 }));
  };
  // The estimate is for full pages.
  expect(await counted(page, true)).toEqual({ ...CALLS.page, get: (CALLS.page.get * PROMPTS) / 100 });
  const moved = await counted((own) => own.setLabel("p0", "production", "1.0.0"));
  expect([moved.put, moved.list]).toEqual([CALLS.move.put, CALLS.move.list]);
});

test("nothing asked costs the storage alone, and small objects cost more in a colder class", () => {
  const { lines } = estimate({ ...USAGE, keptDays: 0 }, PRICES);
  expect(lines.map(({ what }) => what)).toEqual(["documents, STANDARD", "heads and latest.json"]);
  const cold = estimate({ ...USAGE, storageClass: "STANDARD_IA" }, PRICES);
  expect(cold.total).toBeGreaterThan(estimate(USAGE, PRICES).total);
});

test("every price names its source, and one that is replaced without any is called not verified", () => {
  const { kms10000, list1000, transferGb, classes, sources } = PRICES;
  expect(Object.keys(sources).sort()).toEqual(
    [...Object.keys(classes), ...Object.keys({ kms10000, list1000, transferGb })].sort(),
  );
  const usage = { ...USAGE, pages: 1 };
  const unverified = (table: object) => estimate(usage, readPrices(JSON.stringify(table), "prices.json")).unverified;
  expect(unverified({})).toEqual([]);
  expect(unverified({ classes: { STANDARD: { put1000: 1 } } })).toEqual(["STANDARD"]);
  expect(unverified({ list1000: 1 })).toEqual(["list1000"]);
  expect(unverified({ list1000: 1, sources: { list1000: "our contract" } })).toEqual([]);
  expect(unverified({ region: "eu-central-1" })).toEqual(["STANDARD", "list1000"]);
});
