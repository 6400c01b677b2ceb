import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

const RIGHTS = ["read", "write", "promote"] as const;

async function tagOf(t: Tools, rest: string): Promise<string> {
  return (await t.ask(rest)).headers.etag ?? "";
}

export const pointerChecks: readonly Check[] = [
  {
    id: "latest.order",
    rule: "latest is the highest version, whatever was published last: 1.0.1 after 2.0.0 is not latest",
    section: "Reading",
    rights: ["read", "write"],
    async run(t: Tools) {
      await t.seed(["2.0.0", "1.0.1"]);
      t.equal(await t.latest(), "2.0.0", "latest");
      await t.seed(["2.10.0", "2.9.0"]);
      t.equal(await t.latest(), "2.10.0", "latest");
    },
  },
  {
    id: "latest.prerelease",
    rule: "a prerelease is latest only where there is nothing else",
    section: "Reading",
    rights: ["read", "write"],
    async run(t: Tools) {
      await t.seed(["2.0.0-beta.1"]);
      t.equal(await t.latest(), "2.0.0-beta.1", "latest");
      await t.seed(["1.0.0"]);
      t.equal(await t.latest(), "1.0.0", "latest");
    },
  },
  {
    id: "yank.latest",
    rule: "a yank takes a version out of latest and ranges, not away; lifting it brings it back",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "1.1.0"]);
      t.declared(await t.send("PUT", t.prompt("versions/1.1.0/yank?message=broken")), "yank.put");
      t.equal(await t.latest(), "1.0.0", "latest after the yank");
      t.equal((await t.json("resolve?range=%5E1")).version, "1.0.0", "^1 after the yank");
      t.status(await t.ask("versions/1.1.0"), 200);
      const listed = await t.json("versions");
      t.equal(listed.items[0]?.yanked?.reason, "broken", "the reason in the list");
      t.problem(await t.label("staging", "1.1.0"), 409, "CONFLICT");
      t.declared(await t.send("DELETE", t.prompt("versions/1.1.0/yank")), "yank.delete");
      t.equal(await t.latest(), "1.1.0", "latest after the yank was lifted");
    },
  },
  {
    id: "labels.set",
    rule: "a label is set (201), moved (200), read and taken away",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      t.status(await t.label("staging", "2.0.0"), 201);
      t.equal(await t.labelled(), "2.0.0", "the label");
      const move = await t.label("staging", "1.0.0", { "if-match": await tagOf(t, "labels/staging") });
      t.status(move, 200);
      t.equal(t.declared(move, "labels.put").from, "2.0.0", "where it was");
      t.equal(await t.labelled(), "1.0.0", "the label");
      const tag = await tagOf(t, "labels/staging");
      t.status(await t.send("DELETE", t.prompt("labels/staging"), { headers: { "if-match": tag } }), 200);
      t.problem(await t.ask("labels/staging"), 404, "NOT_FOUND");
    },
  },
  {
    id: "labels.precondition",
    rule: "a change of a label without a precondition is 428, and does nothing",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      t.problem(await t.label("staging", "1.0.0", {}), 428, "INVALID");
      t.status(await t.ask("labels/staging"), 404);
      t.status(await t.label("staging", "1.0.0"), 201);
      t.problem(await t.send("DELETE", t.prompt("labels/staging")), 428, "INVALID");
      t.equal(await t.labelled(), "1.0.0", "the label");
    },
  },
  {
    id: "labels.compare-and-set",
    rule: "a precondition that does not hold is 412 CONFLICT, and the label stays",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      const stale = await tagOf(t, "versions/2.0.0");
      t.problem(await t.label("staging", "1.0.0", { "if-match": stale }), 412, "CONFLICT");
      t.status(await t.label("staging", "1.0.0"), 201);
      t.problem(await t.label("staging", "2.0.0"), 412, "CONFLICT");
      t.problem(await t.label("staging", "2.0.0", { "if-match": stale }), 412, "CONFLICT");
      const away = await t.send("DELETE", t.prompt("labels/staging"), { headers: { "if-match": stale } });
      t.problem(away, 412, "CONFLICT");
      t.equal(await t.labelled(), "1.0.0", "the label");
    },
  },
  {
    id: "labels.coded-etag",
    rule: "preconditions compare without the coding",
    section: "Documents",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      const tag = (await tagOf(t, "labels/staging")).slice(1, -1);
      t.status(await t.label("staging", "2.0.0", { "if-match": `"${tag};br"` }), 200);
    },
  },
  {
    id: "labels.race",
    rule: "of racing moves under one precondition one is done, and the others are 412",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      const targets = ["1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.0.5"];
      await t.seedStaged(["1.0.0", ...targets]);
      const tag = await tagOf(t, "labels/staging");
      const answers = await Promise.all(targets.map((version) => t.label("staging", version, { "if-match": tag })));
      const won = targets.filter((_, i) => answers[i]?.status === 200);
      t.equal(won.length, 1, "the number of moves that were done");
      for (const answer of answers) if (answer.status !== 200) t.problem(answer, 412, "CONFLICT");
      t.equal(await t.labelled(), won[0], "the label");
    },
  },
  {
    id: "labels.absent-target",
    rule: "a label can't be put on a version that is not there",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      t.problem(await t.label("staging", "9.9.9"), 404, "NOT_FOUND");
      t.status(await t.ask("labels/staging"), 404);
    },
  },
  {
    id: "rollback.pin",
    rule: "rollback pins latest, newer versions do not move it, and DELETE of the pin lets it go",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      const answer = await t.send("POST", t.prompt("rollback"), { json: { to: "1.0.0", message: "why" } });
      t.equal(t.declared(answer, "rollback.post")?.version, "1.0.0", "what it was pinned to");
      await t.seed(["3.0.0"]);
      t.equal(await t.latest(), "1.0.0", "latest while it is pinned");
      t.declared(await t.send("DELETE", t.prompt("pin")), "pin.delete");
      t.equal(await t.latest(), "3.0.0", "latest after the pin");
      t.problem(await t.send("POST", t.prompt("rollback"), { json: { to: "9.9.9" } }), 404, "NOT_FOUND");
    },
  },
  {
    id: "rollback.idempotency-key",
    rule: "a POST that is repeated under its Idempotency-Key happens once",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0", "3.0.0"]);
      const headers = { "idempotency-key": `key-${Math.random().toString(36).slice(2)}` };
      const send = () => t.send("POST", t.prompt("rollback"), { headers, json: {} });
      t.equal(t.declared(await send(), "rollback.post")?.version, "2.0.0", "what it was pinned to");
      const again = t.declared(await send(), "rollback.post");
      t.equal([again?.version, again?.status], ["2.0.0", "unchanged"], "the reply to the repetition");
      t.equal(await t.latest(), "2.0.0", "latest");
      const { items } = await t.json("history");
      t.equal(items.filter((one: Json) => one.action === "rollback").length, 1, "rollbacks in the history");
      const bad = await t.send("POST", t.prompt("rollback"), { headers: { "idempotency-key": "a b" }, json: {} });
      t.problem(bad, 400, "INVALID");
    },
  },
  {
    id: "repeated.changes",
    rule: "PUT and DELETE of yanks, pins and marks can be repeated without harm",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      const mark = { json: { message: "use another" } };
      const steps = [
        ["PUT", "versions/2.0.0/yank", {}],
        ["DELETE", "versions/2.0.0/yank", {}],
        ["DELETE", "pin", {}],
        ["PUT", "deprecation", mark],
        ["DELETE", "deprecation", {}],
      ] as const;
      for (const [method, rest, ask] of steps) {
        t.status(await t.send(method, t.prompt(rest), ask), 200);
        const again = await t.send(method, t.prompt(rest), ask);
        t.status(again, 200);
        t.equal((again.json() as Json).status, "unchanged", `${method} ${rest}, again`);
      }
    },
  },
  {
    id: "deprecation.mark",
    rule: "a deprecation stands in the head of the prompt until it is lifted",
    section: "Writing",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      t.declared(await t.send("PUT", t.prompt("deprecation"), { json: { message: "use another" } }), "deprecation.put");
      const { head } = t.declared(await t.ask("head"), "head.get");
      t.equal(head.deprecated?.message, "use another", "the message");
      t.status(await t.ask("latest"), 200);
      t.declared(await t.send("DELETE", t.prompt("deprecation")), "deprecation.delete");
      t.equal((await t.json("head")).head.deprecated, undefined, "the mark after it was lifted");
    },
  },
  {
    id: "history.entries",
    rule: "the history says who changed what, when and why, newest first, and pages hold all of it",
    section: "Reading",
    rights: RIGHTS,
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      const headers = { "if-none-match": "*" };
      const json = { version: "1.0.0", message: "go" };
      t.status(await t.send("PUT", t.prompt("labels/staging"), { headers, json }), 201);
      t.status(await t.send("PUT", t.prompt("deprecation"), { json: { message: "old" } }), 200);
      const { items } = t.declared(await t.ask("history"), "history.list");
      t.equal(
        items.map((one: Json) => one.action),
        ["deprecate", "label", "publish"],
        "the actions",
      );
      t.equal([items[1].label, items[1].to, items[1].message], ["staging", "1.0.0", "go"], "the entry of the label");
      t.equal(items[1].by, t.service?.principal.name, "by whom");
      const paged: string[] = [];
      for (let path: string | undefined = t.prompt("history?limit=1"); path !== undefined; ) {
        const answer: Json = (await t.get(path)).json();
        for (const one of answer.items) paged.push(one.action);
        path =
          answer.cursor === undefined
            ? undefined
            : t.prompt(`history?limit=1&cursor=${encodeURIComponent(answer.cursor)}`);
        t.ok(paged.length <= 3, "the pages do not end");
      }
      t.equal(paged, ["deprecate", "label", "publish"], "the pages");
    },
  },
];
