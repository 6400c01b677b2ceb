import type { Commit, Cursor, Operation, Outcome, Page, ReadAnswer, StorageDriver } from "../driver.ts";
import { RegistryError, throwIfAborted } from "../errors.ts";
import { type PromptName, parsePrefix } from "../names.ts";
import { defineLayer, type Layer } from "./layer.ts";

const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

/**
 * Shows only the prompts whose names start with `start`; the others are not there, and can't be written. Names stay
 * whole: the digest of a document binds its name, so a name that is shortened on the way would be another document.
 *
 * @param start end it with `/` to mean a folder of names
 * @throws RegistryError CONFIG for what can't start a name
 * @example
 * stack(driver, [prefix("support/")]);
 */
export function prefix(start: string): Layer {
  try {
    parsePrefix(start);
  } catch (error) {
    throw new RegistryError("CONFIG", (error as Error).message, { field: "prefix" });
  }
  const isInside = (name: PromptName) => name.startsWith(start);

  const wrap = (inner: StorageDriver) => {
    const outside = (name: PromptName) =>
      new RegistryError("FORBIDDEN", `${name} is outside of ${start}, to which this registry is limited`, { name });

    function combined(asked: string | undefined): string | undefined {
      if (asked === undefined || start.startsWith(asked)) return start;
      return asked.startsWith(start) ? asked : undefined;
    }

    async function commit(commit: Commit, op?: Operation): Promise<readonly Outcome[]> {
      const foreign = commit.changes.find(({ name }) => !isInside(name));
      if (foreign === undefined) return inner.commit(commit, op);
      if (commit.atomic === true) {
        return commit.changes.map(({ name }) =>
          isInside(name) ? { status: "skipped" } : { status: "failed", error: outside(name) },
        );
      }
      const changes = commit.changes.filter(({ name }) => isInside(name));
      const done = (await inner.commit({ ...commit, changes }, op))[Symbol.iterator]();
      return commit.changes.map(({ name }) =>
        isInside(name) ? (done.next().value as Outcome) : { status: "failed", error: outside(name) },
      );
    }

    return {
      kind: inner.kind,
      location: inner.location,
      capabilities: inner.capabilities,
      native: inner.native,
      peek: (ask) => (isInside(ask.name) ? inner.peek(ask) : ABSENT),
      async read(asks, op) {
        const inside = asks.filter(({ name }) => isInside(name));
        if (inside.length === asks.length) return inner.read(asks, op);
        const answers = (await inner.read(inside, op))[Symbol.iterator]();
        return asks.map(({ name }) => (isInside(name) ? (answers.next().value as ReadAnswer) : ABSENT));
      },
      async listPrompts(query, op) {
        const within = combined(query.prefix);
        return within === undefined ? nothing(op) : inner.listPrompts({ ...query, prefix: within }, op);
      },
      listVersions: async (name, query, op) => (isInside(name) ? inner.listVersions(name, query, op) : nothing(op)),
      history: async (name, query, op) => (isInside(name) ? inner.history(name, query, op) : nothing(op)),
      async changes(query, op) {
        // An empty page says that there is nothing more for now: it must not be one on which all happened elsewhere.
        for (let from = query; ; ) {
          const page = await inner.changes(from, op);
          const items = page.items.filter(({ name }) => isInside(name));
          const cursor = page.cursor as Cursor;
          if (items.length > 0 || page.items.length === 0 || cursor === from.cursor) return { items, cursor };
          from = { ...query, cursor };
        }
      },
      commit,
      async repair(plan, op) {
        if (plan.name !== undefined && !isInside(plan.name)) throw outside(plan.name);
        if (plan.name === undefined && start !== "" && plan.repair.length > 0) {
          throw new RegistryError("FORBIDDEN", `only prompts below ${start} may be repaired here; name one`, {});
        }
        const { findings } = await inner.repair(plan, op);
        return { findings: findings.filter(({ name }) => name === undefined || isInside(name)) };
      },
      check: (op) => inner.check(op),
      close: () => inner.close(),
    } satisfies StorageDriver;
  };
  return defineLayer("prefix", wrap, () => start);
}

function nothing(op: Operation | undefined): Page<never> {
  throwIfAborted(op?.signal);
  return { items: [] };
}
