import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { compareNames, parseName } from "../../names.ts";
import { commitOf, documentOf } from "../../testing/builders.ts";
import { bench, counting, drop, settle } from "./support.test.ts";

const { path: newPath, open } = bench();

async function names(driver: StorageDriver, limit = 1000, prefix?: string): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await driver.listPrompts({
      limit,
      ...(prefix === undefined ? {} : { prefix }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.items.map((item) => item.name));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found;
}

describe("the walk over folders", () => {
  const all = [
    "a",
    "a-b",
    "a-b/c",
    "a-b.c",
    "a.b",
    "a.b/c",
    "a/b",
    "a/b-c",
    "a/b/c",
    "a/b0",
    "a0",
    "ab",
    "b/c/d",
    "c_d",
  ];
  const sorted = [...all].sort(compareNames);

  it("goes in byte order, with every page size, prefix and cursor", async () => {
    const path = newPath();
    drop(path, Object.fromEntries(all.map((name) => [`${name}/v1.0.0.md`, "text\n"])));
    const driver = open(path);
    for (let limit = 1; limit <= all.length + 1; limit++) expect(await names(driver, limit)).toEqual(sorted);
    for (const prefix of ["", "a", "a-", "a.", "a/", "a/b", "a/b/", "ab", "b", "b/c", "b/c/", "c", "zz"]) {
      const expected = sorted.filter((name) => name.startsWith(prefix));
      for (const limit of [1, 2, 100]) expect(await names(driver, limit, prefix), prefix).toEqual(expected);
    }
    for (const cursor of [...all, "a-a", "a.", "a.c", "a/a", "a/bb", "b", "b/c", "z"]) {
      if (cursor === "a.") continue;
      const { items } = await driver.listPrompts({ limit: 100, cursor });
      expect(
        items.map((item) => item.name),
        cursor,
      ).toEqual(sorted.filter((name) => name > cursor));
    }
  });

  it("leaves out what is no prompt", async () => {
    const path = newPath();
    drop(path, {
      "a/v1.0.0.md": "text\n",
      "empty/readme.txt": "text\n",
      "UPPER/v1.0.0.md": "text\n",
      ".git/v1.0.0.md": "text\n",
      "v1.0.0/v1.0.0.md": "text\n",
      "con/v1.0.0.md": "text\n",
      "a/latest/v1.0.0.md": "text\n",
      "a/notes": "text\n",
    });
    expect(await names(open(path))).toEqual(["a"]);
  });

  it("looks at no more than the root and the folders of the page", async () => {
    const path = newPath();
    drop(path, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${1000 + i}/v1.0.0.md`, "text\n"])));
    await settle();
    const { io, calls, reset } = counting();
    const driver = open(path, { io });
    const { cursor } = await driver.listPrompts({ limit: 100 });
    expect(calls.readdir).toBe(102);
    reset();
    await driver.listPrompts({ limit: 100 });
    expect(calls.readdir ?? 0).toBe(0);
    expect(calls.lstat).toBeLessThanOrEqual(103);
    expect(await driver.listPrompts({ limit: 100, cursor: cursor as string })).toMatchObject({ cursor: "p1199" });
  });
});

describe("a remembered listing", () => {
  it("shows what came and went, at any depth and by any hand", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "text\n", "n/s/p/v1.0.0.md": "text\n" });
    const driver = open(path);
    const expectNames = async (...expected: string[]) => {
      expect(await names(driver)).toEqual(expected);
      await settle();
      expect(await names(driver)).toEqual(expected);
    };
    await expectNames("a", "n/s/p");
    drop(path, { "a/b/v1.0.0.md": "text\n" });
    await expectNames("a", "a/b", "n/s/p");
    drop(path, { "n/s/q/v1.0.0.md": "text\n" });
    await expectNames("a", "a/b", "n/s/p", "n/s/q");
    rmSync(join(path, "prompts/a"), { recursive: true });
    await expectNames("n/s/p", "n/s/q");
    renameSync(join(path, "prompts/n/s/p"), join(path, "prompts/n/p"));
    await expectNames("n/p", "n/s/q");
    mkdirSync(join(path, "prompts/n/p/sub"));
    await expectNames("n/p", "n/s/q");
    writeFileSync(join(path, "prompts/n/p/sub/v0.1.0.md"), "text\n");
    await expectNames("n/p", "n/p/sub", "n/s/q");
  });

  it("is never trusted within the tick in which its folder changed", async () => {
    const path = newPath();
    drop(path, { "a/v1.0.0.md": "text\n" });
    const driver = open(path);
    for (let i = 0; i < 40; i++) {
      drop(path, { [`n/p${100 + i}/v1.0.0.md`]: "text\n" });
      expect((await names(driver)).length).toBe(i + 2);
    }
  });

  it("of a large tree shows at once what another driver stored below a remembered prompt", async () => {
    const path = newPath();
    drop(path, Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`p${1000 + i}/v1.0.0.md`, "text\n"])));
    const driver = open(path);
    const writer = open(path);
    await settle();
    await names(driver);
    for (let i = 0; i < 5; i++) {
      expect((await names(driver)).length).toBe(250 + i);
      const name = `p1000/sub${i}`;
      const add = [documentOf(name, "1.0.0")];
      expect(await writer.commit(commitOf({ name: parseName(name), add }))).toMatchObject([{ status: "done" }]);
      expect((await names(driver)).length).toBe(251 + i);
    }
  });
});
