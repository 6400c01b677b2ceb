import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadOptions, loadConfig, type RegistryConfig } from "../../config.ts";
import type { RegistryError } from "../../errors.ts";

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "variables-"));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const NO_FILE: LoadOptions = { configFile: false };
type Env = Readonly<Record<string, string>>;

async function failureOf(config: unknown, env: Env, options: LoadOptions = NO_FILE): Promise<RegistryError> {
  const error = await loadConfig(config as RegistryConfig, { cwd, env, ...options }).catch((e: unknown) => e);
  expect(error).toMatchObject({ name: "RegistryError", code: "CONFIG" });
  return error as RegistryError;
}

describe("what is wrong is told all at once", () => {
  it("of what was passed and of the variables, known or not", async () => {
    const { message, context } = await failureOf(
      { bogus: 1, cache: { ttl: "60 parsecs" } },
      { PROMPT_REGISTRY_NOPE: "1", PROMPT_REGISTRY_LIMIT: "{" },
    );
    for (const part of [
      "cache.ttl: ",
      '"bogus"',
      "PROMPT_REGISTRY_LIMIT starts like JSON",
      '"PROMPT_REGISTRY_NOPE" is no',
    ])
      expect(message).toContain(part);
    expect(context.issues).toHaveLength(4);
    expect(context.field).toBe("cache.ttl");
  });

  it("of several variables", async () => {
    const { message } = await failureOf(
      {},
      {
        ...{ PROMPT_REGISTRY_LIMIT: "{", PROMPT_REGISTRY_ROUTE: "[1 2]", PROMPT_REGISTRY_TIMEOUT: "5 parsecs" },
        ...{ PROMPT_REGISTRY_CACHE: '{"ttl":"soon","size":1}', PROMPT_REGISTRY_STORAGE: "nowhere" },
      },
    );
    for (const part of ["_LIMIT starts", "_ROUTE starts", "timeout: ", "cache.ttl: ", '"size"', "storage: "])
      expect(message).toContain(part);
  });

  it("of the file, beside everything else", async () => {
    await writeFile(join(cwd, "broken.json"), '{ "author": }');
    const { message } = await failureOf({ bogus: 1 }, { PROMPT_REGISTRY_NOPE: "1" }, { configFile: "broken.json" });
    for (const part of ['broken.json" does not parse', '"bogus"', '"PROMPT_REGISTRY_NOPE" is no setting'])
      expect(message).toContain(part);
    const missing = await failureOf({ limit: -1 }, { PROMPT_REGISTRY_CONFIG: "[none].json" }, {});
    for (const part of ["[none].json\" can't be read", "limit: "]) expect(missing.message).toContain(part);
  });

  it("of one thing as that thing says it", async () => {
    const unknown = await failureOf({}, { PROMPT_REGISTRY_NOPE: "1", PROMPT_REGISTRY_NEITHER: "1" });
    expect(unknown.message).toMatch(
      /^"PROMPT_REGISTRY_NOPE", "PROMPT_REGISTRY_NEITHER" are no settings; known are PROMPT_REGISTRY_STORAGE, /,
    );
    expect(unknown.context.field).toBe("PROMPT_REGISTRY_NOPE");
    await writeFile(join(cwd, "two.json"), '{\n  "author": "a",\n}');
    expect((await failureOf({}, {}, { configFile: "two.json" })).context).toMatchObject({
      field: "config",
      line: 3,
      column: 1,
    });
  });
});

describe("a variable that starts like JSON", () => {
  it.each([
    ["{", "starts like JSON but is none: Expected property name or '}' in JSON at position 1"],
    [
      '{"concurrency":4',
      "starts like JSON but is none: Expected ',' or '}' after property value in JSON at position 16",
    ],
    ['{"concurrency":', "starts like JSON but is none: Unexpected end of JSON input"],
    ['{"concurrency": s3cret}', "starts like JSON but is none: Unexpected token 's'"],
    ["[\u{1f642} s3cret]", "starts like JSON but is none"],
  ])("%s: why it is none, and nothing of what stands there", async (value, reason) => {
    const { message } = await failureOf({}, { PROMPT_REGISTRY_LIMIT: value });
    expect(message).toBe(`PROMPT_REGISTRY_LIMIT ${reason}`);
  });
});
