import type { Head, HeadState, Outcome, ReadAnswer, StorageDriver } from "../../../src/driver.ts";
import type { PromptName } from "../../../src/names.ts";
import { highestStable } from "../../../src/rules/latest.ts";
import type { Version } from "../../../src/semver.ts";
import { byTenDigits } from "./losses.ts";
import { answering, committing, type Mutant, mutant, type Patch, slotsOf, turn } from "./mutate.ts";

function live(inner: StorageDriver, name: PromptName): Version[] {
  return [...slotsOf(inner, name)].filter(([, slot]) => !slot.tombstone).map(([version]) => version);
}

async function headOf(inner: StorageDriver, name: PromptName): Promise<HeadState | undefined> {
  const [answer] = await inner.read([{ name, selector: { kind: "head" } }]);
  return answer?.status === "head" ? answer.head : undefined;
}

/** Answers `latest` by another rule. */
function latestBy(choose: (versions: Version[], head: Head) => Version | undefined): (inner: StorageDriver) => Patch {
  return answering(async (answer, { name, selector }, inner): Promise<ReadAnswer> => {
    if (selector.kind !== "latest") return answer;
    const state = await headOf(inner, name);
    const version = state === undefined ? undefined : choose(live(inner, name), state.head);
    if (state === undefined || version === undefined) return answer;
    const [found] = await inner.read([{ name, selector: { kind: "version", version } }]);
    return found?.status === "found" ? { ...found, head: { ...state, latest: version } } : answer;
  });
}

/** Bugs about pointers, compare-and-set and order. */
export const headMutants: readonly Mutant[] = [
  mutant(
    "the pointer is written before its version",
    ["I4 a label is never seen before the version that comes with it"],
    (inner) => ({
      async commit(commit, op) {
        const [change] = commit.changes;
        if (commit.changes.length !== 1 || change?.add === undefined || change.head === undefined)
          return inner.commit(commit, op);
        const { add, guard: _, ...rest } = change;
        const [first] = await inner.commit({ ...commit, changes: [rest] }, op);
        if (first?.status !== "done") return [first as Outcome];
        await turn();
        return inner.commit({ ...commit, changes: [{ name: change.name, add }] }, op);
      },
    }),
  ),

  mutant(
    "a label is unlinked and made again",
    "I4 a label never resolves to something that is not there, while versions are published, labelled and deleted",
    (inner) => {
      const away = new Set<PromptName>();
      const hidden = answering((answer, { name, selector }): ReadAnswer => {
        if (selector.kind !== "label" || !away.has(name) || answer.status !== "found" || answer.head === undefined)
          return answer;
        return { status: "absent", head: answer.head };
      })(inner);
      return {
        ...hidden,
        async commit(commit, op) {
          const names = commit.changes.filter((c) => c.head !== undefined).map((c) => c.name);
          for (const name of names) away.add(name);
          await turn();
          const outcomes = await inner.commit(commit, op);
          for (const name of names) away.delete(name);
          return outcomes;
        },
      };
    },
  ),

  mutant(
    "tombstones are put before the pointer moves",
    "I4 a pointer is never seen on a removed version, while the removal itself moves it away",
    (inner) => ({
      async commit(commit, op) {
        const [change] = commit.changes;
        const state = change === undefined ? undefined : await headOf(inner, change.name);
        if (commit.changes.length !== 1 || change?.remove === undefined || change.head?.expect !== state?.revision)
          return inner.commit(commit, op);
        const { head: _, ...rest } = change;
        await inner.commit({ ...commit, changes: [rest] }, op);
        await turn();
        return inner.commit(commit, op);
      },
    }),
  ),

  mutant(
    "latest is the newest by time of publishing",
    "I5 latest never moves back: 1.0.1 after 2.0.0",
    latestBy((versions, head) => head.pin ?? versions.filter((v) => head.yanked[v] === undefined).at(-1)),
  ),

  mutant(
    "latest passes over no yanked version",
    "I5 latest passes over yanked versions, and comes back when they are unyanked",
    latestBy((versions, head) => head.pin ?? highestStable(versions, {})),
  ),

  mutant(
    "latest ignores the pin",
    "I5 latest stays where it is pinned until it is unpinned",
    latestBy((versions, head) => highestStable(versions, head.yanked)),
  ),

  mutant(
    "latest is compared as text",
    "I5 latest compares numbers as numbers",
    latestBy(
      (versions, head) =>
        head.pin ??
        versions
          .filter((v) => head.yanked[v] === undefined)
          .sort()
          .at(-1),
    ),
  ),

  mutant(
    "latest pads numbers to ten digits",
    "I5 numbers of up to 16 digits are compared as numbers, in the list and in latest",
    latestBy((versions, head) => {
      const left = versions.filter((v) => head.yanked[v] === undefined).sort(byTenDigits);
      return head.pin ?? left.filter((v) => !v.includes("-")).at(-1) ?? left.at(-1);
    }),
  ),

  mutant(
    "latest falls back to a yanked version when nothing else is left",
    "I5 latest is absent, with the head, when every version is yanked",
    latestBy((versions, head) => head.pin ?? highestStable(versions, head.yanked) ?? highestStable(versions, {})),
  ),

  mutant(
    "heads are replaced whatever is expected (force: true)",
    "I4 compare-and-set: a revision of before is refused, and nothing moves",
    committing(async (commit, inner) => ({
      ...commit,
      changes: await Promise.all(
        commit.changes.map(async (change) => {
          if (change.head === undefined) return change;
          return { ...change, head: { ...change.head, expect: (await headOf(inner, change.name))?.revision ?? null } };
        }),
      ),
    })),
  ),

  mutant(
    "revisions are made of the content (ABA)",
    "I4 compare-and-set: a state that comes back does not bring its revision back (ABA)",
    (inner) => {
      const content = (state: HeadState | undefined) => {
        if (state === undefined || state.revision === null) return null;
        const { generation: _, updatedAt: __, ...rest } = state.head;
        return JSON.stringify(rest);
      };
      const etag = <T extends { readonly head?: HeadState | undefined }>(of: T): T =>
        of.head === undefined ? of : { ...of, head: { ...of.head, revision: content(of.head) } };
      return {
        ...answering((answer) => ("head" in answer ? etag(answer) : answer))(inner),
        listPrompts: async (query, op) => {
          const page = await inner.listPrompts(query, op);
          return { ...page, items: page.items.map(etag) };
        },
        async commit(commit, op) {
          const changes = await Promise.all(
            commit.changes.map(async (change) => {
              const state = await headOf(inner, change.name);
              const real = (given: string | null) =>
                given === content(state) ? (state?.revision ?? null) : `not ${given}`;
              return {
                ...change,
                ...(change.guard === undefined ? {} : { guard: real(change.guard) }),
                ...(change.head === undefined ? {} : { head: { ...change.head, expect: real(change.head.expect) } }),
              };
            }),
          );
          return (await inner.commit({ ...commit, changes }, op)).map((o) => (o.status === "done" ? etag(o) : o));
        },
      };
    },
  ),

  mutant(
    "the guard is ignored",
    [
      "I5 guard: with another revision nothing is added",
      "I5 guard: of concurrent writers with the same guard exactly one adds, the others add nothing",
    ],
    committing((commit) => ({
      ...commit,
      changes: commit.changes.map(({ guard: _, ...change }) => change),
    })),
  ),

  mutant(
    "the guard is checked, but the generation stays",
    "I5 guard: of concurrent writers with the same guard exactly one adds, the others add nothing",
    (inner) => ({
      async commit(commit, op) {
        const [change] = commit.changes;
        if (commit.changes.length !== 1 || change?.guard === undefined) return inner.commit(commit, op);
        const { guard, ...rest } = change;
        const state = await headOf(inner, change.name);
        if ((state?.revision ?? null) !== guard) return [{ status: "conflict", added: false }];
        return inner.commit({ ...commit, changes: [rest] }, op);
      },
    }),
  ),

  mutant(
    "a conflict adds the documents and says that it did not",
    "I7 conflict says honestly whether the documents were added",
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        const [change] = commit.changes;
        if (outcomes[0]?.status === "conflict" && change?.add !== undefined && change.guard === undefined) {
          await inner.commit({ ...commit, changes: [{ name: change.name, add: change.add }] }, op);
        }
        return outcomes;
      },
    }),
  ),

  mutant(
    "labels are looked up with what objects inherit",
    "I4 a label that is not set is absent, with the head of the prompt",
    answering(async (answer, { name, selector }, inner) => {
      if (selector.kind !== "label" || answer.status !== "absent" || answer.head === undefined) return answer;
      if ((answer.head.head.labels as Record<string, unknown>)[selector.label] === undefined) return answer;
      const [latest] = await inner.read([{ name, selector: { kind: "latest" } }]);
      return latest as ReadAnswer;
    }),
  ),

  mutant(
    "a label on a yanked version is absent",
    "I4 a label on a yanked version still resolves, and the head says so",
    answering((answer, { selector }) => {
      if (
        selector.kind !== "label" ||
        answer.status !== "found" ||
        answer.head?.head.yanked[answer.document.version] === undefined
      )
        return answer;
      return { status: "absent", head: answer.head };
    }),
  ),

  mutant(
    "a head keeps fields that the next one does not have",
    "I4 a head comes back field for field",
    committing(async (commit, inner) => ({
      ...commit,
      changes: await Promise.all(
        commit.changes.map(async (change) => {
          if (change.head === undefined) return change;
          const { generation: _, ...old } = (await headOf(inner, change.name))?.head ?? { generation: 0 };
          return { ...change, head: { ...change.head, next: { ...old, ...change.head.next } } };
        }),
      ),
    })),
  ),

  mutant(
    "absent does not bring the head of a prompt that is there",
    "I4 a label that is not set is absent, with the head of the prompt",
    answering((answer) => (answer.status === "absent" ? { status: "absent" } : answer)),
  ),

  mutant(
    "an atomic commit does what it can",
    "I13 atomic: one refused change keeps all from happening, and the others are skipped",
    committing(({ atomic: _, ...commit }) => commit),
  ),

  mutant(
    "the document and head of an answer are read at two times",
    "I4 a label brings the version that the head it brings says",
    (inner) => {
      const before = new Map<PromptName, HeadState>();
      return answering((answer, { name, selector }) => {
        if (selector.kind !== "label" || answer.status !== "found" || answer.head === undefined) return answer;
        const head = before.get(name) ?? answer.head;
        before.set(name, answer.head);
        return { ...answer, head };
      })(inner);
    },
  ),
];
