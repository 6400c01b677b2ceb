/** A server whose callers have one right or another. */
import type { Change, Outcome, StorageDriver } from "../../src/driver.ts";
import { http } from "../../src/drivers/http/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import type { Grant } from "../../src/server/types.ts";
import { commitOf } from "../../src/testing/builders.ts";
import { accessOf, auditTrail, httpWorld } from "./http-world.ts";

export const A = parseName("a");
export const NOW = "2026-06-01T12:00:00.000Z";

const all = (...rights: Grant["right"][]): Grant[] => rights.map((right) => ({ right, prefix: "" }));

export const TOKENS = {
  writer: all("read", "write"),
  blind: all("write"),
  promoter: [...all("read", "promote"), { right: "promote", prefix: "", labels: ["production"] }] as Grant[],
  admin: all("read", "write", "promote", "admin")
    .filter((g) => g.right !== "admin")
    .concat(all("admin")),
  importer: all("read", "write", "promote", "import"),
  reader: all("read"),
};

export async function world() {
  const audit = auditTrail();
  // `admin` holds every right, so an administrator without the right to import is made by hand.
  const access = accessOf(TOKENS);
  const allows = access.allows.bind(access);
  const inner = memory();
  const made = httpWorld(
    {
      access: {
        ...access,
        allows: (principal, right, resource) =>
          right === "import" && principal.name === "admin" ? false : allows(principal, right, resource),
      },
      audit,
      now: () => new Date(NOW),
    },
    inner,
  );
  const client = (token: keyof typeof TOKENS): Promise<StorageDriver> =>
    http({ url: "http://127.0.0.1:1", token, env: {}, fetch: (request) => made.handler(request) });
  const registryOf = async (token: keyof typeof TOKENS, author = "somebody else") =>
    new PromptRegistry(await client(token), { author });
  const one = async (token: keyof typeof TOKENS, change: Change, id = "c1"): Promise<Outcome> => {
    try {
      const at = "2026-01-01T00:00:00.000Z";
      return (await (await client(token)).commit(commitOf(change, { id, at })))[0] as Outcome;
    } catch (error) {
      return { status: "failed", error: error as never };
    }
  };
  const stateOf = async () => {
    const [answer] = await inner.read([{ name: A, selector: { kind: "head" } }]);
    return answer?.status === "head" ? answer.head : undefined;
  };
  return { ...made, audit, client, registryOf, one, stateOf, inner };
}

export const codeOf = (outcome: Outcome) => (outcome.status === "failed" ? outcome.error.code : outcome.status);
