// A fake S3 for each test, and a client that may do everything.
import {
  GetObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach } from "vitest";
import { type FakeCredentials, type FakeS3, type FakeS3Options, fakeS3 } from "../../src/testing/s3/index.ts";

export const Bucket = "prompts";
export let server: FakeS3;
export let client: S3Client;
const clients: S3Client[] = [];

export function connect(credentials: FakeCredentials, more: S3ClientConfig = {}): S3Client {
  const { endpoint, region } = server;
  const made = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1, ...more });
  clients.push(made);
  return made;
}

export async function start(options: FakeS3Options = {}): Promise<void> {
  server = await fakeS3(options);
  server.createBucket(Bucket);
  client = connect(server.credentials);
}

beforeEach(() => start());
afterEach(async () => {
  for (const made of clients.splice(0)) made.destroy();
  await server.close();
});

export const put = (Key: string, Body: string, more: Partial<PutObjectCommandInput> = {}, by = client) =>
  by.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
export const get = async (Key: string, by = client) => {
  const reply = await by.send(new GetObjectCommand({ Bucket, Key }));
  return { ...reply, text: await reply.Body?.transformToString() };
};
/** The status and the code of what a call failed with. */
export const failure = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return `${$metadata?.httpStatusCode} ${name}`;
  }
  return "nothing failed";
};
