import { sealDocument } from "../../document.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

const version = (v: string) => ({ kind: "version", version: v });

/** As a commit of a client has it: sealed at the commit's time. */
function sealed(name: string, v: string, text: string, at: string): { version: string; text: string } {
  const document = sealDocument({ name: parseName(name), version: parseVersion(v), text, createdAt: at });
  return { version: v, text: document.text };
}

function adds(t: Tools, rest: string, text: string, at: string): Json {
  const name = `${t.name}/${rest}`;
  return { name, add: [sealed(name, "1.0.0", text, at)] };
}

function outcomesOf(t: Tools, answer: Json): Json {
  t.status(answer, 200);
  return t.declared(answer, "commits.post").outcomes;
}

const statuses = (outcomes: Json) => outcomes.map((one: Json) => one.status);
const WRITE = ["read", "write"] as const;

export const bulkChecks: readonly Check[] = [
  {
    id: "reads.aligned",
    rule: "answers stand in the order of the asks, each with what it found",
    section: "Reading",
    rights: ["read", "write", "promote", "admin"],
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0", "3.0.0"]);
      t.status(await t.send("DELETE", t.prompt("versions/3.0.0")), 200);
      const selectors = [version("1.0.0"), { kind: "label", label: "staging" }, { kind: "latest" }, { kind: "head" }];
      const all = [...selectors, version("3.0.0"), version("9.9.9"), { kind: "label", label: "none" }];
      const answer = await t.reads(all.map((selector) => ({ name: t.name, selector })));
      const { answers } = t.declared(answer, "reads.post");
      t.equal(statuses(answers), ["found", "found", "found", "head", "removed", "absent", "absent"], "the answers");
      t.equal(
        answers.slice(0, 3).map((a: Json) => a.document.version),
        ["1.0.0", "1.0.0", "2.0.0"],
        "the versions",
      );
      t.equal(answers[0].document.text, (await t.ask("versions/1.0.0")).text, "the text");
    },
  },
  {
    id: "reads.known",
    rule: "known, the revision of an earlier answer, is answered by unchanged until something changes",
    section: "Reading",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      const ask = { name: t.name, selector: { kind: "label", label: "staging" } };
      const first = ((await t.reads([ask])).json() as Json).answers[0];
      const again = { ...ask, known: first.revision };
      t.equal(
        statuses(((await t.reads([again], { fresh: true })).json() as Json).answers),
        ["unchanged"],
        "the same again",
      );
      t.status(await t.label("staging", "2.0.0", { "if-match": "*" }), 200);
      const after = ((await t.reads([again], { fresh: true })).json() as Json).answers[0];
      t.equal([after.status, after.document?.version], ["found", "2.0.0"], "after the move");
    },
  },
  {
    id: "reads.partial",
    rule: "there may be fewer answers than asks, at least one, and the rest is answered when it is asked again",
    section: "Reading",
    rights: WRITE,
    async run(t: Tools) {
      const size = Math.min(t.service?.limits.documentBytes ?? 2 ** 20, 2 ** 20);
      t.status(await t.put("1.0.0", "x".repeat(size)), 201);
      const total = 12;
      for (let left = total; left > 0; ) {
        const asks = Array.from({ length: left }, () => ({ name: t.name, selector: version("1.0.0") }));
        const { answers } = t.declared(await t.reads(asks), "reads.post");
        t.ok(answers.length >= 1 && answers.length <= left, `${answers.length} answers to ${left} asks`);
        for (const one of answers) t.equal([one.status, one.document?.version], ["found", "1.0.0"], "an answer");
        left -= answers.length;
      }
    },
  },
  {
    id: "reads.limit",
    rule: "more asks than limits.asks are 400",
    section: "Reading",
    async run(t: Tools) {
      const { asks } = t.service?.limits ?? { asks: 1000 };
      const many = Array.from({ length: asks + 1 }, () => ({ name: "a", selector: { kind: "head" } }));
      t.problem(await t.reads(many), 400, "INVALID");
      t.equal(t.declared(await t.reads([]), "reads.post").answers, [], "the answers to no asks");
    },
  },
  {
    id: "commits.done",
    rule: "a change that is done is durable and visible, and stored says what the server made of it",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      const change = adds(t, "a", "one\n", at);
      const [outcome] = outcomesOf(t, await t.commit([change], { at }));
      t.equal(outcome.status, "done", "the outcome");
      const got = await t.ask("versions/1.0.0", `${t.name}/a`);
      t.equal(got.text, outcome.stored?.[0]?.text ?? change.add[0].text, "what is stored");
      t.equal((await t.ask("latest?form=text", `${t.name}/a`)).text, "one\n", "the author's text");
    },
  },
  {
    id: "commits.exists",
    rule: "a slot that is taken ends the change with exists, and with what stands there",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      await t.seed(["1.0.0"], `${t.name}/a`);
      const before = await t.ask("versions/1.0.0", `${t.name}/a`);
      const [outcome] = outcomesOf(t, await t.commit([adds(t, "a", "other\n", at)], { at }));
      t.equal([outcome.status, outcome.existing?.text], ["exists", before.text], "the outcome");
      t.equal((await t.ask("versions/1.0.0", `${t.name}/a`)).text, before.text, "what stands there");
    },
  },
  {
    id: "commits.conflict",
    rule: "a head that is not the expected one ends the change with conflict",
    section: "Commits",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      const next = { labels: { staging: "1.0.0" }, yanked: {} };
      const change = { name: t.name, head: { expect: "no-such-revision", next, entries: [] } };
      t.equal(outcomesOf(t, await t.commit([change])), [{ status: "conflict", added: false }], "the outcomes");
      t.status(await t.ask("labels/staging"), 404);
    },
  },
  {
    id: "commits.failed",
    rule: "a change that can't be is failed with a problem, and others of the commit are done all the same",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      const bad = adds(t, "b", "two\n", at);
      bad.add[0].text = bad.add[0].text.replace("two\n", "six\n");
      const outcomes = outcomesOf(t, await t.commit([adds(t, "a", "one\n", at), bad], { at }));
      t.equal(statuses(outcomes), ["done", "failed"], "the outcomes");
      t.equal([outcomes[1].problem.code, outcomes[1].problem.outcome], ["INVALID", "final"], "the problem");
      t.status(await t.ask("latest", `${t.name}/b`), 404);
      t.problem(await t.commit([bad], { at }), 400, "INVALID");
    },
  },
  {
    id: "commits.atomic",
    rule: "atomic is all or nothing: the others are skipped; a storage that can't do it says UNSUPPORTED",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      await t.seed(["1.0.0"], `${t.name}/b`);
      const answer = await t.commit([adds(t, "a", "one\n", at), adds(t, "b", "other\n", at)], { at, atomic: true });
      if (t.service?.capabilities.atomicity === "batch") {
        t.equal(statuses(outcomesOf(t, answer)), ["skipped", "exists"], "the outcomes");
      } else t.problem(answer, 422, "UNSUPPORTED");
      t.status(await t.ask("latest", `${t.name}/a`), 404);
    },
  },
  {
    id: "commits.seal",
    rule: "documents must be sealed, under the name and version that they are sent as, with their own digest",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      const name = `${t.name}/a`;
      const texts = [
        sealed(`${t.name}/b`, "1.0.0", "x\n", at).text,
        sealed(name, "1.1.0", "x\n", at).text,
        sealed(name, "1.0.0", "x\n", at).text.replace("x\n", "y\n"),
        "not sealed\n",
      ];
      for (const text of texts) {
        const answer = await t.commit([{ name, add: [{ version: "1.0.0", text }] }], { at });
        t.problem(answer, 400, "INVALID");
      }
      t.status(await t.ask("versions/1.0.0", name), 404);
    },
  },
  {
    id: "commits.limits",
    rule: "a prompt that is changed twice, and more changes than limits.changes, are 400",
    section: "Commits",
    rights: WRITE,
    async run(t: Tools) {
      const at = new Date().toISOString();
      const one = adds(t, "a", "one\n", at);
      t.problem(await t.commit([one, one], { at }), 400, "INVALID");
      const { changes } = t.service?.limits ?? { changes: 500 };
      const many = Array.from({ length: changes + 1 }, (_, i) => ({ name: `${t.name}/n${i}` }));
      t.problem(await t.commit(many), 400, "INVALID");
      t.status(await t.ask("latest", `${t.name}/a`), 404);
    },
  },
];
