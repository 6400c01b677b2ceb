import type { HistoryEntry, Outcome, Page, StorageDriver } from "../../../src/driver.ts";
import { RegistryError } from "../../../src/errors.ts";
import { parseName } from "../../../src/names.ts";
import { documentOf } from "../../../src/testing/index.ts";
import { type Mutant, mutant, type Patch, turn } from "./mutate.ts";

function dropLast<T>(page: Page<T>): Page<T> {
  return page.cursor === undefined ? page : { ...page, items: page.items.slice(0, -1) };
}

/** Changes entries on their way out. */
function entries(map: (entry: HistoryEntry) => HistoryEntry): (inner: StorageDriver) => Patch {
  return (inner) => ({
    history: async (name, query, op) => {
      const page = await inner.history(name, query, op);
      return { ...page, items: page.items.map(map) };
    },
  });
}

/** Bugs about lists, history, feed, outcomes and durability. */
export const listMutants: readonly Mutant[] = [
  mutant("pages of names lose their last item", "I8 names come in byte order, on pages of every size", (inner) => ({
    listPrompts: async (query, op) => dropLast(await inner.listPrompts(query, op)),
  })),

  mutant(
    "names come in the order of a walk: folders after files",
    "I8 names come in byte order, on pages of every size",
    (inner) => ({
      async listPrompts(query, op) {
        const page = await inner.listPrompts(query, op);
        const key = (name: string) => name.replaceAll("/", "\u0001");
        return { ...page, items: [...page.items].sort((a, b) => (key(a.name) < key(b.name) ? -1 : 1)) };
      },
    }),
  ),

  mutant("a prefix is compared by segments", "I8 a prefix is compared as bytes, on pages of every size", (inner) => ({
    async listPrompts(query, op) {
      const { prefix = "" } = query;
      const page = await inner.listPrompts(query, op);
      const below = (name: string) =>
        prefix === "" || name === prefix || name.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
      return { ...page, items: page.items.filter((e) => below(e.name)) };
    },
  })),

  mutant(
    "cursors are counts, not places",
    "I8 a cursor is a place in the order: names that come and go meanwhile neither repeat nor hide others",
    (inner) => ({
      async listPrompts({ cursor, limit, ...query }, op) {
        const { items } = await inner.listPrompts({ ...query, limit: 1000 }, op);
        if (cursor !== undefined && !/^\d+$/.test(cursor))
          throw new RegistryError("INVALID", "cursor", { field: "cursor" });
        const end = Number(cursor ?? 0) + limit;
        return { items: items.slice(end - limit, end), ...(end < items.length ? { cursor: String(end) } : {}) };
      },
    }),
  ),

  mutant(
    "removed prompts stay in the list",
    "I2 removed prompts are listed only with includeRemoved, and marked",
    (inner) => ({
      listPrompts: (query, op) => inner.listPrompts({ ...query, includeRemoved: true }, op),
    }),
  ),

  mutant(
    "a prompt that has a head only is in no list",
    "I2 a prompt that has a head only is listed with includeRemoved only, and marked",
    (inner) => ({
      async listPrompts(query, op) {
        const page = await inner.listPrompts(query, op);
        const kept = await Promise.all(
          page.items.map(async (entry) => {
            const versions = await inner.listVersions(entry.name, { limit: 1, includeRemoved: true }, op);
            return versions.items.length > 0 ? [entry] : [];
          }),
        );
        return { ...page, items: kept.flat() };
      },
    }),
  ),

  mutant(
    "heads in the list are those of before",
    "I4 include heads: every entry has its head, the same that a head ask gets",
    (inner) => ({
      async listPrompts(query, op) {
        const page = await inner.listPrompts(query, op);
        return {
          ...page,
          items: page.items.map(({ head, ...e }) =>
            head === undefined ? e : { ...e, head: { ...head, revision: null } },
          ),
        };
      },
    }),
  ),

  mutant(
    "pages of versions lose their last item",
    "I5 versions come in descending SemVer precedence, on pages of every size",
    (inner) => ({
      listVersions: async (name, query, op) => dropLast(await inner.listVersions(name, query, op)),
    }),
  ),

  mutant(
    "versions are sorted as text",
    "I5 versions come in descending SemVer precedence, on pages of every size",
    (inner) => ({
      async listVersions(name, query, op) {
        const page = await inner.listVersions(name, query, op);
        return { ...page, items: [...page.items].sort((a, b) => (a.version < b.version ? 1 : -1)) };
      },
    }),
  ),

  mutant(
    "history loses who it was",
    "I11 entries come back field for field, with the times they were given",
    entries(({ by: _, ...entry }) => entry),
  ),

  mutant(
    "history takes the time of the commit",
    "I11 entries come back field for field, with the times they were given",
    (inner) => ({
      commit: (commit, op) =>
        inner.commit(
          {
            ...commit,
            changes: commit.changes.map((c) =>
              c.head === undefined
                ? c
                : { ...c, head: { ...c.head, entries: c.head.entries.map((e) => ({ ...e, at: commit.at })) } },
            ),
          },
          op,
        ),
    }),
  ),

  mutant(
    "history keeps one entry of each head",
    "I11 entries come back field for field, with the times they were given",
    (inner) => ({
      commit: (commit, op) =>
        inner.commit(
          {
            ...commit,
            changes: commit.changes.map((c) =>
              c.head === undefined ? c : { ...c, head: { ...c.head, entries: c.head.entries.slice(-1) } },
            ),
          },
          op,
        ),
    }),
  ),

  mutant(
    "history pages count from the new end",
    "I11 entries that arrive meanwhile neither repeat nor hide others",
    (inner) => ({
      async history(name, { limit, cursor }, op) {
        if (cursor !== undefined && !/^\d+$/.test(cursor))
          throw new RegistryError("INVALID", "cursor", { field: "cursor" });
        const { items } = await inner.history(name, { limit: 1000 }, op);
        const end = Number(cursor ?? 0) + limit;
        return { items: items.slice(end - limit, end), ...(end < items.length ? { cursor: String(end) } : {}) };
      },
    }),
  ),

  mutant(
    "the feed goes on from now, not from the last event of the page",
    "I6 pages of every size give every event",
    (inner) => ({
      async changes(query, op) {
        const page = await inner.changes(query, op);
        const { cursor } = await inner.changes({ limit: 1 }, op);
        return { items: page.items, cursor: cursor as string };
      },
    }),
  ),

  mutant(
    "the feed knows publishes only",
    "I6 every kind of change is an event, also one that came by another handle",
    (inner) => {
      const quiet = new Set<number>();
      let events = 0;
      return {
        async commit(commit, op) {
          const outcomes = await inner.commit(commit, op);
          commit.changes.forEach((change, i) => {
            if (outcomes[i]?.status !== "done") return;
            if (change.add === undefined) quiet.add(events);
            events++;
          });
          return outcomes;
        },
        async changes(query, op) {
          const page = await inner.changes(query, op);
          const start = Number(page.cursor) - page.items.length;
          return { ...page, items: page.items.filter((_, i) => !quiet.has(start + i)) };
        },
      };
    },
  ),

  mutant(
    "an undeclared search gives everything",
    "I13 search finds a word of the latest text or of the name; undeclared it throws UNSUPPORTED",
    (inner) => ({
      capabilities: { ...inner.capabilities, search: false },
      listPrompts: ({ text: _, ...query }, op) => inner.listPrompts(query, op),
    }),
  ),

  mutant(
    "atomic is ignored where it is not declared",
    "I13 atomic: several changes are all done, or UNSUPPORTED where that is not claimed",
    (inner) => ({
      capabilities: { ...inner.capabilities, atomicity: "prompt" },
    }),
  ),

  mutant(
    "an abort after the fact is told as final",
    "I7 a commit that was aborted on the way says truly whether it happened",
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        await turn();
        if (op?.signal?.aborted) throw new RegistryError("ABORTED", "the call was aborted");
        return outcomes;
      },
    }),
  ),

  mutant(
    "a commit goes on after its abort was told",
    "I7 a commit that was aborted on the way says truly whether it happened",
    (inner) => ({
      async commit(commit, op) {
        await turn();
        if (!op?.signal?.aborted) return inner.commit(commit, op);
        void turn()
          .then(() => inner.commit(commit))
          .catch(() => {});
        throw new RegistryError("ABORTED", "the call was aborted");
      },
    }),
  ),

  mutant(
    "a lost reply is answered by sending the commit again",
    ["I1 after done a version is seen by every way of reading, on every handle"],
    (inner) => ({
      async commit(commit, op) {
        await inner.commit(commit, op);
        return inner.commit(commit, op);
      },
    }),
  ),

  mutant(
    "a refusal that nobody foresaw is told as done",
    "I4 compare-and-set: a revision of before is refused, and nothing moves",
    (inner) => ({
      async commit(commit, op) {
        return (await inner.commit(commit, op)).map((o): Outcome => (o.status === "conflict" ? { status: "done" } : o));
      },
    }),
  ),

  mutant("check leaves its probe behind", "I13 check leaves nothing behind", (inner) => ({
    async check(op) {
      const document = documentOf("probe", "1.0.0");
      await inner.commit(
        { id: "probe", at: "2026-01-01T00:00:00.000Z", changes: [{ name: parseName("probe"), add: [document] }] },
        op,
      );
      return inner.check(op);
    },
  })),

  mutant(
    "close leaves the door open",
    "I7 close may be called twice and at once, and afterwards every method throws ABORTED",
    () => ({ close: async () => {} }),
  ),
];
