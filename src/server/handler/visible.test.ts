import { describe, expect, it } from "vitest";
import { accessOf, httpWorld } from "../../../test/support/http-world.ts";

const read = (...prefixes: string[]) => prefixes.map((prefix) => ({ right: "read" as const, prefix }));
const ACCESS = accessOf({
  team: read("team"),
  several: read("team", "team/a", "team-x", "b/c"),
  all: read(""),
});
const NAMES = [
  "b/b",
  "b/c",
  "b/c/d",
  "secret/merger",
  "secret/merger-2",
  "team",
  "team-x",
  "team-y",
  "team.z",
  "team/a",
  "team/b",
  "teams/a",
];

async function world() {
  const made = httpWorld({ access: ACCESS });
  await made.registry.storePrompts(NAMES.map((name) => ({ name, version: "1.0.0", text: `hunter2 of ${name}` })));
  const pages = async (token: string, query: string) => {
    const names: string[] = [];
    const replies: string[] = [];
    let path: string | undefined = `/v1/prompts?${query}`;
    for (let i = 0; path !== undefined && i < 50; i++) {
      const reply: Awaited<ReturnType<typeof made.send>> = await made.send("GET", path, { token });
      expect(reply.status).toBe(200);
      names.push(...reply.json.items.map(({ name }: { name: string }) => name));
      replies.push(`${decodeURIComponent(reply.headers.get("link") ?? "")} ${reply.text}`);
      path = /<(.*)>; rel="next"/.exec(reply.headers.get("link") ?? "")?.[1];
    }
    return { names, replies };
  };
  return { ...made, pages };
}

describe("lists of what may be read", () => {
  it("neither a page nor a cursor nor a link tells of another prompt", async () => {
    const { pages } = await world();
    for (const limit of [1, 2, 100]) {
      const { names, replies } = await pages("team", `limit=${limit}`);
      expect(names).toEqual(["team", "team/a", "team/b"]);
      expect(replies.join()).not.toMatch(/secret|teams|team-|team\.|b\/c/);
    }
  });

  it("what is asked for that may not be read answers as if nothing were there, cursor and all", async () => {
    const { send } = await world();
    for (const query of ["prefix=secret/", "prefix=nothing/", "text=merger", "text=nothing", "prefix=teams"]) {
      const reply = await send("GET", `/v1/prompts?limit=1&${query}`, { token: "team" });
      expect([reply.json, reply.headers.get("link")], query).toEqual([{ items: [] }, null]);
    }
  });

  it("several prefixes come in one order, whatever the pages, and a prefix of a name narrows them", async () => {
    const { pages } = await world();
    const mine = ["b/c", "b/c/d", "team", "team-x", "team/a", "team/b"];
    for (const limit of [1, 2, 3, 100]) {
      expect((await pages("several", `limit=${limit}`)).names).toEqual(mine);
      expect((await pages("several", `limit=${limit}&prefix=te`)).names).toEqual(mine.slice(2));
      expect((await pages("several", `limit=${limit}&prefix=team/`)).names).toEqual(mine.slice(4));
      expect((await pages("several", `limit=${limit}&prefix=team/b`)).names).toEqual(["team/b"]);
      expect((await pages("all", `limit=${limit}`)).names).toEqual(NAMES);
    }
    expect((await pages("several", "text=hunter2&limit=2")).names).toEqual(mine);
  });

  it("a cursor that is none is refused", async () => {
    const { send } = await world();
    expect((await send("GET", "/v1/prompts?cursor=team%2Fa", { token: "team" })).status).toBe(400);
  });
});
