import type { Stream } from "../client.ts";
import type { Json, Tools } from "../tools.ts";
import { type Check, Violation } from "../types.ts";

const WRITE = ["read", "write"] as const;

async function cursorOfNow(t: Tools): Promise<string> {
  const answer = await t.get("/v1/changes");
  t.status(answer, 200);
  const { items, cursor } = t.declared(answer, "changes.list");
  t.equal(items, [], "the items without a cursor");
  t.ok(typeof cursor === "string", "there is no cursor of now");
  return cursor;
}

/** The names since the cursor, until one of them is there. */
async function namesSince(t: Tools, from: string, wanted: string): Promise<string[]> {
  const names: string[] = [];
  let cursor = from;
  for (const until = Date.now() + t.patience; Date.now() < until; ) {
    const answer = await t.get(`/v1/changes?cursor=${encodeURIComponent(cursor)}`);
    t.status(answer, 200);
    const page = t.declared(answer, "changes.list");
    for (const { name } of page.items) names.push(name);
    if (names.includes(wanted)) return names;
    cursor = page.cursor ?? cursor;
    if (page.items.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return names;
}

/** Reads events until one is about the prompt, and on to one with an id: of several at once only the last may have one. */
async function untilTold(t: Tools, stream: Stream, name: string): Promise<string> {
  let isTold = false;
  for (const until = Date.now() + t.patience; Date.now() < until; ) {
    const event = await stream.next(t.patience);
    if (event.event === "change" && (JSON.parse(event.data) as Json).name === name) isTold = true;
    if (isTold && event.id !== undefined) return event.id;
  }
  throw new Violation(`no event told of ${name}, with an id, within ${t.patience / 1000} s`);
}

function open(t: Tools, stream: Stream): void {
  t.equal(stream.status, 200, "the status of the stream");
  t.ok((stream.headers["content-type"] ?? "").startsWith("text/event-stream"), "the stream is no text/event-stream");
}

export const feedChecks: readonly Check[] = [
  {
    id: "feed.cursor",
    rule: "without a cursor the feed is empty and gives that of now; with it, what may have changed since then",
    section: "The feed",
    rights: WRITE,
    async run(t: Tools) {
      const before = await cursorOfNow(t);
      await t.seed(["1.0.0"]);
      t.ok((await namesSince(t, before, t.name)).includes(t.name), `the feed does not tell of ${t.name}`);
      const after = await cursorOfNow(t);
      await t.seed(["2.0.0"]);
      await t.seed(["1.0.0"], `${t.name}/b`);
      t.ok((await namesSince(t, after, t.name)).includes(t.name), `the feed does not tell of ${t.name} again`);
      t.ok(
        (await namesSince(t, after, `${t.name}/b`)).includes(`${t.name}/b`),
        `the feed does not tell of ${t.name}/b`,
      );
    },
  },
  {
    id: "feed.pages",
    rule: "a page with a limit leads on by its cursor, and nothing is lost",
    section: "The feed",
    rights: WRITE,
    async run(t: Tools) {
      let cursor = await cursorOfNow(t);
      const wanted = new Set(["a", "b", "c"].map((rest) => `${t.name}/${rest}`));
      for (const name of wanted) await t.seed(["1.0.0"], name);
      for (const until = Date.now() + t.patience; wanted.size > 0 && Date.now() < until; ) {
        const answer = await t.get(`/v1/changes?limit=1&cursor=${encodeURIComponent(cursor)}`);
        const page = t.declared(answer, "changes.list");
        for (const { name } of page.items) wanted.delete(name);
        cursor = page.cursor ?? cursor;
        if (page.items.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      t.equal([...wanted], [], "what was lost");
    },
  },
  {
    id: "feed.events",
    rule: "as text/event-stream it begins with ready and tells of changes, with cursors as ids",
    section: "The feed",
    rights: WRITE,
    async run(t: Tools) {
      const stream = await t.client.stream("/v1/changes");
      try {
        open(t, stream);
        const ready = await stream.next(t.patience);
        t.equal(ready.event, "ready", "the first event");
        t.ok(ready.id !== undefined, "ready has no id");
        await t.seed(["1.0.0"]);
        const id = await untilTold(t, stream, t.name);
        t.status(await t.get(`/v1/changes?cursor=${encodeURIComponent(id)}`), 200);
      } finally {
        stream.close();
      }
    },
  },
  {
    id: "feed.resume",
    rule: "Last-Event-ID goes on from there: what changed in between is told",
    section: "The feed",
    rights: WRITE,
    async run(t: Tools) {
      const first = await t.client.stream("/v1/changes");
      let id: string | undefined;
      try {
        open(t, first);
        id = (await first.next(t.patience)).id;
      } finally {
        first.close();
      }
      t.ok(id !== undefined, "ready has no id");
      await t.seed(["1.0.0"]);
      // Until this is past for whoever would begin with now.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const second = await t.client.stream("/v1/changes", { "last-event-id": id });
      try {
        open(t, second);
        await untilTold(t, second, t.name);
      } finally {
        second.close();
      }
    },
  },
];
