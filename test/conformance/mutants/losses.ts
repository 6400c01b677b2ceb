import type { Change, HistoryEntry, ListQuery, Operation, PromptEntry, StorageDriver } from "../../../src/driver.ts";
import { badCursor, cursorNumber, pageOf } from "../../../src/history.ts";
import { isName } from "../../../src/names.ts";
import { compareVersions, type Version } from "../../../src/semver.ts";
import { committing, type Mutant, mutant, type Patch, slotsOf } from "./mutate.ts";

/** The whole history of a prompt, newest first, changed on its way out. */
function rewritten(map: (newestFirst: HistoryEntry[]) => HistoryEntry[]): (inner: StorageDriver) => Patch {
  return (inner) => ({
    async history(name, query, op) {
      const { items } = await inner.history(name, { limit: 100_000 }, op);
      return pageOf(map([...items]), query);
    },
  });
}

/** A page of those names that are chosen by another rule than the prefix. */
async function chosen(
  inner: StorageDriver,
  { prefix = "", cursor, limit, ...query }: ListQuery,
  op: Operation | undefined,
  holds: (name: string, prefix: string) => boolean,
) {
  if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
  const { items } = await inner.listPrompts({ ...query, limit: 100_000 }, op);
  const left = items.filter(({ name }) => holds(name, prefix) && (cursor === undefined || name > cursor));
  const page = left.slice(0, limit);
  return left.length > limit ? { items: page, cursor: (page.at(-1) as PromptEntry).name as string } : { items: page };
}

/** Changes what a head is moved to. */
function moving(map: (next: NonNullable<Change["head"]>["next"]) => typeof next): (inner: StorageDriver) => Patch {
  return committing((commit) => ({
    ...commit,
    changes: commit.changes.map((change) =>
      change.head === undefined ? change : { ...change, head: { ...change.head, next: map(change.head.next) } },
    ),
  }));
}

function first<T extends object>(record: T, count: number): T {
  return Object.fromEntries(Object.entries(record).slice(0, count)) as T;
}

/** Precedence of versions whose numbers were padded to ten digits to be compared as text. */
export function byTenDigits(a: Version, b: Version): number {
  const [one, other] = [a, b].map((v) =>
    v
      .replace(/-.*/, "")
      .split(".")
      .map((n) => n.padStart(10, "0"))
      .join("."),
  ) as [string, string];
  return one < other ? -1 : one > other ? 1 : compareVersions(a, b);
}

export const countedVersions: Mutant = mutant(
  "cursors of versions are counts, not places",
  "I5 a cursor is a place in the order: versions that come and go meanwhile neither repeat nor hide others",
  (inner) => ({
    async listVersions(name, { cursor, limit, ...query }, op) {
      const { items } = await inner.listVersions(name, { ...query, limit: 100_000 }, op);
      const end = (cursor === undefined ? 0 : cursorNumber(cursor)) + limit;
      return { items: items.slice(end - limit, end), ...(end < items.length ? { cursor: String(end) } : {}) };
    },
  }),
);

const LONG_HISTORY = "I11 a long history stays whole: 300 entries and 120 publishes of one prompt";
const LARGE_HEAD = "I4 a large head stays whole: 40 labels and 40 yanks";
const PREFIX = "I8 no character of a prefix stands for others: it is neither a pattern nor folded";
const SEARCH = "I13 search goes together with heads, removed prompts and pages";

/** Bugs that lose or falsify what was stored where there is much of it, or where two questions are asked at once. */
export const lossMutants: readonly Mutant[] = [
  mutant("a history keeps its last 50 entries", LONG_HISTORY, (inner) => {
    const cut = (log: HistoryEntry[]) => {
      const kept = new Set(log.filter((e) => e.action !== "publish").slice(0, 50));
      return log.filter((e) => e.action === "publish" || kept.has(e));
    };
    return rewritten(cut)(inner);
  }),

  mutant("a history shows ten publishes", LONG_HISTORY, (inner) => {
    const cut = (log: HistoryEntry[]) => {
      const kept = new Set(log.filter((e) => e.action === "publish").slice(0, 10));
      return log.filter((e) => e.action !== "publish" || kept.has(e));
    };
    return rewritten(cut)(inner);
  }),

  mutant(
    "publishes of one moment stand in the order of their texts",
    "I11 of equal times publishes stand in the order of precedence, not of writing",
    rewritten((log) =>
      log.sort((a, b) => {
        const both = a.action === "publish" && b.action === "publish" && a.at === b.at;
        return both ? (String(a.to) < String(b.to) ? 1 : -1) : 0;
      }),
    ),
  ),

  mutant(
    "a restore is done although its head was refused",
    "I4 a refused head keeps the documents of its change from being restored",
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        const early = commit.changes.flatMap(({ name, restore }, i) =>
          restore !== undefined && outcomes[i]?.status === "conflict" ? [{ name, restore }] : [],
        );
        if (early.length > 0) await inner.commit({ ...commit, atomic: false, changes: early }, op);
        return outcomes;
      },
    }),
  ),

  mutant(
    "a restore to an empty slot is told as done and stores nothing",
    "I2 restore takes an empty slot, of a prompt and of a name never seen",
    (inner) =>
      committing((commit) => ({
        ...commit,
        changes: commit.changes.map(({ restore, ...change }) => {
          const slots = restore === undefined ? undefined : slotsOf(inner, change.name);
          const there = restore?.filter(({ version }) => slots?.has(version));
          return { ...change, ...(there === undefined ? {} : { restore: there }) };
        }),
      }))(inner),
  ),

  mutant("a prefix is a pattern of LIKE: _ is any character", PREFIX, (inner) => ({
    listPrompts: (query, op) =>
      chosen(inner, query, op, (name, prefix) =>
        new RegExp(
          `^${prefix
            .replaceAll(/[^\w%]/g, "\\$&")
            .replaceAll("_", ".")
            .replaceAll("%", ".*")}`,
        ).test(name),
      ),
  })),

  mutant("a prefix is folded to lower case", PREFIX, (inner) => ({
    listPrompts: (query, op) => chosen(inner, query, op, (name, prefix) => name.startsWith(prefix.toLowerCase())),
  })),

  mutant(
    "a head keeps five labels",
    LARGE_HEAD,
    moving((next) => ({ ...next, labels: first(next.labels, 5) })),
  ),

  mutant(
    "a head keeps twenty yanks",
    LARGE_HEAD,
    moving((next) => ({ ...next, yanked: first(next.yanked, 20) })),
  ),

  mutant(
    "labels are cut to 32 characters",
    "I4 two labels of 64 characters that differ in the last one are two",
    moving((next) => ({
      ...next,
      labels: Object.fromEntries(Object.entries(next.labels).map(([label, version]) => [label.slice(0, 32), version])),
    })),
  ),

  mutant(
    "lists of versions pad numbers to ten digits",
    "I5 numbers of up to 16 digits are compared as numbers, in the list and in latest",
    (inner) => ({
      async listVersions(name, query, op) {
        const page = await inner.listVersions(name, query, op);
        return { ...page, items: [...page.items].sort((a, b) => byTenDigits(b.version, a.version)) };
      },
    }),
  ),

  countedVersions,

  mutant(
    "a search minds the case",
    "I13 search finds a word of the latest text or of the name; undeclared it throws UNSUPPORTED",
    (inner) => ({
      async listPrompts(query, op) {
        const page = await inner.listPrompts(query, op);
        return /[A-Z]/.test(query.text ?? "") ? { ...page, items: [] } : page;
      },
    }),
  ),

  mutant("a search leaves out the heads", SEARCH, (inner) => ({
    async listPrompts(query, op) {
      const { include: _, ...rest } = query;
      return inner.listPrompts(query.text === undefined ? query : rest, op);
    },
  })),

  mutant("a search passes over removed prompts", SEARCH, (inner) => ({
    async listPrompts(query, op) {
      const { includeRemoved: _, ...rest } = query;
      return inner.listPrompts(query.text === undefined ? query : rest, op);
    },
  })),

  mutant(
    "a prompt that has a head only is listed as if it had a version",
    "I2 a prompt that has a head only is listed with includeRemoved only, and marked",
    (inner) => ({
      async listPrompts(query, op) {
        const page = await inner.listPrompts(query, op);
        const items = page.items.map(({ removed, ...entry }) => ({
          ...entry,
          ...(removed === true && slotsOf(inner, entry.name).size > 0 ? { removed } : {}),
        }));
        return { ...page, items };
      },
    }),
  ),

  mutant("an empty cursor is the first page", "I8 a cursor that no list gave is INVALID", (inner) => ({
    async listPrompts({ cursor, ...query }, op) {
      return inner.listPrompts({ ...query, ...(cursor ? { cursor } : {}) }, op);
    },
  })),

  mutant(
    "a closed storage is called healthy",
    "I7 close may be called twice and at once, and afterwards every method throws ABORTED",
    (inner) => ({
      check: async (op) => ({ ...(await inner.check(op)), ok: true }),
    }),
  ),
];
