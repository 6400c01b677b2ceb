import type { Answer } from "../client.ts";
import type { Json, Tools } from "../tools.ts";
import { type Check, Skip } from "../types.ts";

/** A server that lets everybody in has nobody to refuse. */
async function closed(t: Tools): Promise<void> {
  if ((await t.nobody.send("GET", "/v1")).status === 200) throw new Skip("the server answers without credentials");
}

function unauthenticated(t: Tools, answer: Answer): void {
  t.problem(answer, 401, "UNAUTHENTICATED", "final");
  t.ok(/^bearer\b/i.test(answer.headers["www-authenticate"] ?? ""), `${answer.asked}: no WWW-Authenticate: Bearer`);
}

/** What may differ between two refusals: the name that was asked about, and the id of the request. */
function comparable(answer: Answer, name: string): string {
  const { requestId: _, ...json } = answer.json() as Json;
  return `${answer.status} ${JSON.stringify(json).replaceAll(name, "NAME")}`;
}

async function hidden(t: Tools): Promise<void> {
  if ((await t.limited.send("GET", t.prompt("latest"))).status === 200) {
    throw new Skip("the limited token may read the prefix");
  }
}

export const accessChecks: readonly Check[] = [
  {
    id: "access.nobody",
    rule: "nobody in particular gets 401 with WWW-Authenticate, on every kind of route",
    section: "Rights",
    async run(t: Tools) {
      await closed(t);
      const json = { asks: [] };
      unauthenticated(t, await t.nobody.send("GET", "/v1/prompts"));
      unauthenticated(t, await t.nobody.send("GET", t.prompt("latest")));
      unauthenticated(t, await t.nobody.send("POST", "/v1/reads", { json }));
      const headers = { "if-none-match": "*", "content-type": "text/markdown" };
      unauthenticated(t, await t.nobody.send("PUT", t.prompt("versions/1.0.0"), { headers, body: "x" }));
      unauthenticated(t, await t.nobody.send("DELETE", t.prompt()));
    },
  },
  {
    id: "access.wrong-token",
    rule: "credentials that are wrong are 401, and never taken for none",
    section: "Rights",
    async run(t: Tools) {
      await closed(t);
      for (const authorization of ["Bearer wrong", "Bearer ", "Basic YTpi", `Bearer ${"a".repeat(500)}`]) {
        unauthenticated(t, await t.nobody.send("GET", "/v1/prompts", { headers: { authorization } }));
      }
    },
  },
  {
    id: "access.hidden",
    rule: "who may not read a prompt gets the same 404 whether or not it is there",
    section: "Rights",
    rights: ["read", "write"],
    limited: true,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      await hidden(t);
      const absent = `${t.name}-none`;
      const markdown = { "content-type": "text/markdown", "if-none-match": "*" };
      const asks = [
        ["GET", "", {}],
        ["GET", "head", {}],
        ["GET", "versions", {}],
        ["GET", "versions/1.0.0", {}],
        ["GET", "latest", {}],
        ["GET", "history", {}],
        ["GET", "resolve?range=1", {}],
        ["GET", "labels/staging", {}],
        ["PUT", "versions/1.0.0", { headers: markdown, body: "x" }],
        ["PUT", "labels/staging", { headers: { "if-none-match": "*" }, json: { version: "1.0.0" } }],
        ["DELETE", "versions/1.0.0", {}],
        ["DELETE", "", {}],
      ] as const;
      for (const [method, rest, ask] of asks) {
        const there = await t.limited.send(method, t.prompt(rest), ask);
        t.problem(there, 404, "NOT_FOUND");
        const not = await t.limited.send(method, t.prompt(rest, absent), ask);
        t.equal(comparable(there, t.name), comparable(not, absent), `${method} …/${rest} of a prompt that is there`);
      }
      t.equal((await t.ask("versions/1.0.0?form=text")).text, `${t.name} 1.0.0\n`, "the text afterwards");
    },
  },
  {
    id: "access.lists",
    rule: "lists, feeds and batches hold what the caller may read, and nothing tells of the rest",
    section: "Rights",
    rights: ["read", "write"],
    limited: true,
    async run(t: Tools) {
      const from = ((await t.get("/v1/changes")).json() as Json).cursor;
      await t.seed(["1.0.0"]);
      await hidden(t);
      const list = await t.limited.send("GET", `/v1/prompts?prefix=${t.name}`);
      t.ok(!list.text.includes(t.name), "the list tells of the prompt");
      const feed = await t.limited.send("GET", `/v1/changes?cursor=${encodeURIComponent(from)}`);
      t.ok(!feed.text.includes(t.name), "the feed tells of the prompt");
      const selector = { kind: "latest" };
      const reads = await t.limited.send("POST", "/v1/reads", { json: { asks: [{ name: t.name, selector }] } });
      if (reads.status === 200)
        t.equal((reads.json() as Json).answers, [{ status: "absent" }], "the answer of a batch");
      else t.problem(reads, [403, 404]);
    },
  },
  {
    id: "access.commits",
    rule: "a commit to a prompt that the caller may not see is refused, and does nothing",
    section: "Rights",
    rights: ["read", "write"],
    limited: true,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      await hidden(t);
      const next = { labels: { staging: "1.0.0" }, yanked: {} };
      const changes = [{ name: t.name, head: { expect: null, next, entries: [] } }];
      const json = { id: "c", at: new Date().toISOString(), changes };
      const answer = await t.limited.send("POST", "/v1/commits", { json });
      t.problem(answer, [403, 404]);
      t.status(await t.ask("labels/staging"), 404);
    },
  },
];
