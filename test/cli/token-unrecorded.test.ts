import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { fileTokens, issueToken } from "../../src/server/access/index.ts";
import { World } from "./world.ts";

/** A log that is well until it is written to. */
vi.mock("../../src/server/audit/index.ts", () => ({
  openAudit: async () => ({
    async ready() {},
    append: () => Promise.reject(new Error("the disk is full")),
    async close() {},
  }),
}));

const tokensOf = (world: World) => fileTokens(join(world.folder, ".prompt-registry", "tokens.jsonl"));

test("a token that could not be written into the audit log is not shown, and lets nobody in", async () => {
  const world = new World();
  const made = await world.run("token", "create", "ci", "--scope", "read");
  expect(made).toMatchObject({ code: 7, out: "" });
  const tokens = tokensOf(world);
  const [record] = await tokens.list();
  await tokens.close();
  expect(record?.revokedAt).toBeDefined();
  expect(made.err).toContain(`the audit log could not be written, so token ${record?.id} was revoked`);
  expect(made.err).not.toContain("prg_");
});

test("a revocation that could not be written down holds, and is told as what it is", async () => {
  const world = new World();
  const tokens = tokensOf(world);
  const { record } = await issueToken(tokens, { name: "ci", scopes: ["read"] });
  const ran = await world.run("token", "revoke", record.id);
  expect(ran).toMatchObject({ code: 7, out: "" });
  expect(ran.err).toContain(`but token ${record.id} is revoked all the same`);
  const after = tokensOf(world);
  expect((await after.get(record.id))?.revokedAt).toBeDefined();
  await Promise.all([tokens.close(), after.close()]);
});
