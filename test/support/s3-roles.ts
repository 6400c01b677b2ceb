import type { PolicyDocument } from "../../src/cli/s3/policy.ts";
import type { S3Options } from "../../src/drivers/s3/index.ts";
import type { FakeS3 } from "../../src/testing/s3/index.ts";
import type { RadosGwServer } from "./radosgw.ts";

type Credentials = NonNullable<Extract<S3Options["credentials"], object>>;

/** A server that enforces policies of IAM, with one bucket to try them on. */
export interface PolicyServer {
  readonly name: string;
  readonly bucket: string;
  readonly place: Pick<S3Options, "bucket" | "endpoint" | "region">;
  /** May do everything. */
  readonly owner: Credentials;
  /** Credentials of one who may do what the policy says, and nothing else. */
  grant(policy: PolicyDocument): Promise<Credentials>;
}

export function fakeWithPolicies(server: FakeS3, bucket: string): PolicyServer {
  server.createBucket(bucket);
  return {
    name: "the fake",
    bucket,
    place: { bucket, endpoint: server.endpoint, region: server.region },
    owner: server.credentials as Credentials,
    grant: async (policy) => server.createUser({ policies: [policy as never] }) as Credentials,
  };
}

/** Policies are put on a role each, which the owner takes by STS. */
export async function radosGwWithPolicies(server: RadosGwServer, bucket: string): Promise<PolicyServer> {
  const { S3Client, CreateBucketCommand } = await import("@aws-sdk/client-s3");
  const { fromTemporaryCredentials } = await import("@aws-sdk/credential-providers");
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const owner = { accessKeyId, secretAccessKey };
  const region = "us-east-1";
  const client = new S3Client({ endpoint, region, credentials: owner, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  const trust = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: ["arn:aws:iam:::user/owner"] }, Action: ["sts:AssumeRole"] }],
  };
  let roles = 0;
  return {
    name: "RadosGW",
    bucket,
    place: { bucket, endpoint, region },
    owner,
    async grant(policy) {
      const role = `role${++roles}`;
      const named = `--role-name=${role}`;
      await server.admin("role", "create", named, "--path=/", `--assume-role-policy-doc=${JSON.stringify(trust)}`);
      const document = `--policy-doc=${JSON.stringify(policy, withoutUnknown)}`;
      await server.admin("role-policy", "put", named, "--policy-name=own", document);
      const found = await fromTemporaryCredentials({
        masterCredentials: owner,
        params: { RoleArn: `arn:aws:iam:::role/${role}`, RoleSessionName: "test" },
        clientConfig: { endpoint, region },
      })();
      const { sessionToken } = found;
      return {
        accessKeyId: found.accessKeyId,
        secretAccessKey: found.secretAccessKey,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      };
    },
  };
}

/** RadosGW 16 refuses a policy with actions that it does not know. */
function withoutUnknown(key: string, value: unknown): unknown {
  if (key !== "Action" || !Array.isArray(value)) return value;
  return value.filter((action) => !String(action).endsWith("EncryptionConfiguration"));
}
