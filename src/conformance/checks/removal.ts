import type { Json, Tools } from "../tools.ts";
import type { Check } from "../types.ts";

const ALL = ["read", "write", "promote", "admin"] as const;

export const removalChecks: readonly Check[] = [
  {
    id: "removed.gone",
    rule: "a removed version is 410, is no longer latest or listed, and is listed where it is asked for",
    section: "Documents",
    rights: ALL,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      t.declared(await t.send("DELETE", t.prompt("versions/2.0.0?message=leak")), "versions.delete");
      t.problem(await t.ask("versions/2.0.0"), 410, "NOT_FOUND", "final");
      t.equal(await t.latest(), "1.0.0", "latest");
      const list = async (query: string) => {
        const { items } = await t.json(`versions${query}`);
        return items.map((one: Json) => [one.version, one.removed === true]);
      };
      t.equal(await list(""), [["1.0.0", false]], "the list");
      t.equal(
        await list("?includeRemoved=true"),
        [
          ["2.0.0", true],
          ["1.0.0", false],
        ],
        "the list with the removed",
      );
      t.status(await t.send("DELETE", t.prompt("versions/2.0.0")), 200);
    },
  },
  {
    id: "removed.slot",
    rule: "the slot of a removed version stays taken, also for the text that was there",
    section: "Writing",
    rights: ALL,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      t.status(await t.send("DELETE", t.prompt("versions/2.0.0")), 200);
      for (const text of ["another\n", `${t.name} 2.0.0\n`]) {
        const put = await t.put("2.0.0", text);
        t.ok(put.status >= 400 && put.status < 500, `${put.asked}: ${put.status} for a removed version`);
      }
      t.status(await t.ask("versions/2.0.0"), 410);
    },
  },
  {
    id: "removed.labelled",
    rule: "a version that a label is on can't be removed",
    section: "Writing",
    rights: ALL,
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      t.problem(await t.send("DELETE", t.prompt("versions/1.0.0")), 409, "CONFLICT");
      t.status(await t.ask("versions/1.0.0"), 200);
    },
  },
  {
    id: "removed.restored",
    rule: "a sealed copy brings a removed version back as it was; another text does not",
    section: "Writing",
    rights: ALL,
    async run(t: Tools) {
      await t.seed(["1.0.0", "2.0.0"]);
      const before = await t.ask("versions/2.0.0");
      t.status(await t.send("DELETE", t.prompt("versions/2.0.0")), 200);
      const headers = { "content-type": "text/markdown" };
      const restore = (body: string) => t.send("POST", t.prompt("versions/2.0.0/restore"), { headers, body });
      const wrong = await restore("another\n");
      t.ok(wrong.status >= 400 && wrong.status < 500, `another text was answered by ${wrong.status}`);
      t.declared(await restore(before.text), "versions.restore");
      const after = await t.ask("versions/2.0.0");
      t.equal(
        [after.status, after.text, after.headers.etag],
        [200, before.text, before.headers.etag],
        "what came back",
      );
      t.equal(await t.latest(), "2.0.0", "latest");
    },
  },
  {
    id: "removed.prompt",
    rule: "a DELETE of a prompt removes all its versions; it is listed only where the removed are asked for",
    section: "Writing",
    rights: ALL,
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      const answer = t.declared(await t.send("DELETE", t.prompt()), "prompt.delete");
      t.equal([...answer.versions].sort(), ["1.0.0", "2.0.0"], "the versions");
      for (const version of ["1.0.0", "2.0.0"]) t.status(await t.ask(`versions/${version}`), 410);
      t.problem(await t.ask("labels/staging"), [404, 410], "NOT_FOUND");
      const names = async (query: string) => {
        const { items } = (await t.get(`/v1/prompts?prefix=${t.name}${query}`)).json() as Json;
        return items.map((one: Json) => one.name);
      };
      t.equal(await names(""), [], "the list");
      t.equal(await names("&includeRemoved=true"), [t.name], "the list with the removed");
    },
  },
];
