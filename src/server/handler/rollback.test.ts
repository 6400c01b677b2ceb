import { describe, expect, it } from "vitest";
import { accessOf, httpWorld } from "../../../test/support/http-world.ts";
import type { Grant } from "../types.ts";

const all = (...rights: Grant["right"][]): Grant[] => rights.map((right) => ({ right, prefix: "" }));
const PATH = "/v1/prompts/a/-";

async function world() {
  const rights = all("read", "write", "promote");
  const made = httpWorld({ access: accessOf({ ada: rights, bob: rights }) });
  for (const version of ["1.0.0", "2.0.0", "3.0.0", "4.0.0"])
    await made.registry.storePrompt({ name: "a", version, text: version });
  const roll = (key: string, token = "ada", json: { to?: string } = {}) =>
    made.send("POST", `${PATH}/rollback`, { token, headers: { "idempotency-key": key }, json });
  return { ...made, roll };
}

describe("Idempotency-Key", () => {
  it("of a rollback belongs to its caller: another's same key is another change", async () => {
    const { roll, registry } = await world();
    expect((await roll("k")).json).toMatchObject({ status: "changed", version: "3.0.0" });
    expect((await roll("k", "bob")).json).toMatchObject({ status: "changed", version: "2.0.0" });
    expect((await roll("k")).json).toMatchObject({ status: "unchanged", version: "3.0.0" });
    expect((await registry.getPrompt("a")).version).toBe("2.0.0");
    expect((await roll("k", "ada", { to: "1.0.0" })).status).toBe(422);
  });

  it("sent twice at once rolls back once", async () => {
    const { roll, registry } = await world();
    const replies = await Promise.all([roll("k"), roll("k"), roll("k")]);
    expect(replies.map(({ status, json }) => [status, json.version])).toEqual(Array(3).fill([200, "3.0.0"]));
    const entries = (await registry.history("a").all()).filter(({ action }) => action === "rollback");
    expect(entries.length).toBe(1);
  });

  it("is found behind many other changes", async () => {
    const { roll, registry } = await world();
    await roll("k");
    for (let i = 0; i < 150; i++) await registry.deprecate("a", `reason ${i}`);
    expect((await roll("k")).json).toMatchObject({ status: "unchanged", version: "3.0.0" });
    expect((await registry.getPrompt("a")).version).toBe("3.0.0");
  });

  it("is refused where it would do nothing, and does no harm to a restore", async () => {
    const { send, registry } = await world();
    const headers = { "idempotency-key": "k" };
    const reply = await send("POST", `${PATH}/versions`, { token: "ada", headers, json: { bump: "patch", text: "t" } });
    expect([reply.status, reply.json.code, reply.json.context.field]).toEqual([400, "INVALID", "Idempotency-Key"]);
    expect((await registry.getPrompt("a")).version).toBe("4.0.0");
  });
});
