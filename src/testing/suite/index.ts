import { randomUUID } from "node:crypto";
import type { StorageDriver } from "../../driver.ts";
import { parseName } from "../../names.ts";
import { PromptRegistry } from "../../registry.ts";
import { parseVersion } from "../../semver.ts";
import { budgets } from "./budgets.ts";
import { capabilities } from "./capabilities.ts";
import { damage } from "./damage.ts";
import { documents } from "./documents.ts";
import { feed } from "./feed.ts";
import { guards } from "./guards.ts";
import { Hand } from "./hand.ts";
import { heads } from "./heads.ts";
import { history } from "./history.ts";
import { latest } from "./latest.ts";
import { lifecycle } from "./lifecycle.ts";
import { listing } from "./listing.ts";
import { outcomes } from "./outcomes.ts";
import { races } from "./races.ts";
import { reads } from "./reads.ts";
import { registry } from "./registry.ts";
import { reopening } from "./reopening.ts";
import { search } from "./search.ts";
import { textFidelity } from "./text-fidelity.ts";
import { tombstones } from "./tombstones.ts";
import type { Case, Lab, Need, SuiteOptions } from "./types.ts";
import { versions } from "./versions.ts";

const GROUPS: Readonly<Record<string, readonly Case[]>> = {
  documents,
  tombstones,
  heads,
  guards,
  latest,
  reads,
  texts: textFidelity,
  "list of prompts": listing,
  search,
  "list of versions": versions,
  history,
  "feed of changes": feed,
  races,
  outcomes,
  lifecycle,
  capabilities,
  budgets,
  reopening,
  damage,
  registry,
};

const WITHOUT: Readonly<Record<Need, string>> = {
  reopen: "there is no `reopen`: this storage keeps nothing after it is closed",
  damage: "there is no `damage`: nothing can change the stored bytes behind the driver's back",
  budgets: "there are no `budgets` for it: nobody counts the store's own calls",
};

/** The titles of all tests, for those who want to check a list of skips. */
export const suiteTests: readonly string[] = Object.values(GROUPS).flatMap((cases) => cases.map((c) => c.title));

/**
 * Registers the conformance suite of the storage contract. Every driver and every layer must pass it.
 *
 * @throws TypeError for a skip without a reason or of a test that does not exist
 * @example
 * import { describe, it } from "vitest";
 * driverSuite({ name: "memory", open: async () => memory(), runner: { describe, it } });
 */
export function driverSuite(options: SuiteOptions): void {
  const { describe, it } = options.runner;
  const log = options.log ?? ((line: string) => process.stderr.write(`${line}\n`));
  const skips = new Map<string, string>();
  for (const { test, reason } of options.skip ?? []) {
    if (!suiteTests.includes(test)) throw new TypeError(`driverSuite(${options.name}): no test is called "${test}"`);
    if (reason.trim() === "") throw new TypeError(`driverSuite(${options.name}): the skip of "${test}" has no reason`);
    skips.set(test, reason);
  }

  function register(one: Case): void {
    const reason = skips.get(one.title) ?? lacking(one, options);
    if (reason === undefined) {
      it(one.title, () => runCase(one, options));
      return;
    }
    log(`skipped: ${options.name}: ${one.title}: ${reason}`);
    it.skip?.(`${one.title} [skipped: ${reason}]`, async () => {});
  }

  describe(`${options.name}: storage contract`, () => {
    for (const [group, cases] of Object.entries(GROUPS)) {
      describe(group, () => {
        for (const one of cases) register(one);
      });
    }
  });
}

function lacking(one: Case, options: SuiteOptions): string | undefined {
  if (one.needs === undefined || options[one.needs] !== undefined) return undefined;
  return WITHOUT[one.needs];
}

async function runCase(one: Case, options: SuiteOptions): Promise<void> {
  const opened: StorageDriver[] = [];
  const handles: StorageDriver[] = [];
  const open = async () => {
    const driver = await options.open();
    opened.push(driver);
    handles.push(driver);
    return driver;
  };
  try {
    const driver = await open();
    await one.run(createLab(driver, options, open, handles));
  } finally {
    for (const handle of handles) await handle.close();
    for (const driver of opened) await options.dispose?.(driver);
  }
}

function createLab(
  driver: StorageDriver,
  options: SuiteOptions,
  open: () => Promise<StorageDriver>,
  handles: StorageDriver[],
): Lab {
  const add = (handle: StorageDriver) => {
    handles.push(handle);
    return new Hand(handle);
  };
  const hand = new Hand(driver);
  return {
    driver,
    hand,
    registry: new PromptRegistry(driver, { author: "suite", newId: randomUUID }),
    fresh: async () => new Hand(await open()),
    another: async () => (options.another === undefined ? hand : add(await options.another(driver))),
    async reopen(which = hand) {
      if (options.reopen === undefined) throw new Error(WITHOUT.reopen);
      return add(await options.reopen(which.driver));
    },
    async damage(name, version, edit) {
      if (options.damage === undefined) throw new Error(WITHOUT.damage);
      await options.damage(driver, parseName(name), parseVersion(version), edit);
    },
    async budget(operation, run) {
      const max = options.budgets?.max[operation];
      if (options.budgets === undefined || max === undefined) return;
      const before = await options.budgets.calls(driver);
      await run();
      const used = (await options.budgets.calls(driver)) - before;
      if (used > max) throw new Error(`${operation} took ${used} calls of the store; at most ${max} are allowed`);
    },
  };
}
