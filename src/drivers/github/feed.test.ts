import { describe, expect, it } from "vitest";
import { Feed } from "./feed.ts";
import type { Session } from "./session.ts";

const [OLD, NOW] = ["a".repeat(40), "b".repeat(40)];

function feedOf(names: readonly string[]): Feed {
  const prompts = new Map(names.map((name) => [name, { files: new Map([["v1.0.0.md", "1"]]) }]));
  const snapshots = { [OLD as string]: { prompts: new Map() }, [NOW as string]: { prompts } };
  const session = {
    client: {},
    current: async () => ({ commit: NOW, prompts }),
    past: (commit: string) => snapshots[commit],
  };
  return new Feed(session as unknown as Session);
}

describe("the feed of a repository", () => {
  it("its cursors name no prompt, and small pages tell all of them once", async () => {
    const names = ["secret/merger-acme", "secret/zzz", "team/a"];
    const feed = feedOf(names);
    const told: string[] = [];
    for (let cursor = OLD as string; cursor !== NOW; ) {
      const page = await feed.changes({ cursor, limit: 1 });
      told.push(...page.items.map(({ name }) => name));
      cursor = page.cursor as string;
      expect(cursor).toMatch(/^[0-9a-f:]+$/);
    }
    expect(told).toEqual(names);
    await expect(feed.changes({ cursor: `${OLD}:${NOW}:team/a`, limit: 1 })).rejects.toMatchObject({ code: "INVALID" });
  });
});
