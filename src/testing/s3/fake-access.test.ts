import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { Bucket, client, connect, failure, get, put, server, start } from "../../../test/support/fake-s3-lab.ts";
import type { Policy } from "./index.ts";

describe("buckets", () => {
  test("are made, found, described and listed", async () => {
    await client.send(new CreateBucketCommand({ Bucket: "second" }));
    expect(await failure(client.send(new CreateBucketCommand({ Bucket: "Bad" })))).toBe("400 InvalidBucketName");
    expect(await failure(client.send(new CreateBucketCommand({ Bucket: "second" })))).toBe(
      "409 BucketAlreadyOwnedByYou",
    );
    const { BucketRegion } = await client.send(new HeadBucketCommand({ Bucket: "second" }));
    const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket: "second" }));
    expect([BucketRegion, LocationConstraint ?? ""]).toEqual(["us-east-1", ""]);
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toEqual([Bucket, "second"]);
  });

  test("keep versions and delete markers once they are told to", async () => {
    await put("k", "0");
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
    expect((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe("Enabled");
    const { VersionId } = await put("k", "1");
    const { DeleteMarker } = await client.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
    expect(DeleteMarker).toBe(true);
    expect(await failure(get("k"))).toBe("404 NoSuchKey");
    // A marker counts as nothing, also to a create-only write.
    const { VersionId: third } = await put("k", "2", { IfNoneMatch: "*" });
    const old = await client.send(new GetObjectCommand({ Bucket, Key: "k", VersionId }));
    expect(await old.Body?.transformToString()).toBe("1");
    const { Versions, DeleteMarkers } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    expect(Versions?.map((version) => version.VersionId)).toEqual([third, VersionId, "null"]);
    expect(DeleteMarkers).toHaveLength(1);
  });

  test("keep configurations as they were put, and start with those of S3", async () => {
    const block = await client.send(new GetPublicAccessBlockCommand({ Bucket }));
    expect(block.PublicAccessBlockConfiguration?.BlockPublicPolicy).toBe(true);
    await client.send(new DeletePublicAccessBlockCommand({ Bucket }));
    expect(await failure(client.send(new GetPublicAccessBlockCommand({ Bucket })))).toMatch(
      /^404 NoSuchPublicAccessBlock/,
    );
    const encryption = await client.send(new GetBucketEncryptionCommand({ Bucket }));
    const [rule] = encryption.ServerSideEncryptionConfiguration?.Rules ?? [];
    expect(rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm).toBe("AES256");
    const lifecycle = () => client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    expect(await failure(lifecycle())).toBe("404 NoSuchLifecycleConfiguration");
    const Rules = [{ ID: "a", Status: "Enabled", Filter: { Prefix: "x/" }, Expiration: { Days: 3 } } as const];
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [...Rules] } }),
    );
    expect((await lifecycle()).Rules).toEqual(Rules);
    server.set({ unsupported: ["lifecycle"] });
    expect(await failure(lifecycle())).toBe("501 NotImplemented");
  });

  test("of another owner are found out, and who pays is asked", async () => {
    const call = (ExpectedBucketOwner: string) =>
      failure(client.send(new HeadBucketCommand({ Bucket, ExpectedBucketOwner })));
    expect(await call(server.account)).toBe("nothing failed");
    expect(await call("999999999999")).toMatch(/^403 /);
    server.createBucket("paid", { requesterPays: true });
    const stranger = connect(server.createUser({ account: "999999999999" }));
    const list = (more: object) => failure(stranger.send(new ListObjectsV2Command({ Bucket: "paid", ...more })));
    expect(await list({})).toBe("403 AccessDenied");
    expect(await list({ RequestPayer: "requester" })).toBe("nothing failed");
  });
});

describe("access", () => {
  test("a wrong secret, an unknown key and nobody are refused", async () => {
    const { accessKeyId } = server.credentials;
    expect(await failure(get("k", connect({ accessKeyId, secretAccessKey: "x" })))).toBe("403 SignatureDoesNotMatch");
    expect(await failure(get("k", connect({ accessKeyId: "AKIANONE", secretAccessKey: "x" })))).toBe(
      "403 InvalidAccessKeyId",
    );
    expect((await fetch(`${server.endpoint}/${Bucket}/k`)).status).toBe(403);
  });

  test("a signature is over what was sent, and the clock counts", async () => {
    await server.close();
    await start({ clock: () => Date.now() + 16 * 60_000 });
    // The SDK would put its clock right and try again: it is told the time once, and does.
    expect(await failure(get("k"))).toMatch(/RequestTimeTooSkewed|NoSuchKey/);
    expect(server.calls[0]?.status).toBe(403);
  });

  test("the wrong region is told, with the right one", async () => {
    expect(await failure(get("k", connect(server.credentials, { region: "eu-west-1" })))).toBe(
      "400 AuthorizationHeaderMalformed",
    );
    server.createBucket("far", { region: "eu-west-1" });
    try {
      await client.send(new ListObjectsV2Command({ Bucket: "far" }));
      expect.unreachable();
    } catch (error) {
      const { $response, name } = error as { name: string; $response?: { headers: Record<string, string> } };
      expect([name, $response?.headers["x-amz-bucket-region"]]).toEqual(["PermanentRedirect", "eu-west-1"]);
    }
  });

  test("a session ends when it says, and needs its token", async () => {
    let now = Date.now();
    await server.close();
    await start({ clock: () => now });
    await put("k", "1");
    const session = server.createSession({ expiresAt: now + 60_000 });
    expect((await get("k", connect(session))).text).toBe("1");
    const { sessionToken: _, ...bare } = session;
    expect(await failure(get("k", connect(bare)))).toBe("400 InvalidToken");
    now += 61_000;
    expect(await failure(get("k", connect(session)))).toBe("400 ExpiredToken");
  });

  test("policies say who may do what, and who may know what is absent", async () => {
    await put("a/1", "1");
    await put("b/1", "1");
    const read: Policy = {
      Statement: [
        { Effect: "Allow", Action: "s3:Get*", Resource: `arn:aws:s3:::${Bucket}/a/*` },
        {
          Effect: "Allow",
          Action: ["s3:ListBucket"],
          Resource: [`arn:aws:s3:::${Bucket}`],
          Condition: { StringLike: { "s3:prefix": "a/*" } },
        },
      ],
    };
    const reader = connect(server.createUser({ policies: [read] }));
    expect((await get("a/1", reader)).text).toBe("1");
    expect(await failure(get("b/1", reader))).toBe("403 AccessDenied");
    expect(await failure(get("a/none", reader))).toBe("404 NoSuchKey");
    expect(await failure(get("b/none", reader))).toBe("403 AccessDenied");
    server.set({ prefixHidesAbsent: true });
    expect(await failure(get("a/none", reader))).toBe("403 AccessDenied");
    expect(await failure(put("a/2", "x", {}, reader))).toBe("403 AccessDenied");
    const list = (Prefix?: string) => failure(reader.send(new ListObjectsV2Command({ Bucket, Prefix })));
    expect([await list("a/x"), await list("b/"), await list()]).toEqual([
      "nothing failed",
      "403 AccessDenied",
      "403 AccessDenied",
    ]);
    const deny: Policy = { Statement: [{ Effect: "Deny", Action: "*", Resource: "*/1" }] };
    expect(await failure(get("a/1", connect(server.createUser({ policies: [read, deny] }))))).toBe("403 AccessDenied");
    const session = server.createSession({ sessionPolicy: read, expiresAt: Date.now() + 60_000 });
    expect(await failure(put("a/2", "x", {}, connect(session)))).toBe("403 AccessDenied");
    expect(() =>
      server.createUser({ policies: [{ Statement: [{ ...read.Statement[0], NotAction: "x" } as never] }] }),
    ).toThrow("NotAction is not evaluated");
  });
});
