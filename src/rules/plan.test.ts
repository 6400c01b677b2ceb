import { describe, expect, it } from "vitest";
import { EMPTY_HEAD, type Head, type HeadState } from "../driver.ts";
import type { Label, PromptName } from "../names.ts";
import type { Version } from "../semver.ts";
import { highestStable, labelTarget, resolveLatest } from "./latest.ts";
import {
  checkLabelExpectation,
  planDeprecate,
  planLabels,
  planRemove,
  planRestore,
  planRollback,
  planUnlabel,
  planUnpin,
  planUnyank,
  planYank,
  rollbackTarget,
  yankedBefore,
} from "./plan.ts";
import { selectedAt } from "./time.ts";

const name = "support/triage" as PromptName;
const v = (text: string) => text as Version;
const l = (text: string) => text as Label;
const act = { at: "2026-01-02T00:00:00.000Z", by: "ada", commit: "c1" };

function head(fields: Partial<Head> = {}): Head {
  return { ...EMPTY_HEAD, ...fields };
}

function state(fields: Partial<Head>, latest?: Version): HeadState {
  return { head: head(fields), revision: "1", ...(latest === undefined ? {} : { latest }) };
}

describe("latest", () => {
  it("is the highest stable version, whatever was published last", () => {
    expect(highestStable([v("2.0.0"), v("1.0.1"), v("3.0.0-rc.1")], {})).toBe("2.0.0");
  });
  it("is the highest prerelease while nothing is stable", () => {
    expect(highestStable([v("1.0.0-alpha"), v("1.0.0-beta")], {})).toBe("1.0.0-beta");
  });
  it("passes over yanked versions, and is nothing when all are", () => {
    const yanked = { "2.0.0": { at: act.at } } as Head["yanked"];
    expect(highestStable([v("2.0.0"), v("1.0.0")], yanked)).toBe("1.0.0");
    expect(highestStable([v("2.0.0")], yanked)).toBeUndefined();
  });
  it("is the pin while there is one", () => {
    expect(resolveLatest(head({ pin: v("1.0.0") }), [v("1.0.0"), v("2.0.0")])).toBe("1.0.0");
  });
  it("finds no label in what objects inherit", () => {
    expect(labelTarget(EMPTY_HEAD, l("constructor"))).toBeUndefined();
  });
});

describe("labels", () => {
  it("records from and to, and nothing when nothing moves", () => {
    const plan = planLabels(
      head({ labels: { [l("production")]: v("1.0.0") } }),
      v("1.1.0"),
      [l("production"), l("eu")],
      act,
    );
    expect(plan?.next.labels).toEqual({ production: "1.1.0", eu: "1.1.0" });
    expect(plan?.entries).toEqual([
      { at: act.at, by: "ada", action: "label", label: "production", from: "1.0.0", to: "1.1.0", commit: "c1" },
      { at: act.at, by: "ada", action: "label", label: "eu", to: "1.1.0", commit: "c1" },
    ]);
    expect(planLabels(head({ labels: { [l("eu")]: v("1.1.0") } }), v("1.1.0"), [l("eu")], act)).toBeUndefined();
  });
  it("lifts the pin when asked", () => {
    const plan = planLabels(head({ pin: v("1.0.0") }), v("2.0.0"), [], act, { unpin: true });
    expect(plan?.next.pin).toBeUndefined();
    expect(plan?.entries[0]).toMatchObject({ action: "unpin", from: "1.0.0" });
  });
  it("removes", () => {
    expect(planUnlabel(head(), l("eu"), act)).toBeUndefined();
    expect(planUnlabel(head({ labels: { [l("eu")]: v("1.0.0") } }), l("eu"), act)?.next.labels).toEqual({});
  });
  it("refuses when the expectation does not hold", () => {
    const labelled = head({ labels: { [l("eu")]: v("1.0.0") } });
    expect(() => checkLabelExpectation(name, labelled, l("eu"), v("1.1.0"))).toThrow(/on 1\.0\.0, not on 1\.1\.0/);
    expect(() => checkLabelExpectation(name, labelled, l("eu"), null)).toThrow(/not unset/);
    checkLabelExpectation(name, labelled, l("eu"), v("1.0.0"));
    checkLabelExpectation(name, head(), l("eu"), null);
    checkLabelExpectation(name, head(), l("eu"));
  });
  it("does not go back in time where clocks differ a little, and takes no time over from one that is wrong", () => {
    const at = (ms: number) => new Date(Date.parse(act.at) + ms).toISOString();
    for (const [before, stamped] of [
      [at(-1), act.at],
      [at(1), at(1)],
      [at(10_000), at(10_000)],
      [at(10_001), act.at],
      ["2036-05-05T00:00:00.000Z", act.at],
    ] as const) {
      const plan = planLabels(head({ updatedAt: before }), v("1.0.0"), [l("eu")], act);
      expect([plan?.entries[0]?.at, plan?.next.updatedAt]).toEqual([stamped, stamped]);
    }
  });
});

describe("rollback", () => {
  it("goes to the next lower stable version that is not yanked", () => {
    const yanked = { "1.1.0": { at: act.at } } as Head["yanked"];
    expect(
      rollbackTarget(name, state({ yanked }, v("2.0.0")), [v("2.0.0"), v("2.0.0-rc.1"), v("1.1.0"), v("1.0.0")]),
    ).toBe("1.0.0");
  });
  it("refuses when there is nothing before", () => {
    expect(() => rollbackTarget(name, state({}, v("1.0.0")), [v("1.0.0")])).toThrow(/no earlier version than 1\.0\.0/);
    expect(() => rollbackTarget(name, state({}), [])).toThrow(/nothing is published/);
  });
  it("pins, is recorded as a rollback, and is lifted by unpinning", () => {
    const plan = planRollback(name, state({}, v("2.0.0")), v("1.0.0"), act);
    expect(plan?.next.pin).toBe("1.0.0");
    expect(plan?.entries[0]).toMatchObject({ action: "rollback", from: "2.0.0", to: "1.0.0" });
    expect(planRollback(name, state({ pin: v("1.0.0") }), v("1.0.0"), act)).toBeUndefined();
    expect(planUnpin(head({ pin: v("1.0.0") }), act)?.next).not.toHaveProperty("pin");
    expect(planUnpin(head(), act)).toBeUndefined();
  });
  it("refuses a yanked target", () => {
    const yanked = { "1.0.0": { at: act.at, reason: "leaks" } } as Head["yanked"];
    expect(() => planRollback(name, state({ yanked }, v("2.0.0")), v("1.0.0"), act)).toThrow(/yanked \(leaks\)/);
  });
});

describe("yank, deprecate, remove, restore", () => {
  it("yanks once and comes back", () => {
    const yank = planYank(name, head(), v("1.0.0"), { ...act, message: "leaks" });
    expect(yank?.next.yanked).toEqual({ "1.0.0": { at: act.at, by: "ada", reason: "leaks" } });
    const yanked = head({ yanked: yank?.next.yanked ?? {} });
    expect(planYank(name, yanked, v("1.0.0"), act)).toBeUndefined();
    expect(planUnyank(name, yanked, v("1.0.0"), act)?.next.yanked).toEqual({});
    expect(planUnyank(name, head(), v("1.0.0"), act)).toBeUndefined();
  });
  it("does not yank what latest is pinned to", () => {
    expect(() => planYank(name, head({ pin: v("1.0.0") }), v("1.0.0"), act)).toThrow(/unpin or roll back/);
  });
  it("deprecates with a message and lifts it", () => {
    const plan = planDeprecate(head(), "use b", act);
    expect(plan?.next.deprecated).toEqual({ at: act.at, by: "ada", message: "use b" });
    const deprecated = head({ deprecated: { at: act.at, message: "use b" } });
    expect(planDeprecate(deprecated, "use b", act)).toBeUndefined();
    expect(planDeprecate(deprecated, null, act)?.next).not.toHaveProperty("deprecated");
    expect(planDeprecate(head(), null, act)).toBeUndefined();
  });
  it("does not remove what is pointed at, unless the whole prompt goes", () => {
    const pointed = head({ labels: { [l("eu")]: v("1.0.0") }, pin: v("1.1.0") });
    expect(() => planRemove(name, pointed, [v("1.0.0")], act, { wholePrompt: false })).toThrow(/label eu is on it/);
    expect(() => planRemove(name, pointed, [v("1.1.0")], act, { wholePrompt: false })).toThrow(/pinned/);
    const plan = planRemove(name, pointed, [v("1.0.0"), v("1.1.0")], act, { wholePrompt: true });
    expect(plan?.next.labels).toEqual({});
    expect(plan?.next).not.toHaveProperty("pin");
    expect(plan?.entries.map((e) => e.action)).toEqual(["unlabel", "unpin", "remove", "remove"]);
  });
  it("restores only what was removed, and unyank does not", () => {
    const removed = head({ yanked: { "1.0.0": { at: act.at, removed: true } } as Head["yanked"] });
    expect(planRestore(removed, v("1.0.0"), act)?.next.yanked).toEqual({});
    expect(
      planRestore(head({ yanked: { "1.0.0": { at: act.at } } as Head["yanked"] }), v("1.0.0"), act),
    ).toBeUndefined();
    expect(() => planUnyank(name, removed, v("1.0.0"), act)).toThrow(/removed/);
    expect(planRemove(name, removed, [v("1.0.0")], act, { wholePrompt: false })).toBeUndefined();
  });
});

describe("yankedBefore", () => {
  const now = "2026-03-01T00:00:00.000Z";
  const entry = (action: "yank" | "unyank", at: string) => ({ action, at, to: v("1.0.0") });
  it("goes by the last entry, but for one of a clock that was ahead", () => {
    const [early, late, ahead] = ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2036-01-01T00:00:00.000Z"];
    expect(yankedBefore(v("1.0.0"), [entry("unyank", late), entry("yank", early)], now)).toBeUndefined();
    expect(yankedBefore(v("1.0.0"), [entry("yank", late), entry("unyank", early)], now)).toEqual({ at: late });
    expect(yankedBefore(v("1.0.0"), [entry("unyank", ahead), entry("yank", late)], now)).toEqual({ at: late });
    expect(yankedBefore(v("1.0.0"), [entry("yank", ahead), entry("unyank", late)], now)).toBeUndefined();
    expect(yankedBefore(v("1.0.0"), [entry("yank", ahead)], now)).toEqual({ at: ahead });
    expect(yankedBefore(v("2.0.0"), [entry("yank", early)], now)).toBeUndefined();
  });
});

describe("selectedAt", () => {
  it("is what the head says where nothing moved the pointer since, whose clock ever was behind", () => {
    const behind = [
      { at: "2016-01-01T00:00:00.000Z", action: "label", label: l("eu"), from: v("2.0.0"), to: v("1.0.0") },
      { at: day(2), action: "label", label: l("eu"), to: v("2.0.0") },
    ] as const;
    const now = head({ labels: { [l("eu")]: v("1.0.0") } });
    expect(selectedAt(l("eu"), day(3), behind, versions, now)).toBe("1.0.0");
    expect(selectedAt(l("eu"), day(3), behind, versions)).toBe("2.0.0");
    expect(selectedAt(l("us"), day(3), behind, versions, head({ labels: { [l("us")]: v("1.0.0") } }))).toBeUndefined();
    const pinned = [
      { at: day(1), action: "unpin", from: v("2.0.0") },
      { at: day(2), action: "rollback", from: v("2.0.0"), to: v("1.0.0") },
    ] as const;
    expect(selectedAt("latest", day(4), pinned, versions, head())).toBe("2.0.0");
    expect(selectedAt("latest", day(1), pinned, versions, head({ pin: v("2.0.0") }))).toBe("1.0.0");
  });
  const day = (n: number) => `2026-01-0${n}T00:00:00.000Z`;
  const versions = [
    { version: v("1.0.0"), createdAt: day(1) },
    { version: v("2.0.0"), createdAt: day(3) },
  ];
  it("replays labels", () => {
    const entries = [
      { at: day(2), action: "label", label: l("eu"), to: v("1.0.0") },
      { at: day(4), action: "label", label: l("eu"), from: v("1.0.0"), to: v("2.0.0") },
      { at: day(5), action: "unlabel", label: l("eu"), from: v("2.0.0") },
    ] as const;
    expect([1, 2, 3, 4, 5].map((n) => selectedAt(l("eu"), day(n), entries, versions))).toEqual([
      undefined,
      "1.0.0",
      "1.0.0",
      "2.0.0",
      undefined,
    ]);
  });
  it("replays latest through publishing, rollback, yank and removal", () => {
    const entries = [
      { at: day(4), action: "rollback", from: v("2.0.0"), to: v("1.0.0") },
      { at: day(5), action: "unpin", from: v("1.0.0") },
      { at: day(6), action: "yank", to: v("2.0.0") },
      { at: day(7), action: "unyank", to: v("2.0.0") },
      { at: day(8), action: "remove", from: v("2.0.0") },
      { at: day(9), action: "restore", to: v("2.0.0") },
    ] as const;
    expect([1, 3, 4, 5, 6, 7, 8, 9].map((n) => selectedAt("latest", day(n), entries, versions))).toEqual([
      "1.0.0",
      "2.0.0",
      "1.0.0",
      "2.0.0",
      "1.0.0",
      "2.0.0",
      "1.0.0",
      "2.0.0",
    ]);
  });
});
