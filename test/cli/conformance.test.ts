import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createHandler } from "../../src/server/handler.ts";
import type { Handler } from "../../src/server/types.ts";
import { serveHandler, type TestServer } from "../support/http-server.ts";
import { accessOf } from "../support/http-world.ts";
import { World } from "./world.ts";

const RIGHTS = ["read", "write", "promote", "import", "admin"] as const;
const access = accessOf({ full: RIGHTS.map((right) => ({ right, prefix: "" })), limited: [] });
const env = { PROMPT_REGISTRY_TOKEN: "full", LIMITED: "limited" };
let right: TestServer;
let wrong: TestServer;

beforeAll(async () => {
  const handler = createHandler(new PromptRegistry(memory()), { access });
  right = await serveHandler(handler);
  const broken = async (...given: Parameters<Handler>) => {
    const response = await handler(...given);
    if (response.status !== 201) return response;
    return new Response(response.body, { status: 200, headers: response.headers });
  };
  wrong = await serveHandler(Object.assign(broken, { ready: () => undefined }) as Handler);
});

afterAll(async () => {
  await right.close();
  await wrong.close();
});

describe("conformance", () => {
  test("tells of each check in one line, and what it left", async () => {
    const world = new World();
    const ran = await world.runWith({ env }, "conformance", right.url, "--only", "versions.c*");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(/^ok {5}versions\.created: a PUT of a free version is 201.* \(Writing\)\n/);
    expect(ran.out).toMatch(/: 1 passed, 0 failed, 0 skipped; what was written is below conformance-[0-9a-f]{10}\/\n$/);
  });

  test("fails where a rule is broken, and says so in JSON and in JUnit XML too", async () => {
    const world = new World();
    const only = ["--only", "versions.created", "--junit", "report.xml"];
    const ran = await world.runWith({ env }, "conformance", wrong.url, ...only);
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/^FAILED versions\.created: .*\n {7}PUT \S+: 200 instead of 201; /);
    expect(readFileSync(join(world.folder, "report.xml"), "utf8")).toContain('tests="1" failures="1"');
    const json = await world.runWith({ env }, "conformance", wrong.url, "--only", "versions.created", "--json");
    expect(json.code).toBe(1);
    expect(json.json()).toMatchObject({
      ok: false,
      failed: 1,
      results: [{ id: "versions.created", status: "failed" }],
    });
  });

  test("takes tokens from variables, and skips what needs a second one", async () => {
    const world = new World();
    const other = { OTHER: "full", LIMITED: "limited" };
    const args = ["conformance", right.url, "--only", "access.hidden", "--token-env", "OTHER"];
    const one = await world.runWith({ env: other }, ...args);
    expect(one).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^skip {3}access\.hidden: .*\n {7}needs a second/),
    });
    const two = await world.runWith({ env: other }, ...args, "--limited-token-env", "LIMITED");
    expect(two).toMatchObject({ code: 0, out: expect.stringMatching(/^ok {5}access\.hidden/) });
    const reading = await world.runWith({ env }, "conformance", right.url, "--read-only", "--only", "discovery.*");
    expect(reading.out).toContain("; nothing was written\n");
  });

  test("wrong usage is 2, a server that can't be reached is 7", async () => {
    const world = new World();
    expect((await world.run("conformance")).code).toBe(2);
    expect((await world.run("conformance", "nonsense")).code).toBe(2);
    expect((await world.run("conformance", right.url, "--only", "no.such.check")).code).toBe(2);
    const missing = await world.run("conformance", right.url, "--token-env", "NOT_THERE");
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('"NOT_THERE" holds no token') });
    const closed = await serveHandler(
      Object.assign(async () => new Response(""), { ready: () => undefined }) as Handler,
    );
    await closed.close();
    const ran = await world.run("conformance", closed.url);
    expect(ran).toMatchObject({ code: 7, out: "", err: expect.stringContaining("can't be reached") });
  });
});
