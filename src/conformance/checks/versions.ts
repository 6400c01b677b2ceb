import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

const RACERS = 16;

export const versionChecks: readonly Check[] = [
  {
    id: "versions.created",
    rule: "a PUT of a free version is 201, with Location and the ETag of what is stored",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      const put = await t.put("1.0.0", "one\n");
      t.status(put, 201);
      const json = t.declared(put, "versions.put");
      t.equal([json.name, json.version, json.status], [t.name, "1.0.0", "created"], "the reply");
      t.equal(put.headers.location, t.prompt("versions/1.0.0"), "Location");
      const got = await t.ask("versions/1.0.0");
      t.equal(put.headers.etag, got.headers.etag, "ETag of the PUT");
      t.equal(`"${json.digest}"`, got.headers.etag, "digest of the PUT");
    },
  },
  {
    id: "versions.same-text",
    rule: "a PUT of the same text again is 200 and changes nothing",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      t.status(await t.put("1.0.0", "one\n"), 201);
      const before = await t.ask("versions/1.0.0");
      const again = await t.put("1.0.0", "one\n");
      t.status(again, 200);
      t.equal(t.declared(again, "versions.put").status, "unchanged", "status");
      t.equal((await t.ask("versions/1.0.0")).text, before.text, "the stored text");
    },
  },
  {
    id: "versions.immutable",
    rule: "a PUT of another text is 409 ALREADY_EXISTS, and what was there stays",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      t.status(await t.put("1.0.0", "one\n"), 201);
      const before = await t.ask("versions/1.0.0");
      t.problem(await t.put("1.0.0", "two\n"), 409, "ALREADY_EXISTS", "final");
      const after = await t.ask("versions/1.0.0");
      t.equal([after.text, after.headers.etag], [before.text, before.headers.etag], "what stands there");
    },
  },
  {
    id: "versions.precondition",
    rule: "a PUT of a version without If-None-Match: * is 428, and does nothing",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      const send = (headers: Record<string, string>) =>
        t.send("PUT", t.prompt("versions/1.0.0"), {
          headers: { "content-type": "text/markdown", ...headers },
          body: "x",
        });
      t.problem(await send({}), 428, "INVALID");
      t.problem(await send({ "if-none-match": '"x"' }), 400, "INVALID");
      t.status(await t.ask("versions/1.0.0"), 404);
    },
  },
  {
    id: "versions.race",
    rule: `of ${RACERS} racing PUTs of different texts one is 201, the others are 409, and the one stays`,
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      const texts = Array.from({ length: RACERS }, (_, i) => `racer ${i}\n`);
      const answers = await Promise.all(texts.map((text) => t.put("1.0.0", text)));
      const won = answers.flatMap(({ status }, i) => (status === 201 ? [i] : []));
      t.equal(won.length, 1, "the number of 201");
      for (const [i, answer] of answers.entries()) {
        if (i !== won[0]) t.problem(answer, 409);
      }
      t.equal((await t.ask("versions/1.0.0?form=text")).text, texts[won[0] as number], "the text that stays");
    },
  },
  {
    id: "versions.race-same",
    rule: "of racing PUTs of the same text one is 201 and the others are 200",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => t.put("1.0.0", "same\n")));
      t.equal(answers.filter(({ status }) => status === 201).length, 1, "the number of 201");
      for (const answer of answers) t.status(answer, [200, 201]);
    },
  },
  {
    id: "versions.next",
    rule: "POST publishes under the next version; the text of the highest one is 200",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      t.status(await t.put("1.2.3", "one\n"), 201);
      const post = (bump: string, text: string) => t.send("POST", t.prompt("versions"), { json: { bump, text } });
      for (const [bump, version] of [
        ["patch", "1.2.4"],
        ["minor", "1.3.0"],
        ["major", "2.0.0"],
      ] as const) {
        const answer = await post(bump, `${bump}\n`);
        t.status(answer, 201);
        t.equal(t.declared(answer, "versions.post").version, version, `the next ${bump} version`);
      }
      const same = await post("major", "major\n");
      t.status(same, 200);
      t.equal((same.json() as Json).version, "2.0.0", "the version of the same text");
    },
  },
  {
    id: "versions.next-race",
    rule: "racing POSTs of different texts get versions of their own, and none is lost",
    section: "Writing",
    rights: ["read", "write"],
    async run(t: Tools) {
      t.status(await t.put("1.0.0", "start\n"), 201);
      const post = (i: number) =>
        t.send("POST", t.prompt("versions"), { json: { bump: "patch", text: `racer ${i}\n` } });
      const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => post(i)));
      const made: string[] = [];
      for (const [i, answer] of answers.entries()) {
        if (answer.status !== 201) {
          t.problem(answer, [409, 503]);
          continue;
        }
        const { version } = answer.json() as Json;
        made.push(version);
        t.equal((await t.ask(`versions/${version}?form=text`)).text, `racer ${i}\n`, `the text of ${version}`);
      }
      t.equal(new Set(made).size, made.length, "the number of different versions");
    },
  },
  {
    id: "versions.labels",
    rule: "a PUT may set labels, and expect keeps it from moving one that is elsewhere",
    section: "Writing",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      t.status(await t.put("1.0.0", "one\n", "?labels=staging,beta&expect=none"), 201);
      for (const label of ["staging", "beta"]) {
        t.equal(await t.labelled(label), "1.0.0", `label ${label}`);
      }
      t.problem(await t.put("1.1.0", "two\n", "?labels=staging&expect=none"), [409, 412], "CONFLICT");
      t.equal(await t.labelled(), "1.0.0", "label staging");
      t.status(await t.put("1.2.0", "three\n", "?labels=staging&expect=1.0.0"), 201);
      t.equal(await t.labelled(), "1.2.0", "label staging");
    },
  },
  {
    id: "versions.order",
    rule: "versions are listed highest first, by SemVer and not by time or letters",
    section: "Reading",
    rights: ["read", "write"],
    async run(t: Tools) {
      await t.seed(["1.9.0", "1.10.0", "2.0.0-beta.2", "1.0.1", "2.0.0", "2.0.0-beta.11"]);
      const answer = await t.ask("versions");
      t.status(answer, 200);
      const found = t.declared(answer, "versions.list").items.map((item: Json) => item.version);
      t.equal(found, ["2.0.0", "2.0.0-beta.11", "2.0.0-beta.2", "1.10.0", "1.9.0", "1.0.1"], "the list");
    },
  },
  {
    id: "versions.absent",
    rule: "a version, a label or a prompt that never was is 404 NOT_FOUND",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      await t.seed(["1.0.0"]);
      const absent = `${t.name}/none`;
      const paths = [t.prompt("versions/9.9.9"), t.prompt("labels/none")];
      for (const rest of ["", "head", "versions/1.0.0", "labels/staging", "latest", "resolve?range=1"])
        paths.push(t.prompt(rest, absent));
      for (const path of paths) t.problem(await t.get(path), 404, "NOT_FOUND", "final");
    },
  },
  {
    id: "versions.seal",
    rule: "the seal names the author of the change and when it was made, and keeps its message",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      t.status(await t.put("1.0.0", "one\n", "?message=because"), 201);
      const { text } = await t.ask("versions/1.0.0");
      const opened = openStored(text, { name: parseName(t.name), version: parseVersion("1.0.0") });
      t.equal([opened.message, opened.author], ["because", t.service?.principal.name], "message and author");
      t.ok(opened.createdAt !== undefined, "the seal has no time");
    },
  },
];
