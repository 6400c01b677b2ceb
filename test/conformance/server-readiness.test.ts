import { expect, it } from "vitest";
import { s3 } from "../../src/drivers/s3/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { figuresOf, probe, ReadinessCheck } from "../../src/server/operations/health.ts";
import { startGitHub } from "../../src/testing/github/index.ts";
import { fakeS3 } from "../../src/testing/s3/index.ts";
import { openGithub } from "../support/github-world.ts";
import { faultProxy } from "../support/http-proxy.ts";
import { BUCKET, optionsOf } from "../support/s3-suite.ts";

const WRITES: ReadonlySet<string> = new Set(["PUT", "POST", "DELETE", "PATCH"]);
const writesOf = (requests: readonly { readonly method: string; readonly url: string }[]) =>
  requests.filter(({ method, url }) => WRITES.has(method) && !/\/graphql$|git-upload-pack/.test(url)).length;

/** What strangers and scrapes make a server do writes nothing; what it tries at its start, and those who may let it try, does. */
async function readsOnly(registry: PromptRegistry, writes: () => number): Promise<void> {
  const readiness = new ReadinessCheck(registry, { maxAge: 1 });
  const figures = figuresOf(registry, { maxAge: 1 });
  for (let i = 0; i < 3; i++) {
    expect(await readiness.look()).toEqual({ ok: true, state: "ready" });
    expect((await figures())?.ok).toBe(true);
  }
  expect(writes()).toBe(0);
  expect(await probe(registry, new AbortController().signal)).toBeUndefined();
  expect(writes()).toBeGreaterThan(0);
  await registry.close();
}

it("a bucket is only read by those who ask whether the server is ready, or for its figures", async () => {
  const fake = await fakeS3();
  fake.createBucket(BUCKET);
  const proxy = await faultProxy(fake.endpoint);
  try {
    const place = { ...fake.credentials, endpoint: proxy.url, region: fake.region };
    const registry = new PromptRegistry(await s3(optionsOf(place, { prefix: "readiness" })));
    await readsOnly(registry, () => writesOf(proxy.requests));
  } finally {
    await proxy.close();
    await fake.close();
  }
});

it("a repository likewise", async () => {
  const server = await startGitHub();
  try {
    const registry = new PromptRegistry(await openGithub(server));
    await readsOnly(registry, () => writesOf(server.requests));
  } finally {
    await server.close();
  }
});
