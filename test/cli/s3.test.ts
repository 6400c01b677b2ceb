import {
  DeletePublicAccessBlockCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Cost } from "../../src/cli/s3/cost.ts";
import type { Step } from "../../src/cli/s3/setup.ts";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { World } from "./world.ts";

let server: FakeS3;
beforeEach(async () => {
  server = await fakeS3();
});
afterEach(() => server.close());

const place = (bucket = "prompts", prefix = "team") =>
  `s3://${bucket}/${prefix}?endpoint=${encodeURIComponent(server.endpoint)}&region=us-east-1`;

/** Runs with the credentials of the environment, which is where the SDK looks for them. */
async function run(...argv: string[]) {
  const { accessKeyId, secretAccessKey } = server.credentials;
  const before = { ...process.env };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  try {
    return await new World().run("s3", ...argv);
  } finally {
    process.env = before;
  }
}

function client(): S3Client {
  const { endpoint, region, credentials } = server;
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true });
}

/** The state of each step, by what it is about. */
const states = (steps: readonly Step[]) => Object.fromEntries(steps.map(({ what, state }) => [what, state]));
const writes = () => server.calls.filter(({ operation }) => !/^(Get|Head|List)/.test(operation)).length;

describe("s3 setup", { timeout: 30_000 }, () => {
  test("shows what it would do and changes nothing", async () => {
    const ran = await run("setup", place(), "--json");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(states(ran.json<{ steps: Step[] }>().steps)).toEqual({
      bucket: "change",
      "public access": "change",
      versioning: "later",
      encryption: "change",
      lifecycle: "change",
      "conditional writes": "later",
    });
    expect(writes()).toBe(0);
  });

  test("makes a bucket what it should be, and the second time finds nothing to do", async () => {
    const first = await run("setup", place(), "--apply", "--json");
    expect(first).toMatchObject({ code: 0, err: "" });
    const all = { bucket: "done", "public access": "ok", versioning: "done", encryption: "ok", lifecycle: "done" };
    expect(states(first.json<{ steps: Step[] }>().steps)).toEqual({ ...all, "conditional writes": "ok" });
    // What was tried was tried elsewhere, and is gone.
    expect(server.keys("prompts").filter((key) => !key.includes(".probe"))).toEqual([]);
    const created = server.calls.filter(({ operation }) => operation === "CreateBucket").map(({ bucket }) => bucket);
    expect(created).toEqual(["prompts", expect.stringMatching(/^prompt-registry-probe-/)]);
    expect(server.calls.filter(({ operation }) => operation === "DeleteBucket")).toHaveLength(1);
    const plan = await run("setup", place());
    expect(plan.out).toMatch(/nothing to do\n$/);
    server.clearCalls();
    const second = await run("setup", place(), "--apply");
    expect(second.out).toMatch(/nothing to do\n$/);
    // Only the proof writes.
    expect(server.calls.filter(({ operation, key }) => /^(Put|Create|Delete)/.test(operation) && key === "")).toEqual(
      [],
    );
  });

  test("puts right what somebody changed, and leaves rules of others alone", async () => {
    await run("setup", place(), "--apply");
    const s3 = client();
    await s3.send(new DeletePublicAccessBlockCommand({ Bucket: "prompts" }));
    const other = { ID: "logs", Status: "Enabled", Filter: { Prefix: "logs/" }, Expiration: { Days: 3 } } as const;
    await s3.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: "prompts", LifecycleConfiguration: { Rules: [other] } }),
    );
    const plan = await run("setup", place(), "--json");
    expect(states(plan.json<{ steps: Step[] }>().steps)).toMatchObject({
      "public access": "later",
      versioning: "ok",
      encryption: "ok",
      lifecycle: "change",
    });
    await run("setup", place(), "--apply", "--head-days", "30");
    const { Rules = [] } = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: "prompts" }));
    s3.destroy();
    expect(Rules.map(({ ID }) => ID)).toEqual([
      "logs",
      "prompt-registry: unfinished uploads of team/",
      "prompt-registry: replaced heads of team/",
      "prompt-registry: probes of team/",
      "prompt-registry: old history of team/",
    ]);
    expect(Rules[2]?.NoncurrentVersionExpiration?.NoncurrentDays).toBe(30);
    // Documents never expire: no rule of ours reaches them but the one about uploads that were never finished.
    const reaching = Rules.filter(({ Filter }) => "team/prompts/a/v1.0.0.md".startsWith(Filter?.Prefix ?? "?"));
    expect(reaching.map(({ Expiration, Transitions }) => [Expiration, Transitions])).toEqual([[undefined, undefined]]);
    expect((await run("setup", place(), "--head-days", "30")).out).toMatch(/nothing to do\n$/);
  });

  test("warns of a rule that would remove documents", async () => {
    server.createBucket("prompts");
    const s3 = client();
    const Rules = [{ ID: "clean", Status: "Enabled", Filter: { Prefix: "" }, Expiration: { Days: 365 } } as const];
    await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket: "prompts", LifecycleConfiguration: { Rules } }));
    s3.destroy();
    const ran = await run("setup", place());
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/DANGER\tlifecycle\tclean would remove or freeze/);
  });

  test("tells what a store does not know, and does the rest", async () => {
    server.set({ unsupported: ["publicAccessBlock", "encryption"] });
    const ran = await run("setup", place(), "--apply", "--json");
    expect(ran.code).toBe(0);
    expect(states(ran.json<{ steps: Step[] }>().steps)).toMatchObject({
      "public access": "skipped",
      encryption: "skipped",
      lifecycle: "done",
    });
  });

  test("a store whose conditions do not hold is told, with the ways out, and gets no versioning", async () => {
    server.set({ dishonest: "serial" });
    const ran = await run("setup", place(), "--apply");
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(
      /^skipped\tversioning\tleft off: with it, this store can't be written safely .*If-None-Match/m,
    );
    expect(ran.out).toMatch(/^DANGER\tconditional writes\t.*single-writer/m);
  });

  test("a bucket of somebody else, or elsewhere, is one clear line", async () => {
    server.createBucket("far", { region: "eu-west-1" });
    const far = await run("setup", place("far"));
    expect([far.code, far.out]).toEqual([8, ""]);
    expect(far.err).toMatch(/region/);
    server.createBucket("theirs", { owner: "999999999999" });
    const theirs = await run("setup", `${place("theirs")}&expectedBucketOwner=${server.account}`);
    expect([theirs.code, theirs.out]).toEqual([6, ""]);
    expect((await run("setup")).err).toMatch(/missing BUCKET/);
    expect((await run("setup", "prompts", "--reads", "1")).err).toMatch(/s3 setup takes no --reads/);
  });
});

describe("s3 policy", () => {
  test("names what is granted, and where", async () => {
    const ran = await run("policy", "s3://prompts/team", "--read-only", "--prefix", "support/");
    expect(ran.json()).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Read",
          Effect: "Allow",
          Action: ["s3:GetObject"],
          Resource: [
            "arn:aws:s3:::prompts/team/prompts/support/*",
            "arn:aws:s3:::prompts/team/heads/support!.json",
            "arn:aws:s3:::prompts/team/heads/support/*",
            "arn:aws:s3:::prompts/team/history/support!/*",
            "arn:aws:s3:::prompts/team/history/support/*",
          ],
        },
        expect.objectContaining({ Sid: "List", Action: ["s3:ListBucket"], Resource: ["arn:aws:s3:::prompts"] }),
        {
          Sid: "ReadTheProof",
          Effect: "Allow",
          Action: ["s3:GetObject"],
          Resource: ["arn:aws:s3:::prompts/team/.probe.json"],
        },
      ],
    });
    const flags = ["--kms-key", "arn:aws-cn:kms:x:1:key/2", "--partition", "aws-cn"];
    const keyed = await run("policy", "prompts", ...flags);
    expect(keyed.out).toContain('"kms:GenerateDataKey"');
    expect(keyed.out).toContain('"arn:aws-cn:s3:::prompts/prompts/*"');
    expect((await run("policy", "prompts", "--admin", "--read-only")).code).toBe(2);
    expect((await run("policy", "prompts", "--prefix", "Not A Name")).code).toBe(2);
  });
});

describe("s3 cost", () => {
  test("counts requests and bytes, and multiplies", async () => {
    const million = String(1_000_000);
    const ran = await run("cost", "--latest-reads", million, "--writes", "1000", "--head-days", "30", "--json");
    const { lines, total } = ran.json<Cost & Record<string, unknown>>();
    const by = Object.fromEntries(lines.map(({ what, cost }) => [what, Number(cost.toFixed(4))]));
    expect(by).toMatchObject({ "GET of documents": 0.4, "GET of heads": 0.4, "PUT of documents": 0.005 });
    expect(by["PUT of heads and latest.json"]).toBe(0.01);
    expect(total).toBeCloseTo(lines.reduce((sum, { cost }) => sum + cost, 0));
    expect((await run("cost", "--reads", million)).out).toMatch(/^\d+\.\d\d USD a month$/m);
  });

  test("takes other prices from a file, and refuses what is no table", async () => {
    const world = new World();
    world.file("prices.json", JSON.stringify({ currency: "EUR", classes: { STANDARD: { get1000: 1 } } }));
    const ran = await world.run("s3", "cost", "--reads", "1000", "--prices", "prices.json", "--json");
    const { lines, currency } = ran.json<Cost & Record<string, unknown>>();
    expect([currency, lines.find(({ what }) => what === "GET of documents")?.cost]).toEqual(["EUR", 1]);
    world.file("wrong.json", JSON.stringify({ list1000: "dear" }));
    const wrong = await world.run("s3", "cost", "--prices", "wrong.json");
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringMatching(/no table of prices: list1000/)]);
    expect((await world.run("s3", "cost", "--storage-class", "GLACIER")).code).toBe(2);
    expect((await world.run("s3", "cost", "--print-prices")).json()).toHaveProperty("asOf");
  });
});
