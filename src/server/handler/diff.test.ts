import { describe, expect, it } from "vitest";
import { httpWorld } from "../../../test/support/http-world.ts";
import { openAccess } from "../handler.ts";
import { Turns } from "./diff.ts";

const PATH = "/v1/prompts/a/-/diff?from=1.0.0&to=2.0.0";

async function world(one: string, two: string) {
  const made = httpWorld({ access: openAccess() });
  await made.registry.storePrompt({ name: "a", version: "1.0.0", text: one });
  await made.registry.storePrompt({ name: "a", version: "2.0.0", text: two });
  return made;
}

const letters = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => "abcdefg"[(i * i * seed + i) % 7]).join("\n");

/** The longest time in which nothing else came to its turn. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let isOver = false;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  isOver = true;
  look();
  return longest;
}

describe("a diff", () => {
  it("tells what changed, by selectors of any kind", async () => {
    const { send, registry } = await world("one {{x}}\ntwo\n", "one {{y}}\ntwo\n");
    await registry.setLabel("a", "production", "1.0.0");
    for (const query of ["from=1.0.0&to=2.0.0", "from=production&to=latest", "from=^1&to=^2"]) {
      const { json } = await send("GET", `/v1/prompts/a/-/diff?${query.replaceAll("^", "%5E")}`);
      expect(json).toMatchObject({ name: "a", identical: false, added: ["y"], removed: ["x"] });
      expect(json.unified).toContain("@@ -1,2 +1,2 @@\n-one {{x}}\n+one {{y}}\n two\n");
      expect(Object.keys(json)).not.toContain("coarse");
    }
    expect((await send("GET", PATH.replace("2.0.0", "1.0.0"))).json).toMatchObject({ identical: true, unified: "" });
    expect((await send("GET", PATH.replace("2.0.0", "3.0.0"))).status).toBe(404);
  });

  it("of texts that have nothing in common is coarse, and is there after a moment", async () => {
    const { send } = await world(letters(6000, 3), letters(6000, 5));
    const blocked = await longestBlock(async () => {
      const { status, json } = await send("GET", PATH);
      expect([status, json.coarse, json.tooLarge]).toEqual([200, true, undefined]);
      expect(json.unified).toMatch(/^--- a@1\.0\.0.*\n\+\+\+ a@2\.0\.0.*\n@@ -\d+,\d+ \+\d+,\d+ @@\n/);
    });
    // Half a second before, on a machine with nothing else to do.
    expect(blocked).toBeLessThan(400);
  });

  it("that would be longer than 1 MiB is left out, and the reply says so", async () => {
    const { send } = await world(letters(2 ** 19, 3), letters(2 ** 19, 5));
    const { status, json } = await send("GET", PATH);
    expect([status, json.coarse, json.tooLarge, "unified" in json]).toEqual([200, true, true, false]);
    expect(json).toMatchObject({ name: "a", identical: false });
  });

  it("of many at once is told to some, and to the others when to come again", async () => {
    const { send } = await world("one\n", "two\n");
    const replies = await Promise.all(Array.from({ length: 60 }, () => send("GET", PATH)));
    const told = replies.filter(({ status }) => status === 200);
    expect(told.length).toBe(16);
    for (const { status, headers, json } of replies.filter((reply) => !told.includes(reply)))
      expect([status, headers.get("retry-after"), json.code, json.outcome]).toEqual([
        ...[503, "1", "UNAVAILABLE", "temporary"],
      ]);
    expect((await send("GET", PATH)).status).toBe(200);
  });
});

describe("turns", () => {
  it("come one after the other with the event loop in between, and to nobody who is gone", async () => {
    const turns = new Turns(3);
    const seen: string[] = [];
    const gone = new AbortController();
    const stays = new AbortController().signal;
    const take = (what: string, signal = stays) =>
      turns.inside(() =>
        turns.turn(signal, async () => {
          seen.push(what);
          setImmediate(() => seen.push(`after ${what}`));
          return what;
        }),
      );
    const three = [take("one"), take("two", gone.signal), take("three")];
    await expect(take("four")).rejects.toMatchObject({ code: "UNAVAILABLE", context: { retryAfter: 1000 } });
    gone.abort();
    await expect(three[1]).rejects.toMatchObject({ code: "ABORTED" });
    expect([await three[0], await three[2]]).toEqual(["one", "three"]);
    expect(seen.slice(0, 3)).toEqual(["one", "after one", "three"]);
    expect(await take("five")).toBe("five");
  });

  it("go on after one that failed", async () => {
    const turns = new Turns();
    const { signal } = new AbortController();
    const failing = turns.turn(signal, () => Promise.reject(new Error("no")));
    const next = turns.turn(signal, async () => "yes");
    await expect(failing).rejects.toThrow("no");
    expect(await next).toBe("yes");
  });
});
