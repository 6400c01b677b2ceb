import { describe, expect, it, vi } from "vitest";
import type { ReadAnswer, StorageDriver } from "../../driver.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf } from "../../testing/index.ts";
import { cache } from "./index.ts";

const SELECTORS = ["latest", "production", "staging", "head"] as const;
const PAIRS = SELECTORS.flatMap((seen) =>
  SELECTORS.filter((then) => then !== seen).map((then) => [seen, then] as const),
);

function generationOf(answers: readonly ReadAnswer[]): number | undefined {
  const [answer] = answers;
  return answer !== undefined && "head" in answer ? answer.head?.head.generation : undefined;
}

/** Everything of one prompt is in the cache, and then others change its head and leave every pointer that is asked for. */
async function createLab() {
  const store = memory();
  const others = new PromptRegistry(store);
  await others.storePrompt({ name: "a", version: "1.0.0", text: "text\n", labels: ["production", "staging"] });
  const cached = cache()(Object.assign<StorageDriver, Partial<StorageDriver>>(store, { peek: () => undefined }));
  const read = async (what: string, fresh = false) => cached.read([askOf("a", what)], { fresh });
  for (const what of SELECTORS) await read(what);
  const before = generationOf(await read("latest")) as number;
  await others.setLabel("a", "elsewhere", "1.0.0");
  return { cached, read, before };
}

describe("cache: of one prompt nobody sees a head and then an older one", () => {
  it.each(PAIRS)("not after %s under %s, though its pointers stand where they stood", async (seen, then) => {
    const { cached, read, before } = await createLab();
    expect(generationOf(await read(then))).toBe(before);
    expect(generationOf(await read(seen, true))).toBe(before + 1);
    expect(generationOf(await read(then))).toBe(before + 1);
    await cached.close();
  });

  it("an exact version, which comes without a head, stays as it is", async () => {
    const { cached, read } = await createLab();
    await read("latest", true);
    expect(cached.peek(askOf("a", "1.0.0"))).toMatchObject({ status: "found", document: { version: "1.0.0" } });
    await cached.close();
  });
});

it("what was asked for before a head that says otherwise is given to those who had asked, and to nobody after", async () => {
  const store = memory();
  const others = new PromptRegistry(store);
  await others.storePrompt({ name: "a", version: "3.0.0", text: "3" });
  const waiting: (() => void)[] = [];
  const slow: StorageDriver = {
    ...store,
    peek: () => undefined,
    // What is answered is of the time it was asked; the reply takes as long as it is held back.
    read: async (asks, op) => {
      const answers = await store.read(asks, op);
      if (asks[0]?.selector.kind !== "head") await new Promise<void>((resolve) => waiting.push(resolve));
      return answers;
    },
  };
  const driver = cache()(slow);
  const latest = askOf("a", "latest");
  const early = driver.read([latest]);
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  await others.storePrompt({ name: "a", version: "4.0.0", text: "4" });
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(await driver.read([askOf("a", "head")])).toMatchObject([{ head: { latest: "4.0.0" } }]);
  const joining = driver.read([latest]);
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  for (const resolve of waiting) resolve();
  expect(await early).toMatchObject([{ document: { version: "3.0.0" } }]);
  expect(await joining).toMatchObject([{ document: { version: "4.0.0" } }]);
  expect(await driver.read([latest])).toMatchObject([{ document: { version: "4.0.0" } }]);
});

it("a head of before that was asked for later, and comes later, is not kept", async () => {
  const store = memory();
  const others = new PromptRegistry(store);
  await others.storePrompt({ name: "a", version: "1.0.0", text: "1" });
  await others.setLabel("a", "production", "1.0.0");
  const replies: { readonly kind: string; send(): void }[] = [];
  let readAt: "asked" | "sent" = "sent";
  const slow: StorageDriver = {
    ...store,
    peek: () => undefined,
    read: async (asks, op) => {
      const early = readAt === "asked" ? await store.read(asks, op) : undefined;
      const kind = asks[0]?.selector.kind ?? "";
      await new Promise<void>((send) => replies.push({ kind, send: () => send() }));
      return early ?? (await store.read(asks, op));
    },
  };
  const driver = cache()(slow);
  const label = driver.read([askOf("a", "production")]);
  await vi.waitFor(() => expect(replies).toHaveLength(1));
  await new Promise((resolve) => setTimeout(resolve, 2));
  readAt = "asked";
  const latest = driver.read([askOf("a", "latest")]);
  await vi.waitFor(() => expect(replies).toHaveLength(2));
  await others.setLabel("a", "staging", "1.0.0");
  replies[0]?.send();
  expect(generationOf(await label)).toBe(2);
  replies[1]?.send();
  expect(generationOf(await latest)).toBe(1);
  const again = driver.read([askOf("a", "latest")]);
  await vi.waitFor(() => expect(replies).toHaveLength(3));
  replies[2]?.send();
  expect(generationOf(await again)).toBe(2);
});
