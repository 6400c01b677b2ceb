import { describe, expect, it } from "vitest";
import type { ChangeEvent, Cursor, Page } from "./driver.ts";
import { memory } from "./drivers/memory.ts";
import { type FeedPage, feedPages, refusesCursor } from "./feed.ts";
import { PromptRegistry } from "./registry.ts";

async function all(pages: AsyncIterable<FeedPage>): Promise<FeedPage[]> {
  const found: FeedPage[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

/** A feed of these pages, each with the cursor of the next one. */
function feed(...pages: readonly (readonly string[])[]) {
  const asked: Cursor[] = [];
  const changes = async ({ cursor }: { readonly cursor: Cursor }): Promise<Page<ChangeEvent>> => {
    asked.push(cursor);
    const at = Number(cursor);
    const items = (pages[at] ?? []).map((name) => ({ name }) as ChangeEvent);
    return { items, cursor: String(Math.min(at + 1, pages.length)) };
  };
  return { changes, asked };
}

describe("feedPages", () => {
  it("ends where a page leads to itself, and costs one call where nothing happened", async () => {
    const registry = new PromptRegistry(memory());
    const { cursor } = (await registry.changes()) as { cursor: Cursor };
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "" });
    const pages = await all(feedPages((query) => registry.changes(query), cursor));
    expect(new Set(pages.flatMap((page) => page.names))).toEqual(new Set(["a"]));
    const end = pages.at(-1)?.cursor as Cursor;
    expect(await all(feedPages((query) => registry.changes(query), end))).toEqual([{ names: [], cursor: end }]);
  });

  it("goes on past empty pages, of which some layer left out what is not its own", async () => {
    const { changes, asked } = feed(["a"], [], [], ["b"]);
    expect((await all(feedPages(changes, "0"))).flatMap((page) => page.names)).toEqual(["a", "b"]);
    expect(asked).toEqual(["0", "1", "2", "3", "4"]);
  });

  it("ends at the third empty page of a feed whose cursor never stands still", async () => {
    const { changes, asked } = feed(["a"], ...Array<string[]>(100).fill([]));
    const pages = await all(feedPages(changes, "0"));
    expect(pages.at(-1)).toEqual({ names: [], cursor: "4" });
    expect(asked).toEqual(["0", "1", "2", "3"]);
  });

  it("throws what the feed throws", async () => {
    const registry = new PromptRegistry(memory());
    const error = await all(feedPages((query) => registry.changes(query), "no cursor")).catch((e: unknown) => e);
    expect(refusesCursor(error)).toBe(true);
    expect(refusesCursor(new Error("no cursor"))).toBe(false);
  });
});
