import * as sdk from "@aws-sdk/client-s3";
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PolicyOptions, s3Policy } from "../../src/cli/s3/policy.ts";
import { runSetup } from "../../src/cli/s3/setup-run.ts";
import { s3 } from "../../src/drivers/s3/index.ts";
import { resolveOptions } from "../../src/drivers/s3/options.ts";
import { createClient } from "../../src/drivers/s3/sdk.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { fakeS3 } from "../../src/testing/s3/index.ts";
import { radosgwProblem, startRadosGw } from "../support/radosgw.ts";
import { fakeWithPolicies, type PolicyServer, radosGwWithPolicies } from "../support/s3-roles.ts";
import { skipSuite } from "../support/skip.ts";

const BUCKET = "prompts";
const PREFIX = "team";

async function startFake() {
  const server = await fakeS3();
  return { server: fakeWithPolicies(server, BUCKET), stop: () => server.close() };
}

async function startReal() {
  const server = await startRadosGw();
  return { server: await radosGwWithPolicies(server, BUCKET), stop: () => server.stop() };
}

const problem = radosgwProblem();
if (problem !== undefined) skipSuite("policies on RadosGW", problem);

const servers: readonly (readonly [string, () => Promise<{ server: PolicyServer; stop: () => Promise<void> }>])[] = [
  ["the fake", startFake],
  ...(problem === undefined ? [["RadosGW", startReal] as const] : []),
];

describe.each(servers)("policies on %s", (_, start) => {
  let server: PolicyServer;
  let stop: () => Promise<void>;
  const opened: PromptRegistry[] = [];
  const clients: S3Client[] = [];
  const code = (call: Promise<unknown>) => call.then(() => "allowed", codeOf);

  type Credentials = PolicyServer["owner"];
  const open = async (credentials: Credentials) => {
    const registry = new PromptRegistry(await s3({ ...server.place, prefix: PREFIX, credentials }), {
      author: "ada",
    });
    opened.push(registry);
    return registry;
  };
  const granted = (options: Partial<PolicyOptions> & Pick<PolicyOptions, "role">) =>
    server.grant(s3Policy({ bucket: BUCKET, prefix: PREFIX, ...options }));
  const raw = (credentials: Credentials, Bucket = BUCKET) => {
    const { endpoint, region } = server.place;
    const config = { credentials, forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" } as const;
    const client = new S3Client({ ...config, endpoint: endpoint as string, region: region as string });
    clients.push(client);
    return {
      put: (Key: string) => code(client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))),
      remove: (Key: string) => code(client.send(new DeleteObjectCommand({ Bucket, Key }))),
      list: (Prefix?: string) => code(client.send(new ListObjectsV2Command({ Bucket, Prefix }))),
    };
  };

  beforeAll(async () => {
    ({ server, stop } = await start());
    const owner = await open(server.owner);
    for (const name of ["support/triage", "support-old", "support", "billing"]) {
      await owner.storePrompt({ name, version: "1.0.0", text: `about ${name}\n` });
    }
    await owner.setLabel("support/triage", "production", "1.0.0");
    await owner.close();
    expect(await raw(server.owner).put("elsewhere/secret")).toBe("allowed");
  });
  afterAll(async () => {
    for (const registry of opened) await registry.close();
    for (const client of clients) client.destroy();
    await stop();
  });

  test("a reader reads, lists and is told what is absent, and changes nothing", async () => {
    const credentials = await granted({ role: "reader" });
    const reader = await open(credentials);
    expect((await reader.getPrompt("support/triage@production")).text).toBe("about support/triage\n");
    expect((await collect(reader.listPrompts())).map(({ name }) => name)).toEqual([
      "billing",
      "support",
      "support-old",
      "support/triage",
    ]);
    expect(await collect(reader.history("support/triage"))).toHaveLength(2);
    expect(await code(reader.getPrompt("support/triage@9.9.9"))).toBe("NOT_FOUND");
    expect(await code(reader.getPrompt("nobody"))).toBe("NOT_FOUND");
    expect(await code(reader.storePrompt({ name: "new", version: "1.0.0", text: "x\n" }))).toBe("FORBIDDEN");
    expect(await code(reader.setLabel("billing", "production", "1.0.0"))).toBe("FORBIDDEN");
    const { put, remove, list } = raw(credentials);
    expect([await put(`${PREFIX}/prompts/billing/v1.0.0.md`), await remove(`${PREFIX}/heads/billing!.json`)]).toEqual([
      "FORBIDDEN",
      "FORBIDDEN",
    ]);
    expect([await list(`${PREFIX}/heads/`), await list("elsewhere/"), await list()]).toEqual([
      "allowed",
      "FORBIDDEN",
      "FORBIDDEN",
    ]);
  });

  test("a writer does all that a registry does, and removes no key of it", async () => {
    const credentials = await granted({ role: "writer" });
    const writer = await open(credentials);
    expect((await writer.check()).checks.filter(({ ok }) => !ok)).toEqual([]);
    await writer.storePrompt({ name: "own", version: "1.0.0", text: "one\n" });
    await writer.storePrompt({ name: "own", version: "1.1.0", text: "two\n" });
    await writer.setLabel("own", "production", "1.1.0");
    await writer.yank("own", "1.0.0", { message: "old" });
    await writer.deleteVersion("own", "1.0.0", { message: "old" });
    expect((await writer.getPrompt("own@production")).text).toBe("two\n");
    expect(await code(writer.getPrompt("own@1.0.0"))).toBe("NOT_FOUND");
    expect((await writer.doctor({ fix: ["temp", "projection"] })).ok).toBe(true);
    const { put, remove } = raw(credentials);
    expect([await remove(`${PREFIX}/prompts/own/v1.1.0.md`), await put("elsewhere/secret")]).toEqual([
      "FORBIDDEN",
      "FORBIDDEN",
    ]);
  });

  test("who may write some prompts can't read, write or list others", async () => {
    const credentials = await granted({ role: "writer", prompts: "support" });
    const writer = await open(credentials);
    await writer.storePrompt({ name: "support/triage", version: "1.1.0", text: "better\n" });
    await writer.setLabel("support/triage", "production", "1.1.0");
    await writer.storePrompt({ name: "support", version: "1.1.0", text: "better\n" });
    expect((await writer.getPrompt("support/triage@production")).version).toBe("1.1.0");
    expect(await code(writer.getPrompt("support/none"))).toBe("NOT_FOUND");
    const names = await collect(writer.listPrompts({ prefix: "support/" }));
    expect(names.map(({ name }) => name)).toEqual(["support/triage"]);
    for (const name of ["support-old", "billing"]) {
      expect(await code(writer.getPrompt(`${name}@1.0.0`)), name).toBe("FORBIDDEN");
      expect(await code(writer.getPrompt(name)), name).toBe("FORBIDDEN");
      expect(await code(writer.storePrompt({ name, version: "2.0.0", text: "mine\n" })), name).toBe("FORBIDDEN");
    }
    expect(await code(collect(writer.listPrompts()))).toBe("FORBIDDEN");
    const { put, list } = raw(credentials);
    expect(await put(`${PREFIX}/heads/support-old!.json`)).toBe("FORBIDDEN");
    expect([await list(`${PREFIX}/heads/support-old`), await list(`${PREFIX}/heads/`), await list()]).toEqual([
      "FORBIDDEN",
      "FORBIDDEN",
      "FORBIDDEN",
    ]);
  });

  const setUp = async (bucket: string, credentials: Credentials, apply: boolean) => {
    const target = resolveOptions({ ...server.place, bucket, prefix: PREFIX, credentials });
    const client = await createClient(sdk, target);
    const wish = { versioning: "auto", headDays: 90, historyDays: 90, historyClass: "STANDARD_IA" } as const;
    try {
      const signal = new AbortController().signal;
      const steps = await runSetup({ sdk, client, target, wish, signal }, apply, () => {});
      return Object.fromEntries(steps.map(({ what, state }) => [what, state]));
    } finally {
      client.destroy();
    }
  };

  test("an admin makes a bucket what it should be, finds nothing to do after that, and writes no document", async () => {
    const credentials = await granted({ bucket: "fresh", role: "admin" });
    expect(await setUp("fresh", credentials, false)).toMatchObject({ bucket: "change", versioning: "later" });
    expect(await setUp("fresh", credentials, true)).toEqual(server.name === "RadosGW" ? REAL : STRICT);
    const again = await setUp("fresh", credentials, true);
    expect(Object.values(again).filter((state) => state === "done" || state === "change")).toEqual([]);
    expect(again["conditional writes"]).toBe("ok");
    expect(await raw(credentials, "fresh").put(`${PREFIX}/prompts/a/v1.0.0.md`)).toBe("FORBIDDEN");
  });

  test("so does the owner of the store", async () => {
    const first = await setUp("owned", server.owner, true);
    expect(first).toEqual(server.name === "RadosGW" ? { ...REAL, "public access": "skipped" } : STRICT);
    const again = await setUp("owned", server.owner, false);
    expect(Object.values(again).filter((state) => state === "change" || state === "danger")).toEqual([]);
  });
});

/** What the first run says of each thing. */
const STRICT = {
  ...{ bucket: "done", "public access": "ok", versioning: "done", encryption: "ok", lifecycle: "done" },
  "conditional writes": "ok",
};
/**
 * RadosGW 16 enforces no conditions in versioned buckets; lets nobody write where public access is blocked, and nobody but a
 * bucket's owner block it, whatever a role's policy says; and knows no encryption of buckets. All of it is found out.
 */
const REAL = { ...STRICT, versioning: "skipped", encryption: "skipped", "public access": "danger" };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function codeOf(error: unknown): string {
  if (isRegistryError(error)) return error.code;
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 403 ? "FORBIDDEN" : String(error);
}
