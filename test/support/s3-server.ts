import { fakeS3 } from "../../src/testing/s3/index.ts";
import { radosgwProblem, startRadosGw } from "./radosgw.ts";
import { BUCKET, createBucket, type S3Place } from "./s3-suite.ts";

export interface S3Server extends S3Place {
  readonly title: string;
  stop(): Promise<void>;
}

/** A real server where one is installed, else the strict fake; with the bucket of the tests. */
export async function startS3(): Promise<S3Server> {
  if (radosgwProblem() === undefined) {
    const server = await startRadosGw();
    await createBucket(server);
    return { ...server, title: "RadosGW", stop: () => server.stop() };
  }
  const fake = await fakeS3();
  fake.createBucket(BUCKET);
  const { endpoint, region, credentials } = fake;
  return { ...credentials, endpoint, region, title: "the strict fake", stop: () => fake.close() };
}
