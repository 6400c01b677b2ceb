import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { s3 } from "../../src/drivers/s3/index.ts";
import { checkLinearizable, runHistory } from "../../src/testing/linearizability/index.ts";
import { type S3Server, startS3 } from "../support/s3-server.ts";
import { FULL, optionsOf } from "../support/s3-suite.ts";

const HISTORIES = FULL ? 20 : 3;
const OPS = FULL ? 200 : 60;

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server?.stop());

describe(`S3: 8 clients on two handles, ${OPS} calls each`, () => {
  test.each(Array.from({ length: HISTORIES }, (_, i) => i + 1))(
    "history %i is linearizable per prompt",
    async (seed) => {
      const options = optionsOf(server, { prefix: `lin/${seed}` });
      const handles = [await s3(options), await s3(options)];
      const history = await runHistory({ handles, clients: 8, ops: OPS, seed, opsPerPrompt: 20 });
      const verdict = checkLinearizable(history, { together: false });
      expect(verdict.ok, verdict.message).toBe(true);
      expect(history.length).toBeGreaterThan(8 * OPS * 0.9);
      await Promise.all(handles.map((handle) => handle.close()));
    },
  );
});
