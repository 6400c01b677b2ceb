import { afterAll, beforeAll } from "vitest";
import { type FakeS3, fakeS3 } from "../../src/testing/s3/index.ts";
import { COMPOSED, composed } from "../support/composed.ts";
import { BUCKET, s3Suite } from "../support/s3-suite.ts";

let fake: FakeS3;
beforeAll(async () => {
  fake = await fakeS3();
  fake.createBucket(BUCKET);
});
afterAll(() => fake.close());

const place = () => ({ ...fake.credentials, endpoint: fake.endpoint, region: fake.region });
// What is written behind the callers' backs is tried without layers around it.
s3Suite(`${COMPOSED} over s3`, place, { latestJson: false }, (driver) => composed(driver));
