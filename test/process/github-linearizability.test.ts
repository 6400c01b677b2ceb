import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { checkLinearizable, runHistory } from "../../src/testing/linearizability/index.ts";
import { openGithub } from "../support/github-world.ts";

const FULL = process.env.PROMPT_REGISTRY_GITHUB_FULL === "1";
const HISTORIES = 20;
const OPS = FULL ? 100 : 10;

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub({ limits: { core: 1e7, graphql: 1e7 } });
});
afterAll(async () => {
  await server.close();
});

// More than is promised: where no replica lags and nothing is answered from memory, all clients of all handles agree.
describe(`8 clients on two handles, ${OPS} calls each`, () => {
  test.each(Array.from({ length: HISTORIES }, (_, i) => i + 1))(
    "history %i is linearizable per prompt",
    async (seed) => {
      const at = await server.addRepository({ name: `lin-${randomUUID()}` });
      const handles = [await openGithub(server, at), await openGithub(server, at)];
      const history = await runHistory({ handles, clients: 8, ops: OPS, seed });
      const verdict = checkLinearizable(history, { together: true });
      expect(verdict.ok, verdict.message).toBe(true);
      await Promise.all(handles.map((handle) => handle.close()));
    },
  );
});

// What is promised: each client on its own sees what it wrote and never goes back, though replicas lag.
describe("8 clients on handles of their own, reads that lag", () => {
  test.each([1, 2, 3, 4])(
    "history %i: each client reads its writes, and no older state after a newer one",
    async (seed) => {
      const at = await server.addRepository({ name: `lag-${randomUUID()}` });
      const handles = await Promise.all(Array.from({ length: 8 }, () => openGithub(server, at)));
      server.lag = 50;
      try {
        const history = await runHistory({ handles, clients: 8, ops: OPS, seed });
        const highest = new Map<string, number>();
        const there = new Set<string>();
        for (const { client, prompt, call, result } of [...history].sort((a, b) => a.returned - b.returned)) {
          const key = `${client} ${prompt}`;
          if ("seen" in result && result.seen !== undefined) {
            expect(result.seen.generation).toBeGreaterThanOrEqual(highest.get(key) ?? 0);
            highest.set(key, result.seen.generation);
          }
          if (call.kind !== "read" && call.kind !== "publish") continue;
          const slot = `${key}@${call.version}`;
          if (call.kind === "publish" && (result.status === "done" || result.status === "exists")) there.add(slot);
          if (call.kind === "read" && there.has(slot)) expect(result.status).not.toBe("absent");
        }
      } finally {
        server.lag = 0;
      }
      await Promise.all(handles.map((handle) => handle.close()));
    },
  );
});
