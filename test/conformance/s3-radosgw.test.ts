import { afterAll, beforeAll } from "vitest";
import { type RadosGwServer, radosgwProblem, startRadosGw } from "../support/radosgw.ts";
import { createBucket, s3Suite } from "../support/s3-suite.ts";
import { skipSuite } from "../support/skip.ts";

const problem = radosgwProblem();
if (problem !== undefined) skipSuite("s3 on RadosGW", problem);
else {
  let server: RadosGwServer;
  beforeAll(async () => {
    server = await startRadosGw();
    await createBucket(server);
  }, 120_000);
  afterAll(() => server?.stop());

  s3Suite("s3 on RadosGW", () => server);
}
