import type { Operation, ReadAnswer, ReadAsk, RepairPlan } from "../../driver.ts";
import { readable } from "./authorize.ts";
import { commitRoute } from "./commit.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { eventStream } from "./events.ts";
import { operationOf } from "./read-routes.ts";

/** Bytes of answers in one reply, unless it is a single one; the client asks for the rest again. */
const MAX_REPLY = 8 * 2 ** 20;
const MOST_AT_ONCE = 32;
/** So many are asked for before it is known how large they are. */
const AT_ONCE = 8;
/** Smaller ones are not counted on: the next may be larger. */
const USUAL = 64 * 2 ** 10;
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
  const seen = new Map<string, { readonly answer: ReadAnswer; readonly bytes: number }>();
  let bytes = 0;
  let largest = USUAL;
  let step = Math.min(AT_ONCE, driver.capabilities.maxBatch);
  for (let i = 0; i < asks.length; ) {
    const part = asks.slice(i, i + step).map((ask) => ({ ask, key: JSON.stringify(ask) }));
    // What is asked for twice is read once.
    const wanted = new Map(
      part.filter(({ ask, key }) => isReadable(ask.name) && !seen.has(key)).map((p) => [p.key, p]),
    );
    const mine = [...wanted.values()];
    const got =
      mine.length === 0
        ? []
        : await driver.read(
            mine.map(({ ask }) => ask),
            op,
          );
    for (const [at, { key }] of mine.entries()) {
      const { lease: _, ...answer } = got[at] as ReadAnswer;
      // As it is sent: a character may take six bytes.
      const size = Buffer.byteLength(JSON.stringify(answer)) + 1;
      largest = Math.max(largest, size);
      seen.set(key, { answer, bytes: size });
    }
    for (const { key } of part) {
      const { answer, bytes: size } = seen.get(key) ?? { answer: ABSENT, bytes: 20 };
      if (answers.length > 0 && bytes + size > MAX_REPLY) return { status: 200, json: { answers } };
      answers.push(answer);
      bytes += size;
    }
    i += part.length;
    // Small ones many at once; large ones a few at a time, so that not much more is read than is sent.
    const fitting = Math.floor((MAX_REPLY - bytes) / largest);
    step = Math.max(1, Math.min(MOST_AT_ONCE, driver.capabilities.maxBatch, fitting));
  }
  return { status: 200, json: { answers } };
}

/** Pages of the feed that are passed over in one request, as all on them is for others. */
const MOST_FOREIGN = 100;

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
  // An empty page says that there is nothing more for now: it should not be one of events that others may read.
  let from = cursor;
  for (let pages = 1; ; pages++) {
    const page = await driver.changes({ limit, ...(from === undefined ? {} : { cursor: from }) }, operationOf(call));
    const items = page.items.filter(({ name }) => isReadable(name));
    if (items.length > 0 || page.items.length === 0 || page.cursor === from || pages === MOST_FOREIGN) {
      return { status: 200, json: { ...page, items } };
    }
    from = page.cursor;
  }
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
