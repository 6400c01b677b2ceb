import type { FindingKind, Operation, StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { askOf, commitOf, documentOf, labelEntry } from "../builders.ts";
import { isOneOf, ok, rejects, same } from "./expect.ts";
import type { Hand } from "./hand.ts";
import { type Case, test } from "./types.ts";

const A = parseName("a");
const AT = "2026-01-01T00:00:00.000Z";

const KINDS: readonly FindingKind[] = [
  "temp",
  "projection",
  "moved-link",
  "unsealed",
  "legacy",
  "head",
  "foreign",
  "corrupt",
];

function methods(driver: StorageDriver): Readonly<Record<string, (op?: Operation) => Promise<unknown>>> {
  return {
    read: (op) => driver.read([askOf("a", "latest")], op),
    listPrompts: (op) => driver.listPrompts({ limit: 10 }, op),
    listVersions: (op) => driver.listVersions(A, { limit: 10 }, op),
    history: (op) => driver.history(A, { limit: 10 }, op),
    changes: (op) => driver.changes({ limit: 10 }, op),
    commit: (op) => driver.commit(commitOf({ name: parseName("new"), add: [documentOf("new", "1.0.0")] }), op),
    repair: (op) => driver.repair({ repair: [], at: AT }, op),
    check: (op) => driver.check(op),
  };
}

/** Everything that a user can see. */
async function everything(hand: Hand): Promise<unknown> {
  const prompts = await hand.prompts({ include: "heads", includeRemoved: true });
  return Promise.all(
    prompts.map(async ({ name, head, removed }) => {
      const versions = await hand.entries(name, { includeRemoved: true });
      const texts = await Promise.all(versions.map(async ({ version }) => hand.ask(name, version)));
      return {
        name,
        head,
        removed,
        versions,
        texts: texts.map((a) => ("document" in a ? a.document : a)),
        log: await hand.log(name),
      };
    }),
  );
}

async function prepare(hand: Hand): Promise<void> {
  await hand.putAll("a", ["1.0.0", "1.1.0", "2.0.0-rc.1"]);
  await hand.put("a/b", "1.0.0");
  await hand.move("a", { labels: { production: "1.0.0" }, pin: "1.0.0" }, [labelEntry("production", "1.0.0")]);
  await hand.remove("a", documentOf("a", "1.1.0"));
}

export const lifecycle: readonly Case[] = [
  test("I7 a signal that has fired ends every call with ABORTED, and nothing is written", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    const signal = AbortSignal.abort();
    for (const [name, call] of Object.entries(methods(driver))) {
      await rejects(() => call({ signal }), "ABORTED", `${name} with a signal that has fired`);
    }
    same(await hand.names({ includeRemoved: true }), ["a"], "the names");
  }),

  test("I7 a deadline that has passed ends every call with TIMEOUT", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    const controller = new AbortController();
    controller.abort(new DOMException("The operation timed out.", "TimeoutError"));
    for (const [name, call] of Object.entries(methods(driver))) {
      const error = await rejects(
        () => call({ signal: controller.signal }),
        "TIMEOUT",
        `${name} with a deadline that has passed`,
      );
      same(error.outcome, "temporary", `what ${name} says about the effect`);
    }
    same(await hand.names({ includeRemoved: true }), ["a"], "the names");
  }),

  test("I7 a signal that fires during a call ends it with ABORTED or lets it finish, and nothing else", async ({
    hand,
    driver,
  }) => {
    await prepare(hand);
    for (let ticks = 0; ticks < 8; ticks++) {
      for (const [name, call] of Object.entries(methods(driver))) {
        if (name === "commit") continue;
        const controller = new AbortController();
        const running = call({ signal: controller.signal }).catch((error: unknown) => isOneOf(error, "ABORTED", name));
        for (let i = 0; i < ticks; i++) await undefined;
        controller.abort();
        await running;
      }
    }
    same((await hand.found("a", "production")).document.version, "1.0.0", "a read afterwards");
  }),

  test("I7 a signal that never fires, or fires too late, changes nothing", async ({ hand, driver }) => {
    await hand.put("a", "1.0.0");
    for (const call of Object.values(methods(driver))) {
      const controller = new AbortController();
      await call({ signal: controller.signal });
      controller.abort();
    }
    same(await hand.names(), ["a", "new"], "the names");
  }),

  test("I7 close may be called twice and at once, and afterwards every method throws ABORTED", async ({
    hand,
    driver,
  }) => {
    await hand.put("a", "1.0.0");
    await Promise.all([driver.close(), driver.close()]);
    await driver.close();
    for (const [name, call] of Object.entries(methods(driver))) {
      if (name === "check") continue;
      await rejects(() => call(), "ABORTED", `${name} after close`);
    }
    same(driver.peek(askOf("a", "1.0.0")), undefined, "peek after close");
    // A closed store is a sick store, of which check may also speak instead of throwing.
    const health = await driver.check().catch((error: unknown) => isOneOf(error, "ABORTED", "check after close"));
    if (!(health instanceof Error)) same(health.ok, false, "the health of a closed storage");
  }),

  test("I7 close waits for, or ends, what is under way; whatever was done stays done", async ({ fresh }) => {
    for (let round = 0; round < 4; round++) {
      const { driver } = await fresh();
      const running = Array.from({ length: 4 }, (_, i) =>
        driver
          .commit(commitOf({ name: A, add: [documentOf("a", `1.${i}.0`)] }))
          .catch((error: unknown) => isOneOf(error, ["ABORTED", "UNAVAILABLE"], "a commit during close")),
      );
      for (let i = 0; i < round; i++) await undefined;
      await driver.close();
      await Promise.all(running);
    }
  }),

  test("I13 what a driver says of itself is complete", async ({ driver }) => {
    const { write, atomicity, listing, search, maxDocumentBytes, maxBatch, consistency } = driver.capabilities;
    ok(driver.kind !== "" && driver.location !== "", "kind and location must say something");
    ok(typeof write === "boolean" && typeof search === "boolean", "write and search are yes or no");
    ok(["batch", "prompt", "document"].includes(atomicity), `atomicity ${atomicity}`);
    ok(["indexed", "scan"].includes(listing), `listing ${listing}`);
    ok(["linearizable", "session"].includes(consistency), `consistency ${consistency}`);
    ok(Number.isInteger(maxBatch) && maxBatch >= 1, `maxBatch ${maxBatch}`);
    ok(maxDocumentBytes >= 2 ** 20 + 4096, "the largest text there may be, sealed, must fit");
  }),

  test("I13 check tells of a healthy storage what it tried", async ({ hand, driver }) => {
    await prepare(hand);
    const health = await driver.check();
    const bad = health.checks.filter((c) => !c.ok);
    ok(
      health.ok && bad.length === 0,
      `a healthy storage is called sick: ${bad.map((c) => `${c.name}: ${c.detail}`).join("; ")}`,
    );
    same([health.kind, health.location], [driver.kind, driver.location], "kind and location");
    ok(Number.isFinite(health.latency) && health.latency >= 0, `latency ${health.latency}`);
    ok(health.checks.length > 0, "it must say what it tried");
    for (const { name, detail } of health.checks)
      ok(name !== "" && typeof detail === "string", "a check has a name and a detail");
  }),

  test("I13 check leaves nothing behind", async ({ hand, driver }) => {
    await prepare(hand);
    const before = await everything(hand);
    for (let i = 0; i < 3; i++) await driver.check();
    same(await everything(hand), before, "everything after check");
    same(await hand.names({ includeRemoved: true }), ["a", "a/b"], "the names");
  }),

  test("I9 repair of nothing touches nothing, and finds a healthy storage healthy", async ({ hand, driver }) => {
    await prepare(hand);
    const before = await everything(hand);
    for (const plan of [
      { repair: [], at: AT },
      { repair: [], at: AT, name: A },
      { repair: [], at: AT, minTempAge: 0, by: "ada" },
    ]) {
      const { findings } = await driver.repair(plan);
      same(findings, [], "what is wrong with a healthy storage");
    }
    same(await everything(hand), before, "everything after repair");
  }),

  test("I9 repair of every kind changes nothing of a healthy storage", async ({ hand, driver }) => {
    await prepare(hand);
    const before = await everything(hand);
    const { findings } = await driver.repair({ repair: KINDS, at: AT, by: "ada", minTempAge: 0 });
    same(findings, [], "what was repaired");
    same(await everything(hand), before, "everything after repair");
  }),
];
