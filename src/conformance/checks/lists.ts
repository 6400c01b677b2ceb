import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

const WRITE = ["read", "write"] as const;
/** In byte order: `-` before `.` before `/` before digits before letters. */
const ORDERED = ["a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a_b", "aa", "b", "z0", "z9"];

/** The path of the next page, as Link says. */
function nextOf(link: string | undefined): string | undefined {
  return /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
}

async function namesOf(t: Tools, query: string): Promise<string[]> {
  const answer = await t.get(`/v1/prompts?limit=1000&${query}`);
  t.status(answer, 200);
  return (t.declared(answer, "prompts.list").items as Json[]).map((one) => one.name);
}

export const listChecks: readonly Check[] = [
  {
    id: "lists.order",
    rule: "prompts are listed by name, in byte order",
    section: "Reading",
    rights: WRITE,
    async run(t: Tools) {
      // Another order than the one that is wanted.
      for (const rest of [...ORDERED].reverse()) await t.seed(["1.0.0"], `${t.name}/${rest}`);
      const found = await namesOf(t, `prefix=${t.name}/`);
      t.equal(
        found,
        ORDERED.map((rest) => `${t.name}/${rest}`),
        "the list",
      );
    },
  },
  {
    id: "lists.pages",
    rule: "pages with Link and cursor lead through all of a list, once each; the last page has none",
    section: "Basics",
    rights: WRITE,
    async run(t: Tools) {
      const names = ["a", "b", "c", "d", "e"].map((rest) => `${t.name}/${rest}`);
      for (const name of names) await t.seed(["1.0.0"], name);
      const found: string[] = [];
      let path: string | undefined = `/v1/prompts?limit=2&prefix=${t.name}/`;
      for (let pages = 0; path !== undefined; pages++) {
        t.ok(pages < 20, "the pages do not end");
        const answer = await t.get(path);
        t.status(answer, 200);
        const { items, cursor } = t.declared(answer, "prompts.list");
        t.ok(items.length <= 2, `a page of limit=2 has ${items.length} items`);
        for (const one of items) found.push(one.name);
        const next = nextOf(answer.headers.link);
        t.equal(next !== undefined, cursor !== undefined, "whether Link and cursor go together");
        if (cursor !== undefined) t.ok(next?.includes("limit=2") === true, `Link lacks the limit: ${next}`);
        path = next;
      }
      t.equal(found, names, "what the pages have");
    },
  },
  {
    id: "lists.versions-pages",
    rule: "pages of versions hold each of them once",
    section: "Basics",
    rights: WRITE,
    async run(t: Tools) {
      await t.seed(["1.0.0", "1.1.0", "1.2.0", "2.0.0", "10.0.0"]);
      const found: string[] = [];
      let path: string | undefined = t.prompt("versions?limit=2");
      for (let pages = 0; path !== undefined; pages++) {
        t.ok(pages < 20, "the pages do not end");
        const answer = await t.get(path);
        for (const one of t.declared(answer, "versions.list").items) found.push(one.version);
        path = nextOf(answer.headers.link);
      }
      t.equal(found, ["10.0.0", "2.0.0", "1.2.0", "1.1.0", "1.0.0"], "what the pages have");
    },
  },
  {
    id: "lists.prefix",
    rule: "prefix gives the names that start with it, and include=heads their heads",
    section: "Reading",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      for (const rest of ["a/x", "ab", "b"]) await t.seed(["1.0.0"], `${t.name}/${rest}`);
      t.equal(await namesOf(t, `prefix=${t.name}/a`), [`${t.name}/a/x`, `${t.name}/ab`], "the list");
      t.equal(await namesOf(t, `prefix=${t.name}/a/`), [`${t.name}/a/x`], "the list with a slash");
      const answer = await t.get(`/v1/prompts?prefix=${t.name}/b&include=heads`);
      const { items } = t.declared(answer, "prompts.list");
      t.equal([items.length, items[0]?.head?.latest], [1, "1.0.0"], "the head in the list");
      t.problem(await t.get("/v1/prompts?include=everything"), 400, "INVALID");
    },
  },
  {
    id: "lists.text",
    rule: "text finds prompts by what their latest version or name holds, where capabilities.search says so",
    section: "Reading",
    rights: WRITE,
    async run(t: Tools) {
      const word = `word${Math.random().toString(36).slice(2)}`;
      t.status(await t.put("1.0.0", `some ${word}\n`, "", `${t.name}/a`), 201);
      await t.seed(["1.0.0"], `${t.name}/b`);
      const path = `/v1/prompts?prefix=${t.name}/&text=${word}`;
      if (t.service?.capabilities.search !== true) t.problem(await t.get(path), 422, "UNSUPPORTED");
      else t.equal(await namesOf(t, `prefix=${t.name}/&text=${word}`), [`${t.name}/a`], "the list");
    },
  },
  {
    id: "lists.limit",
    rule: "limit is 1 to 1000, and anything else is 400; a cursor that is none is no error of the server",
    section: "Basics",
    async run(t: Tools) {
      for (const limit of ["0", "-1", "1001", "x", "1.5", ""]) {
        t.problem(await t.get(`/v1/prompts?limit=${limit}`), 400, "INVALID");
      }
      t.status(await t.get("/v1/prompts?limit=1000"), 200);
      t.status(await t.get("/v1/prompts?cursor=no-such-cursor"), [200, 400]);
      t.status(await t.get("/v1/changes?cursor=no-such-cursor"), [200, 400]);
    },
  },
  {
    id: "resolve.selectors",
    rule: "resolve tells the version that a range, a label or latest selects",
    section: "Reading",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "1.5.0", "2.0.0"]);
      for (const [query, wanted] of [
        ["", "2.0.0"],
        ["?range=%5E1", "1.5.0"],
        ["?label=staging", "1.0.0"],
        ["?label=latest", "2.0.0"],
      ]) {
        const answer = await t.ask(`resolve${query}`);
        t.equal(t.declared(answer, "resolve.get")?.version, wanted, `what ${query} selects`);
      }
      t.problem(await t.ask("resolve?range=%5E9"), 404, "NOT_FOUND");
      t.problem(await t.ask("resolve?range=1&label=staging"), 400, "INVALID");
      t.problem(await t.ask("resolve?range=1&at=2026-01-01"), 400, "INVALID");
    },
  },
  {
    id: "resolve.at",
    rule: "at tells what a label selected at an instant",
    section: "Reading",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      // The clock of the server may stand still for a few milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 20));
      t.status(await t.label("staging", "2.0.0", { "if-match": "*" }), 200);
      const { items } = await t.json("history");
      const set = items.find((one: Json) => one.action === "label" && one.to === "1.0.0");
      const at = encodeURIComponent(set?.at);
      const answer = await t.ask(`resolve?label=staging&at=${at}`);
      t.equal(t.declared(answer, "resolve.get")?.version, "1.0.0", "what it selected then");
      t.equal((await t.json("resolve?label=staging")).version, "2.0.0", "what it selects now");
      const early = await t.ask("resolve?label=staging&at=2001-01-01T00:00:00.000Z");
      t.problem(early, 404, "NOT_FOUND");
    },
  },
  {
    id: "diff.versions",
    rule: "diff compares two versions, selected in any way",
    section: "Reading",
    rights: WRITE,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      t.declared(await t.ask("diff?from=1.0.0&to=latest"), "diff.get");
      t.problem(await t.ask("diff?from=1.0.0"), 400, "INVALID");
      t.problem(await t.ask("diff?from=1.0.0&to=9.9.9"), 404, "NOT_FOUND");
    },
  },
];
