import { createHash } from "node:crypto";
import type { HistoryEntry } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { StatusError } from "../protocol/problem.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { withCheck } from "./policy.ts";
import { nameOf } from "./read-routes.ts";
import { messageOf, pointer, registryOf } from "./write-routes.ts";

/** Entries of the history among which a key is looked for, the newest first. */
const KEY_ENTRIES = 1000;

/** The id of the commit that is made under this key: another caller's same key is another id. */
function keyedId({ request, principal }: Call): string | undefined {
  const key = request.headers.get("idempotency-key") ?? undefined;
  if (key === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) {
    throw new StatusError(400, "INVALID", "Idempotency-Key must be 1 to 200 visible ASCII characters", {
      field: "Idempotency-Key",
    });
  }
  return `key-${createHash("sha256")
    .update(JSON.stringify([principal.id, key]))
    .digest("hex")}`;
}

/** What was done under this id already, as the history of the prompt tells. */
async function doneBefore(call: Call, id: string): Promise<HistoryEntry | undefined> {
  let cursor: string | undefined;
  for (let left = KEY_ENTRIES; left > 0; ) {
    const query = { limit: left, ...(cursor === undefined ? {} : { cursor }) };
    const page = await call.shared.driver.history(nameOf(call), query, { fresh: true });
    const entry = page.items.find(({ commit }) => commit === id);
    if (entry !== undefined) return sameAsked(call, entry);
    cursor = page.cursor;
    if (cursor === undefined) return undefined;
    left -= Math.max(1, page.items.length);
  }
  return undefined;
}

function sameAsked(call: Call, entry: HistoryEntry): HistoryEntry {
  const { to } = call.body as { to?: string };
  if (entry.action === "rollback" && (to === undefined || to === entry.to)) return entry;
  throw new StatusError(422, "INVALID", "this Idempotency-Key was used for another change", {
    field: "Idempotency-Key",
  });
}

function again(call: Call, { to, from }: HistoryEntry): Result {
  return pointer(call, {
    name: nameOf(call),
    status: "unchanged",
    ...(to === undefined ? {} : { version: to }),
    ...(from === undefined ? {} : { from }),
  });
}

async function rollback(call: Call): Promise<Result> {
  const { driver } = call.shared;
  const name = nameOf(call);
  const { to } = call.body as { to?: string };
  const options = { ...messageOf(call), ...(to === undefined ? {} : { to }) };
  const id = keyedId(call);
  if (id === undefined) return pointer(call, await registryOf(call).rollback(name, options));
  let before = await doneBefore(call, id);
  if (before !== undefined) return again(call, before);
  // Asked before each try, too: the head is compared-and-set, so of two under one key the second one finds the first.
  const once = withCheck(driver, async () => {
    before = await doneBefore(call, id);
    if (before !== undefined) throw new RegistryError("INVALID", "this was done under the same Idempotency-Key");
  });
  try {
    return pointer(call, await registryOf(call, once, id).rollback(name, options));
  } catch (error) {
    if (before !== undefined) return again(call, before);
    throw error;
  }
}

export const rollbackRoutes = { "rollback.post": rollback } satisfies Record<string, RouteHandler>;
