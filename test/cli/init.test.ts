import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { World } from "./world.ts";

const CONFIG = "prompt-registry.config.json";

test.each([
  "postgres://127.0.0.1/db?user=bob&password=s3cretpw",
  "postgres://127.0.0.1/db?user=bob&%70assword=s3cretpw",
  "postgresql://bob:s3cretpw@127.0.0.1/db",
  "postgres://bob:a&s3cretpw@127.0.0.1/db",
  "s3://bucket/prefix?conditionalWrites=lock:postgres://bob:s3cretpw@127.0.0.1/db",
  "s3://bucket/prefix?conditionalWrites=lock%3Apostgres%3A%2F%2F127.0.0.1%2Fdb%3Fpassword%3Ds3cretpw",
  "https://bob:s3cretpw@registry.example",
  "https://registry.example?token=s3cretpw",
])("init neither writes nor prints a password: %s", async (storage) => {
  const world = new World();
  for (const more of [[], ["--json"]]) {
    const ran = await world.run("init", "--storage", storage, ...more);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain("a password does not belong into a file");
    expect(ran.err).not.toContain("s3cretpw");
  }
  expect(existsSync(join(world.folder, CONFIG))).toBe(false);
});

test("init takes a location that only looks a bit like one with a password", async () => {
  const storage = "s3://bucket/prefix?endpoint=http://127.0.0.1:9000&profile=me@work";
  const world = new World();
  expect(await world.run("init", "--storage", storage)).toMatchObject({ code: 0 });
  expect(JSON.parse(readFileSync(join(world.folder, CONFIG), "utf8"))).toEqual({ storage });
  for (const fine of ["postgres://bob@127.0.0.1/db?sslmode=disable", "file:./p@ss:word"]) {
    expect(await new World().run("init", "--storage", fine)).toMatchObject({ code: 0 });
  }
});

test.each(["github:s3cretpw@acme/prompts", "github:bob:s3cretpw@acme/prompts", "github:acme/s3cretpw@prompts"])(
  "a token in %s is not repeated",
  async (storage) => {
    const world = new World();
    world.real = true;
    for (const argv of [["init"], ["list"], ["get", "a", "--json"]]) {
      const ran = await world.run(...argv, "--storage", storage);
      expect(ran).toMatchObject({ code: 8, out: "" });
      expect(ran.err).not.toContain("s3cretpw");
      expect(ran.err).toContain("set GITHUB_TOKEN");
    }
  },
);

test("init --json tells what is wrong with a storage as check does", async () => {
  const health = {
    ...{ ok: false, kind: "fake", location: "here", latency: 1 },
    checks: [{ name: "write", ok: false, detail: "permission denied" }],
  };
  const sick = new World((driver) => ({ ...driver, check: async () => health }));
  const ran = await sick.run("init", "--json");
  expect(ran).toMatchObject({ code: 1, err: "" });
  expect(ran.json()).toEqual(health);
  expect((await sick.run("check", "--json")).json()).toEqual(health);
  expect(existsSync(join(sick.folder, CONFIG))).toBe(false);
  expect((await sick.run("init")).err).toContain("write: permission denied");
});
