import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Change, Outcome, StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { commitOf, documentOf, headOf, tombstoneOf } from "../../testing/builders.ts";
import type { FsOptions } from "./index.ts";
import { nodeIo, watched } from "./io.ts";
import { bench, tree } from "./support.test.ts";

const { path: newPath, open } = bench();
const name = parseName("support/triage");
const AT = "2026-01-01T00:00:00.000Z";
const label = { kind: "label", label: "production" } as { readonly kind: "label"; readonly label: never };

async function apply(driver: StorageDriver, change: Change): Promise<Outcome> {
  return (await driver.commit(commitOf(change)))[0] as Outcome;
}

const base = documentOf(name, "1.0.0");
const next = documentOf(name, "1.1.0");
const entry = { at: AT, action: "label" as const, label: "production" as never, to: next.version };

const changes: Readonly<Record<string, { readonly prepare: boolean; readonly change: Change }>> = {
  "first version": { prepare: false, change: { name, add: [next] } },
  "next version": { prepare: true, change: { name, add: [next] } },
  "several versions": { prepare: true, change: { name, add: [next, documentOf(name, "1.2.0")] } },
  "version and label": {
    prepare: true,
    change: {
      name,
      add: [next],
      head: { expect: "g1", next: headOf({ labels: { production: "1.1.0" } }), entries: [entry] },
    },
  },
  "guarded version": { prepare: true, change: { name, add: [next], guard: "g1" } },
  "guarded version and label": {
    prepare: true,
    change: {
      name,
      add: [next],
      guard: "g1",
      head: { expect: "g1", next: headOf({ labels: { production: "1.1.0" } }), entries: [entry] },
    },
  },
  removal: {
    prepare: true,
    change: {
      name,
      head: { expect: "g1", next: headOf({ yanked: { "1.0.0": { at: AT, removed: true } } }), entries: [] },
      remove: [tombstoneOf(base)],
    },
  },
};

const layouts: Readonly<Record<string, Omit<FsOptions, "path">>> = {
  links: {},
  "no links": { hardLinks: "never", links: "text" },
};

describe.each(Object.keys(layouts))("a writer that dies, %s", (layout) => {
  const options = layouts[layout] as Omit<FsOptions, "path">;
  describe.each(Object.keys(changes))("at any call of: %s", (title) => {
    const { prepare, change } = changes[title] as (typeof changes)[string];

    it("leaves a sound prompt, in which the next one finishes", async () => {
      for (let nth = 1; ; nth++) {
        const path = newPath();
        if (prepare) {
          const first = open(path, options);
          await apply(first, { name, add: [base] });
          const labels = headOf({ labels: { production: "1.0.0" } });
          await apply(first, { name, head: { expect: null, next: labels, entries: [] } });
        }
        let count = 0;
        const io = watched(nodeIo, () => {
          if (++count >= nth) throw Object.assign(new Error("the process is dead"), { code: "EDEAD" });
        });
        const outcome = await apply(open(path, { ...options, io }), change).catch((error: unknown) => error as Outcome);
        const fresh = open(path, options);
        await sound(fresh, path, outcome);
        // Whoever comes next is held up by nothing, and ends where the dead one wanted to go.
        await finish(fresh, change);
        await sound(fresh, path, { status: "skipped" });
        const { findings } = await fresh.repair({ repair: ["temp", "projection"], minTempAge: -1, at: AT });
        expect(
          findings.filter((f) => !["temp", "projection"].includes(f.kind)),
          JSON.stringify(findings),
        ).toEqual([]);
        expect(tree(path).filter((f) => f.includes(".tmp-") || f.includes(".claim-"))).toEqual([]);
        const left = (await fresh.repair({ repair: [], minTempAge: -1, at: AT })).findings;
        expect(left, JSON.stringify(left)).toEqual([]);
        if (count < nth) {
          expect(outcome).toMatchObject({ status: "done" });
          return;
        }
      }
    }, 60_000);
  });
});

/** What must hold whenever anybody looks. */
async function sound(driver: StorageDriver, path: string, outcome: Outcome): Promise<void> {
  const asks = [base, next].map(({ version }) => ({ name, selector: { kind: "version" as const, version } }));
  const [one, two, latest, labelled] = await driver.read([
    ...asks,
    { name, selector: { kind: "latest" } },
    { name, selector: label },
  ]);
  for (const [answer, document] of [[one, base] as const, [two, next] as const]) {
    if (answer?.status === "found") expect(answer.document.text).toBe(document.text);
    else expect(["absent", "removed"]).toContain(answer?.status);
  }
  expect(["found", "absent"]).toContain(labelled?.status);
  expect(["found", "absent"]).toContain(latest?.status);
  if (outcome.status === "done") {
    if (two?.status === "found") expect(latest).toMatchObject({ status: "found" });
    else expect(one?.status).toBe("removed");
  }
  if (two?.status === "found" && latest?.status === "found") {
    expect(["1.1.0", "1.2.0"]).toContain(latest.document.version);
  }
  // A name is there with all its bytes or not at all.
  for (const file of exists(path)) expect(file.size).toBeGreaterThan(0);
}

function exists(path: string): { size: number }[] {
  try {
    return readdirSync(join(path, "prompts/support/triage"))
      .filter((file) => /^v.*\.md$/.test(file))
      .map((file) => ({ size: nodeIo.sync.lstat(join(path, "prompts/support/triage", file))?.size ?? 0 }));
  } catch {
    return [];
  }
}

async function finish(driver: StorageDriver, change: Change): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const [head] = await driver.read([{ name, selector: { kind: "head" } }]);
    const revision = head?.status === "head" ? head.head.revision : null;
    const outcome = await apply(driver, {
      ...change,
      ...(change.guard === undefined ? {} : { guard: revision }),
      ...(change.head === undefined ? {} : { head: { ...change.head, expect: revision } }),
    });
    if (outcome.status === "done") return;
    if (outcome.status === "exists") {
      const asked = change.add?.find((document) => document.version === outcome.existing.version);
      expect(outcome.existing.text).toBe(asked?.text);
      const { add: _, guard: __, ...rest } = change;
      const missing = [];
      for (const document of change.add ?? []) {
        const [slot] = await driver.read([{ name, selector: { kind: "version", version: document.version } }]);
        if (slot?.status === "absent") missing.push(document);
      }
      return await finish(driver, missing.length === 0 ? rest : { ...rest, add: missing });
    }
    expect(outcome.status).toBe("conflict");
  }
  throw new Error("never done");
}
