import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { RegistryError } from "../../errors.ts";
import type { Resolved } from "./options.ts";

/** How many writers race where it is tried whether a store keeps its conditions. */
export const RACERS = 16;

export type Sdk = typeof import("@aws-sdk/client-s3");

/** Loaded when a bucket is opened, and not before. */
export async function loadSdk(): Promise<Sdk> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (cause) {
    throw new RegistryError("CONFIG", "s3 storages need the AWS SDK: npm install @aws-sdk/client-s3", {
      field: "storage",
      cause,
    });
  }
}

async function loadProviders(): Promise<typeof import("@aws-sdk/credential-providers")> {
  try {
    return await import("@aws-sdk/credential-providers");
  } catch (cause) {
    throw new RegistryError(
      "CONFIG",
      "profile, roleArn and webIdentityTokenFile need a package of the AWS SDK: npm install @aws-sdk/credential-providers",
      { field: "storage", cause },
    );
  }
}

async function credentialsOf(options: Resolved) {
  const { credentials, profile, roleArn, externalId, webIdentityTokenFile, region } = options;
  const roleSessionName = options.roleSessionName ?? "prompt-registry";
  const clientConfig = region === undefined ? {} : { clientConfig: { region } };
  if (webIdentityTokenFile !== undefined && roleArn !== undefined) {
    const { fromTokenFile } = await loadProviders();
    return fromTokenFile({ webIdentityTokenFile, roleArn, roleSessionName, ...clientConfig });
  }
  if (profile === undefined && roleArn === undefined) return credentials;
  const providers = await loadProviders();
  const master = credentials ?? providers.fromNodeProviderChain(profile === undefined ? {} : { profile });
  if (roleArn === undefined) return master;
  const params = {
    RoleArn: roleArn,
    RoleSessionName: roleSessionName,
    ...(externalId === undefined ? {} : { ExternalId: externalId }),
  };
  return providers.fromTemporaryCredentials({ masterCredentials: master, params, ...clientConfig });
}

/** A client that tries once, keeps connections open and gives up in time: what to do next is decided here, not in the SDK. */
export async function createClient(sdk: Sdk, options: Resolved): Promise<S3Client> {
  const { endpoint, concurrency, requestTimeout, connectTimeout } = options;
  const region = options.region ?? (endpoint === undefined ? undefined : "us-east-1");
  const credentials = await credentialsOf(options);
  const agent = { keepAlive: true, maxSockets: Math.max(concurrency, RACERS) };
  return new sdk.S3Client({
    maxAttempts: 1,
    // Other checksums than the one we send ourselves need trailers, which compatible stores refuse.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    followRegionRedirects: false,
    requestHandler: {
      connectionTimeout: connectTimeout,
      requestTimeout,
      throwOnRequestTimeout: true,
      socketTimeout: requestTimeout,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(credentials === undefined ? {} : { credentials }),
  } as S3ClientConfig);
}
