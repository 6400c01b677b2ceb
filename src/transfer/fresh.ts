import type { Operation, Page, Provenance, StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";

/**
 * A storage whose every answer is what the store itself says now: layers that remember are passed by, and what they give
 * in an outage all the same is refused. A copy of a part, taken for the whole, would be worse than none.
 *
 * Reads fail with `UNAVAILABLE` where the answer is stale.
 */
export function freshly(driver: StorageDriver): StorageDriver {
  const ask = (op: Operation | undefined): Operation => ({ ...op, fresh: true });
  const refuse = (provenance: Provenance | undefined) => {
    if (provenance?.stale !== true) return;
    throw new RegistryError(
      "UNAVAILABLE",
      `the ${driver.kind} storage can't be asked; what ${provenance.source} remembers is not enough here`,
      { backend: driver.kind },
    );
  };
  const page = async <T>(answer: Promise<Page<T>>): Promise<Page<T>> => {
    const given = await answer;
    refuse(given.provenance);
    return given;
  };
  return {
    kind: driver.kind,
    location: driver.location,
    get capabilities() {
      return driver.capabilities;
    },
    native: driver.native,
    peek: () => undefined,
    async read(asks, op) {
      const answers = await driver.read(asks, ask(op));
      for (const { provenance } of answers) refuse(provenance);
      return answers;
    },
    listPrompts: (query, op) => page(driver.listPrompts(query, ask(op))),
    listVersions: (name, query, op) => page(driver.listVersions(name, query, ask(op))),
    history: (name, query, op) => page(driver.history(name, query, ask(op))),
    changes: (query, op) => page(driver.changes(query, ask(op))),
    commit: (commit, op) => driver.commit(commit, op),
    repair: (plan, op) => driver.repair(plan, op),
    check: (op) => driver.check(op),
    close: () => driver.close(),
  };
}
