import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { storeCredential } from "../../credentials/index.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import { compose } from "./compose.ts";

const HERE = "https://registry.example";
const ELSEWHERE = "https://other.example";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prompt-registry-compose-"));
  vi.stubEnv("XDG_CONFIG_HOME", join(folder, "config"));
  vi.stubEnv("APPDATA", join(folder, "config"));
  for (const name of ["PROMPT_REGISTRY_TOKEN", "PROMPT_REGISTRY_TOKEN_ORIGIN"]) vi.stubEnv(name, "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Where a cache of a registry server keeps on disk what was read. */
async function shelfOf(settings: { token?: string; environmentToken?: boolean } = {}): Promise<string> {
  const { token, environmentToken = true } = settings;
  const disk = join(folder, "cache");
  await rm(disk, { recursive: true, force: true });
  const store = Object.assign(memory(), { location: HERE, peek: () => undefined });
  const driver = await compose(
    { backend: "http", url: HERE, ...(token === undefined ? {} : { token }) },
    { cache: { disk: { path: disk } } },
    { open: async () => store, cwd: folder, isRemote: () => false, environmentToken: () => environmentToken },
  );
  const registry = new PromptRegistry(driver);
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "" });
  await registry.getPrompt("a");
  await registry.close();
  const [shelf, ...others] = await readdir(disk);
  expect(others).toEqual([]);
  return shelf as string;
}

describe("a disk cache of a registry server is that of who is let in by the token that is sent", () => {
  it("one token, one place, wherever the token comes from", async () => {
    const own = await shelfOf({ token: "prg_one" });
    expect(await shelfOf({ token: "prg_two" })).not.toBe(own);
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_one");
    expect(await shelfOf()).toBe(own);
    vi.stubEnv("PROMPT_REGISTRY_TOKEN_ORIGIN", HERE);
    expect(await shelfOf({ environmentToken: false })).toBe(own);
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "");
    await storeCredential(HERE, "prg_one", { keyring: false });
    expect(await shelfOf()).toBe(own);
  });

  it("a token of the environment that is withheld from it marks nothing", async () => {
    const nobody = await shelfOf();
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_one");
    expect(await shelfOf()).not.toBe(nobody);
    expect(await shelfOf({ environmentToken: false })).toBe(nobody);
    vi.stubEnv("PROMPT_REGISTRY_TOKEN_ORIGIN", ELSEWHERE);
    expect(await shelfOf()).toBe(nobody);
    expect(await shelfOf({ token: "prg_two" })).not.toBe(nobody);
  });
});
