import type { Commit, Operation, Outcome } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { commitReply, MAX_CHANGES } from "../../server/protocol/schemas.ts";
import { commitToWire, outcomeFromWire } from "../../server/protocol/wire.ts";
import type { Client } from "./client.ts";
import type { ServiceInfo } from "./service.ts";

/** Room for what stands around the changes. */
const AROUND = 10_000;

/** Sends a commit in as few requests as the server's limits allow. */
export async function commit(
  client: Client,
  service: ServiceInfo,
  whole: Commit,
  op: Operation | undefined,
): Promise<readonly Outcome[]> {
  const { changes, ...rest } = commitToWire(whole);
  const parts = partsOf(changes, service.bodyBytes - AROUND);
  if (whole.atomic === true && changes.length > 1) {
    const { atomicity } = service.capabilities;
    if (atomicity !== "batch" || parts.length > 1) {
      const why =
        atomicity === "batch" ? "together they are larger than one request may be" : "its storage can't do that";
      throw new RegistryError("UNSUPPORTED", `${client.place.base} can't change several prompts atomically: ${why}`, {
        ...client.context,
      });
    }
  }
  const outcomes: Outcome[] = [];
  for (const [i, part] of parts.entries()) {
    try {
      outcomes.push(...(await send(client, rest, part, op)));
    } catch (error) {
      if (i === 0 || !isRegistryError(error)) throw error;
      // Parts before this one are done and say so; those after it are not sent.
      const unsent = new RegistryError(error.code, error.message, {
        ...error.context,
        outcome: error.outcome === "unknown" ? "temporary" : error.outcome,
      });
      for (const _ of part) outcomes.push({ status: "failed", error });
      while (outcomes.length < changes.length) outcomes.push({ status: "failed", error: unsent });
      return outcomes;
    }
  }
  return outcomes;
}

type Wire = ReturnType<typeof commitToWire>;

/** Each change as JSON, in as many lists as keep within the limit. A change that is larger goes alone. */
function partsOf(changes: Wire["changes"], limit: number): string[][] {
  const parts: string[][] = [];
  let room = 0;
  for (const change of changes) {
    const json = JSON.stringify(change);
    const size = Buffer.byteLength(json) + 1;
    const last = parts.at(-1);
    if (last === undefined || size > room || last.length >= MAX_CHANGES) {
      parts.push([json]);
      room = limit - size;
    } else {
      last.push(json);
      room -= size;
    }
  }
  return parts;
}

async function send(
  client: Client,
  rest: Omit<Wire, "changes">,
  changes: readonly string[],
  op: Operation | undefined,
): Promise<readonly Outcome[]> {
  const { outcomes } = await client.ask({
    method: "POST",
    path: "/v1/commits",
    body: `${JSON.stringify(rest).slice(0, -1)},"changes":[${changes.join(",")}]}`,
    reply: commitReply,
    operation: "commit",
    mutates: true,
    op,
  });
  if (outcomes.length === changes.length) return outcomes.map((wire) => outcomeFromWire(wire, client.context));
  throw new RegistryError(
    "UNAVAILABLE",
    `${client.place.base} gave ${outcomes.length} outcomes to ${changes.length} changes`,
    { ...client.context, operation: "commit", outcome: "unknown" },
  );
}
