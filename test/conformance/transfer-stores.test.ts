import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { s3 } from "../../src/drivers/s3/index.ts";
import { cache } from "../../src/layers/cache/index.ts";
import { stack } from "../../src/layers/layer.ts";
import { install, outdated } from "../../src/lockfile/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { copyStorage, hashManifest, manifestOf, syncStorages } from "../../src/transfer/index.ts";
import { openGithub } from "../support/github-world.ts";
import { httpClients } from "../support/http-suite.ts";
import { BUCKET, optionsOf } from "../support/s3-suite.ts";

let bucket: FakeS3;
let git: GitHubServer;
const servers = httpClients();

beforeAll(async () => {
  bucket = await fakeS3();
  bucket.createBucket(BUCKET);
  git = await startGitHub();
});
afterAll(async () => {
  await servers.close();
  await git.close();
  await bucket.close();
});

const stores: [string, () => Promise<StorageDriver>][] = [
  ["s3", () => s3(optionsOf({ ...bucket.credentials, endpoint: bucket.endpoint, region: bucket.region }))],
  ["github", () => openGithub(git)],
  // A server judges each commit anew, and must find nothing wrong with a joined head.
  ["http", () => servers.serve(memory())],
];

it.each(stores)("sync with %s joins what was removed on both sides", async (_, open) => {
  const [a, b] = [memory(), await open()];
  const [ada, bob] = [new PromptRegistry(a, { author: "Ada" }), new PromptRegistry(b, { author: "Bob" })];
  for (const v of ["1.0.0", "2.0.0"]) await ada.storePrompt({ name: "gone", version: v, text: `${v}\n` });
  expect(await syncStorages(a, b)).toMatchObject({ ok: true });
  await ada.deleteVersion("gone", "1.0.0", { message: "one" });
  await bob.deleteVersion("gone", "1.0.0", { message: "two" });
  await bob.setLabel("gone", "production", "2.0.0");
  expect(await syncStorages(a, b)).toMatchObject({ ok: true, conflicts: [], entries: 3, verify: { equal: 1 } });
  expect(await hashManifest(manifestOf(a))).toEqual(await hashManifest(manifestOf(b)));
  expect((await ada.getPrompt("gone@production")).version).toBe("2.0.0");
  const removals = (await bob.history("gone").all()).filter((e) => e.action === "remove");
  expect(removals.map((e) => e.message).sort()).toEqual(["one", "two"]);
  expect(await syncStorages(b, a)).toMatchObject({ ok: true, changed: 0 });
  await b.close();
});

it("a server that remembers is asked for what its storage says now", async () => {
  const inner = memory();
  const others = new PromptRegistry(inner);
  await others.storePrompt({ name: "p", version: "1.0.0", text: "one\n" });
  const remote = await servers.serve(stack(inner, [cache({ ttl: 3_600_000 })]));
  const target = memory();
  expect(await copyStorage(remote, target)).toMatchObject({ ok: true, added: 1 });
  const cwd = mkdtempSync(join(tmpdir(), "transfer-stores-"));
  writeFileSync(join(cwd, "prompts.json"), '{"prompts":{"p":"^1"}}');
  await install(new PromptRegistry(remote), { cwd });
  await others.storePrompt({ name: "p", version: "1.1.0", text: "two\n" });
  expect(await outdated(new PromptRegistry(remote), { cwd })).toMatchObject([{ wanted: "1.1.0" }]);
  expect(await copyStorage(remote, target)).toMatchObject({ ok: true, added: 1 });
  rmSync(cwd, { recursive: true });
  await remote.close();
});
