import type { Operation, ReadAnswer, ReadAsk, RepairPlan } from "../../driver.ts";
import { readable } from "./authorize.ts";
import { commitRoute } from "./commit.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { eventStream } from "./events.ts";
import { operationOf } from "./read-routes.ts";

/** Of the texts in one reply; the client asks for the rest again. */
const MAX_REPLY = 8 * 2 ** 20;
const STEP = 32;
const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

async function reads(call: Call): Promise<Result> {
  const { driver, access } = call.shared;
  const { asks, fresh } = call.body as { readonly asks: readonly ReadAsk[]; readonly fresh?: boolean };
  const op: Operation = { signal: call.request.signal, ...(fresh === undefined ? {} : { fresh }) };
  const isReadable = readable(access, call.principal);
  const denied = asks.filter(({ name }) => !isReadable(name));
  if (denied.length > 0) {
    call.note.outcome = "denied";
    call.note.note = `${denied.length} of ${asks.length} asks`;
    call.note.prompt = denied[0]?.name as string;
  }
  const answers: ReadAnswer[] = [];
  let bytes = 0;
  // Small ones all at once; large ones a few at a time, so that a reply never holds more than it may.
  const step = Math.min(STEP, driver.capabilities.maxBatch);
  for (let i = 0; i < asks.length && bytes < MAX_REPLY; i += step) {
    const part = asks.slice(i, i + step);
    const mine = part.filter(({ name }) => isReadable(name));
    const got = (mine.length === 0 ? [] : await driver.read(mine, op))[Symbol.iterator]();
    for (const { name } of part) {
      const answer = isReadable(name) ? (got.next().value as ReadAnswer) : ABSENT;
      const { lease: _, ...plain } = answer;
      answers.push(plain);
      if ("document" in plain) bytes += plain.document.text.length;
    }
  }
  return { status: 200, json: { answers } };
}

async function changes(call: Call): Promise<Result> {
  const { driver, access } = call.shared;
  const { limit = 1000, cursor } = call.query as { limit?: number; cursor?: string };
  const isReadable = readable(access, call.principal);
  if (wantsEvents(call.request)) {
    const last = call.request.headers.get("last-event-id") ?? cursor;
    return {
      status: 200,
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no" },
      stream: await eventStream(call, last),
    };
  }
  const query = { limit, ...(cursor === undefined ? {} : { cursor }) };
  const page = await driver.changes(query, operationOf(call));
  return { status: 200, json: { ...page, items: page.items.filter(({ name }) => isReadable(name)) } };
}

function wantsEvents(request: Request): boolean {
  return /(?:^|,)\s*text\/event-stream\s*(?:;|,|$)/.test(request.headers.get("accept") ?? "");
}

export const bulkRoutes = {
  "reads.post": reads,
  "commits.post": commitRoute,
  "changes.list": changes,
  "check.get": async (call) => ({ status: 200, json: await call.shared.driver.check({ signal: call.request.signal }) }),
  "verify.get": async (call) => {
    const { name } = call.query as { name?: string };
    return { status: 200, json: await call.shared.registry.verify(name, { signal: call.request.signal }) };
  },
  "repair.post": async (call) => {
    const plan = call.body as RepairPlan;
    const mine = { ...plan, at: call.shared.now().toISOString(), by: call.principal.name };
    return { status: 200, json: await call.shared.driver.repair(mine) };
  },
} satisfies Record<string, RouteHandler>;
