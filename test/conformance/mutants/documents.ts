import { openStored } from "../../../src/document.ts";
import type { Change, Outcome } from "../../../src/driver.ts";
import { memory } from "../../../src/drivers/memory.ts";
import { documentOf } from "../../../src/testing/index.ts";
import { damageMemory } from "../../support/memory-damage.ts";
import { answering, type Mutant, mutant, mutate, slotsOf, turn } from "./mutate.ts";

/** Bugs about what is at a slot, and what is read from it. */
export const documentMutants: readonly Mutant[] = [
  mutant("publishing overwrites", "I2 write-once: another text at a taken slot is refused", (inner) => ({
    async commit(commit, op) {
      for (const { name, add } of commit.changes)
        for (const { version } of add ?? []) slotsOf(inner, name).delete(version);
      return inner.commit(commit, op);
    },
  })),

  mutant(
    "rename instead of link: looks first, creates later",
    "I2 of concurrent writers of one slot exactly one is done, the others get its bytes",
    (inner) => ({
      async commit(commit, op) {
        const free = commit.changes.map(({ name, add }) =>
          (add ?? []).filter((d) => !slotsOf(inner, name).has(d.version)),
        );
        await turn();
        commit.changes.forEach(({ name }, i) => {
          for (const { version } of free[i] ?? []) slotsOf(inner, name).delete(version);
        });
        return inner.commit(commit, op);
      },
    }),
  ),

  mutant(
    "exists is answered as done",
    [
      "I2 write-once: the same bytes again are exists, with the stored bytes",
      "I2 a tombstone keeps its slot: neither the old nor a new text gets in",
    ],
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        return outcomes.map((o): Outcome => (o.status === "exists" ? { status: "done" } : o));
      },
    }),
  ),

  mutant(
    "exists brings the text that was refused",
    "I2 write-once: another text at a taken slot is refused",
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        return outcomes.map((o, i): Outcome => {
          const refused = commit.changes[i]?.add?.[0];
          return o.status === "exists" && refused !== undefined ? { status: "exists", existing: refused } : o;
        });
      },
    }),
  ),

  mutant(
    "409 is taken for exists: creates of one prompt get in each other's way",
    "I5 concurrent publishers converge on the highest version",
    (inner) => {
      const busy = new Set<string>();
      return {
        async commit(commit, op) {
          const [change] = commit.changes as [Change];
          const [document] = change?.add ?? [];
          if (document !== undefined && commit.changes.length === 1 && busy.has(change.name)) {
            return [{ status: "exists", existing: document }];
          }
          for (const { name } of commit.changes) busy.add(name);
          try {
            await turn();
            return await inner.commit(commit, op);
          } finally {
            for (const { name } of commit.changes) busy.delete(name);
          }
        },
      };
    },
  ),

  mutant(
    "a tombstone frees its slot",
    "I2 a tombstone keeps its slot: neither the old nor a new text gets in",
    (inner) => ({
      async commit(commit, op) {
        const outcomes = await inner.commit(commit, op);
        for (const { name, remove } of commit.changes)
          for (const { version } of remove ?? []) slotsOf(inner, name).delete(version);
        return outcomes;
      },
    }),
  ),

  mutant("a second tombstone replaces the first", "I2 a tombstone stays as it is when another comes", (inner) => ({
    async commit(commit, op) {
      for (const { name, remove } of commit.changes)
        for (const { version } of remove ?? []) slotsOf(inner, name).delete(version);
      return inner.commit(commit, op);
    },
  })),

  mutant(
    "restore takes any digest",
    "I2 restore of another digest is exists, with the tombstone, and changes nothing",
    (inner) => ({
      async commit(commit, op) {
        for (const { name, restore } of commit.changes)
          for (const { version } of restore ?? []) slotsOf(inner, name).delete(version);
        return inner.commit(commit, op);
      },
    }),
  ),

  mutant(
    "reads are cut at 64 KiB",
    ["I3 text comes back byte for byte: 1 MiB", "I3 a text is never seen in part while it is written"],
    answering((answer) => {
      if (answer.status !== "found") return answer;
      return { ...answer, document: { ...answer.document, text: answer.document.text.slice(0, 65_536) } };
    }),
  ),

  mutant(
    "texts are read with LF for CRLF",
    "I3 text comes back byte for byte: CRLF",
    answering((answer) => {
      if (answer.status !== "found") return answer;
      return { ...answer, document: { ...answer.document, text: answer.document.text.replaceAll("\r\n", "\n") } };
    }),
  ),

  mutant(
    "a byte order mark is dropped",
    "I3 text comes back byte for byte: byte order mark",
    answering((answer) => {
      if (answer.status !== "found") return answer;
      return { ...answer, document: { ...answer.document, text: answer.document.text.replace(/^\ufeff/, "") } };
    }),
  ),

  mutant("a text is visible before it is whole", "I3 a text is never seen in part while it is written", (inner) => ({
    async commit(commit, op) {
      const halves = commit.changes.flatMap(({ name, add }) =>
        (add ?? []).flatMap((document) => {
          const slots = slotsOf(inner, name);
          if (slots.has(document.version) || slots.size === 0) return [];
          slots.set(document.version, {
            document: { ...document, text: document.text.slice(0, -1) },
            tombstone: false,
          });
          return [() => slotsOf(inner, name).delete(document.version)];
        }),
      );
      await turn();
      for (const undo of halves) undo();
      return inner.commit(commit, op);
    },
  })),

  mutant(
    "404 for every error",
    [
      "I7 a signal that has fired ends every call with ABORTED, and nothing is written",
      "I7 close may be called twice and at once, and afterwards every method throws ABORTED",
    ],
    (inner) => ({
      async read(asks, op) {
        try {
          return await inner.read(asks, op);
        } catch {
          return asks.map(() => ({ status: "absent" }));
        }
      },
    }),
  ),

  mutant(
    "a removed version is served from a copy (fallback on 404)",
    "I2 a tombstone takes the place of the document: removed, with its text",
    (inner) => {
      const copies = new Map<string, string>();
      return {
        ...answering((answer, { name, selector }) => {
          if (selector.kind !== "version") return answer;
          const key = `${name}@${selector.version}`;
          if (answer.status === "found") copies.set(key, answer.document.text);
          const text = copies.get(key);
          if (answer.status !== "removed" || text === undefined) return answer;
          return { ...answer, status: "found", document: { ...answer.document, text } };
        })(inner),
        async commit(commit, op) {
          const outcomes = await inner.commit(commit, op);
          for (const { name, add } of commit.changes)
            for (const d of add ?? []) copies.set(`${name}@${d.version}`, d.text);
          return outcomes;
        },
      };
    },
  ),

  mutant(
    "answers to equal asks are given once",
    "I3 answers are index-aligned with mixed asks, and the same ask may come twice",
    (inner) => ({
      async read(asks, op) {
        const seen = new Set<string>();
        return inner.read(
          asks.filter((ask) => !seen.has(JSON.stringify(ask)) && seen.add(JSON.stringify(ask))),
          op,
        );
      },
    }),
  ),

  {
    bug: "peek remembers the first answer for ever",
    caughtBy: ["I3 peek agrees with read, before and after every kind of change"],
    // A registry that never sees its own writes tries them again and again.
    without: /registry|reply is lost|random prompts|aborted/,
    options: {
      open: async () =>
        mutate(memory(), (inner) => {
          const first = new Map<string, ReturnType<typeof inner.peek>>();
          return {
            peek(ask) {
              const key = JSON.stringify(ask);
              if (!first.has(key)) first.set(key, inner.peek(ask));
              return first.get(key);
            },
          };
        }),
    },
  },

  mutant(
    "leases name a count of ended ones that never grows",
    "I3 known and lease: neither holds when the answer would be another",
    (inner) => {
      const store = { changes: 0 };
      return {
        peek(ask) {
          const answer = inner.peek(ask);
          const { lease } = answer ?? {};
          if (answer === undefined || lease === undefined) return answer;
          return {
            ...answer,
            lease: {
              store,
              get until() {
                return lease.until;
              },
            },
          };
        },
      };
    },
  ),

  mutant(
    "unchanged is answered to every known revision of now or before",
    "I3 known and lease: neither holds when the answer would be another",
    (inner) => {
      const given = new Set<string>();
      return {
        async read(asks, op) {
          const answers = await inner.read(
            asks.map(({ name, selector }) => ({ name, selector })),
            op,
          );
          return answers.map((answer, i) => {
            const ask = asks[i] as (typeof asks)[number];
            const key = `${ask.name} ${JSON.stringify(ask.selector)} `;
            if (ask.known !== undefined && given.has(key + ask.known))
              return { status: "unchanged", revision: ask.known };
            if ("revision" in answer) given.add(key + answer.revision);
            return answer;
          });
        },
      };
    },
  ),

  mutant("a lease is never ended", "I3 known and lease: neither holds when the answer would be another", (inner) => ({
    peek(ask) {
      const answer = inner.peek(ask);
      return answer && { ...answer, lease: { until: Number.POSITIVE_INFINITY } };
    },
  })),

  {
    bug: "damaged documents are sealed anew on the way out (no digest check)",
    caughtBy: [
      "I9 no flipped byte is ever served, and verify finds each",
      "I9 cut, emptied, zeroed, doubled and foreign bytes are never served, and verify finds each",
      "I9 a document at the place of another version is never served",
    ],
    options: {
      damage: damageMemory,
      open: async () =>
        mutate(
          memory(),
          answering((answer) => {
            if (answer.status !== "found") return answer;
            const { name, version, text } = answer.document;
            try {
              openStored(text, answer.document);
              return answer;
            } catch {
              const body = text.replaceAll("\0", "").replaceAll(/^-*$|^registry.*$/gm, "");
              return { ...answer, document: { name, version, text: documentOf(name, version, body).text } };
            }
          }),
        ),
    },
  },
];
