import { describe, expect, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { parseLabel, parseName } from "../../src/names.ts";
import { parseVersion } from "../../src/semver.ts";
import { type ClientEvent, checkLinearizable, fault, runHistory } from "../../src/testing/index.ts";
import { COMPOSED, composed } from "../support/composed.ts";
import { temporaryFolder } from "../support/fs-suite.ts";
import { HISTORY_CALLS } from "../support/sizes.ts";
import { racyDrivers } from "./mutants/linearizability.ts";

const HISTORIES = 20;
const CLIENTS = 8;
const OPS = 500;

const folder = temporaryFolder("lin");

async function check(handles: readonly StorageDriver[], seed: number, clients: number, ops: number) {
  const history = await runHistory({ handles, clients, ops, seed });
  const together = handles.every((driver) => driver.capabilities.atomicity === "batch");
  return { history, verdict: checkLinearizable(history, { together }) };
}

describe("the linearizability checker", () => {
  const prompt = parseName("a");
  const version = parseVersion("1.0.0");
  const text = "text";
  const event = (client: number, at: [number, number], call: ClientEvent["call"], result: ClientEvent["result"]) => ({
    client,
    prompt,
    call,
    result,
    called: at[0],
    returned: at[1],
  });
  const publish = (client: number, at: [number, number], body: string, result: ClientEvent["result"]) =>
    event(client, at, { kind: "publish", version, text: body }, result);
  const read = (client: number, at: [number, number], result: ClientEvent["result"]) =>
    event(client, at, { kind: "read", version }, result);

  it("takes what overlaps in either order", () => {
    for (const result of [{ status: "absent" }, { status: "found", version, text }] as const) {
      expect(checkLinearizable([publish(1, [1, 4], text, { status: "done" }), read(2, [2, 3], result)]).ok).toBe(true);
    }
  });

  it("refuses a read of before after a write that was done", () => {
    const verdict = checkLinearizable([
      publish(1, [1, 2], text, { status: "done" }),
      read(2, [3, 4], { status: "absent" }),
    ]);
    expect(verdict.ok).toBe(false);
    expect(verdict.message).toContain("> [3, 4] client 2");
  });

  it("refuses two readers that saw two orders", () => {
    const found = { status: "found", version, text } as const;
    const history = [
      publish(1, [1, 8], text, { status: "done" }),
      read(2, [2, 3], found),
      read(3, [4, 5], { status: "absent" }),
    ];
    expect(checkLinearizable(history).ok).toBe(false);
  });

  it("refuses two winners of one slot, and a loser that is told another text", () => {
    const first = publish(1, [1, 4], "one", { status: "done" });
    expect(checkLinearizable([first, publish(2, [2, 3], "two", { status: "done" })]).ok).toBe(false);
    expect(checkLinearizable([first, publish(2, [2, 3], "two", { status: "exists", text: "two" })]).ok).toBe(false);
    expect(checkLinearizable([first, publish(2, [2, 3], "two", { status: "exists", text: "one" })]).ok).toBe(true);
  });

  it("lets an unknown outcome take effect at any later time, or never, but not twice", () => {
    const unknown = publish(1, [1, 2], text, { status: "unknown" });
    const found = { status: "found", version, text } as const;
    expect(checkLinearizable([unknown, read(2, [3, 4], { status: "absent" }), read(2, [5, 6], found)]).ok).toBe(true);
    expect(checkLinearizable([unknown, read(2, [3, 4], found), read(2, [5, 6], { status: "absent" })]).ok).toBe(false);
  });

  it("refuses a compare-and-set that went through beside another", () => {
    const label = parseLabel("constructor");
    const set = (client: number, at: [number, number]) =>
      event(
        client,
        at,
        { kind: "setLabel", expect: { generation: 0, revision: null }, label, version },
        { status: "done" },
      );
    const start = publish(1, [1, 2], text, { status: "done" });
    expect(checkLinearizable([start, set(1, [3, 6])]).ok).toBe(true);
    expect(checkLinearizable([start, set(1, [3, 6]), set(2, [4, 5])]).ok).toBe(false);
  });

  it("takes a conflict on a revision that nobody sees again, and no other", () => {
    const label = parseLabel("production");
    const expect1 = { generation: 0, revision: null };
    const start = publish(1, [1, 2], text, { status: "done" });
    const refused = event(1, [3, 4], { kind: "setLabel", expect: expect1, label, version }, { status: "conflict" });
    const seen = { generation: 0, latest: version, labels: {} };
    const head = (revision: string | null) =>
      event(2, [5, 6], { kind: "head" }, { status: "head", seen: { ...seen, revision } });
    expect(checkLinearizable([start, refused, head("another")]).ok).toBe(true);
    expect(checkLinearizable([start, refused, head(null)]).ok).toBe(false);
  });

  it("passes lost replies of a right driver", async () => {
    const driver = fault(memory());
    driver.plan([7, 60, 200].map((call) => ({ method: "commit", call, what: "dropReply" })));
    const { history, verdict } = await check([driver], 3, 6, 200);
    expect(verdict.message).toBeUndefined();
    expect(history.filter((e) => e.result.status === "unknown").length).toBe(3);
  });

  it.each(racyDrivers.map((d) => [d.bug, d] as const))("finds: %s", async (_, { handles }) => {
    let found = false;
    for (let seed = 1; seed <= 6 && !found; seed++) found = !(await check(handles(), seed, CLIENTS, 200)).verdict.ok;
    expect(found).toBe(true);
  });
});

describe(`${HISTORIES} histories of ${CLIENTS} clients are linearizable`, () => {
  it("memory", async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const { history, verdict } = await check([memory()], seed, CLIENTS, OPS);
      expect(verdict.message, `seed ${seed}`).toBeUndefined();
      expect(history.length).toBeGreaterThan(CLIENTS * OPS);
      expect(history.filter((e) => e.call.kind === "setLabel" && e.result.status === "done").length).toBeGreaterThan(
        20,
      );
      expect(history.filter((e) => e.call.kind === "remove" && e.result.status === "done").length).toBeGreaterThan(5);
    }
  }, 120_000);

  // Of one handle: two with a cache each see each other's changes after its TTL, which is their contract.
  it(`${COMPOSED} over memory`, async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const { history, verdict } = await check([composed(memory())], seed, CLIENTS, OPS);
      expect(verdict.message, `seed ${seed}`).toBeUndefined();
      expect(history.length).toBeGreaterThan(CLIENTS * OPS);
    }
  }, 120_000);

  it("fs, two handles", async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const path = folder();
      const modes = seed % 2 === 0 ? (["embedded", "embedded"] as const) : (["embedded", "server"] as const);
      const handles = modes.map((mode) => fs({ path, mode }));
      const { verdict } = await check(handles, seed, CLIENTS, HISTORY_CALLS);
      expect(verdict.message, `seed ${seed}, ${modes.join(" and ")}`).toBeUndefined();
      for (const handle of handles) await handle.close();
    }
  }, 600_000);
});
