import { randomUUID } from "node:crypto";
import { openStored, type SealedDocument } from "../document.ts";
import {
  type Capabilities,
  type Change,
  type Commit,
  EMPTY_HEAD,
  type Head,
  type HeadState,
  type HistoryEntry,
  type Lease,
  type ListQuery,
  type Operation,
  type Outcome,
  type PromptEntry,
  type ReadAnswer,
  type ReadAsk,
  type StorageDriver,
  type StoredDocument,
} from "../driver.ts";
import { RegistryError, throwIfAborted } from "../errors.ts";
import { badCursor, cursorNumber, mergeHistory, pageOf, pageOfVersions } from "../history.ts";
import { isName, type Label, type PromptName } from "../names.ts";
import { labelTarget, resolveLatest, sortVersionsDescending } from "../rules/latest.ts";
import type { Version } from "../semver.ts";
import { firstAfter } from "./keyset.ts";

interface Slot {
  readonly document: StoredDocument;
  readonly tombstone: boolean;
}

interface Prompt {
  readonly slots: Map<Version, Slot>;
  head: Head;
  entries: readonly HistoryEntry[];
  /** How often it changed: what pointers to it select may have changed as often. */
  changes: number;
  /** Frozen answers, forgotten at every change, which ends their lease. */
  answers: {
    readonly lease: Lease;
    readonly versions: Map<Version, ReadAnswer>;
    readonly labels: Map<Label, ReadAnswer>;
    latest?: ReadAnswer;
  };
}

const CAPABILITIES: Capabilities = Object.freeze({
  write: true,
  atomicity: "batch",
  listing: "indexed",
  search: true,
  maxDocumentBytes: 2 ** 21,
  maxBatch: 10_000,
  consistency: "linearizable",
});

const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

/** Callers keep their objects; what is stored must not change with them. */
function frozenCopy<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([key, part]) => [key, frozenCopy(part)]))) as T;
}

function noAnswers(store: { changes: number }): Prompt["answers"] {
  return { lease: { until: Number.POSITIVE_INFINITY, store }, versions: new Map(), labels: new Map() };
}

function live(prompt: Prompt): Version[] {
  return [...prompt.slots].filter(([, slot]) => !slot.tombstone).map(([version]) => version);
}

function stateOf(prompt: Prompt): HeadState {
  const latest = resolveLatest(prompt.head, live(prompt));
  const revision = prompt.head.generation === 0 ? null : String(prompt.head.generation);
  return Object.freeze({ head: prompt.head, revision, ...(latest === undefined ? {} : { latest }) });
}

function slotAnswer(slot: Slot, revision: string, lease: Lease, head?: HeadState): ReadAnswer {
  const status = slot.tombstone ? "removed" : "found";
  return Object.freeze({ status, document: slot.document, revision, lease, ...(head === undefined ? {} : { head }) });
}

/** Finds the refusal of a change, or nothing; touches nothing. */
function refusal(prompt: Prompt | undefined, change: Change): Outcome | undefined {
  const revision = prompt === undefined ? null : stateOf(prompt).revision;
  if (change.guard !== undefined && change.guard !== revision) return { status: "conflict", added: false };
  for (const document of change.add ?? []) {
    const slot = prompt?.slots.get(document.version);
    if (slot !== undefined) return { status: "exists", existing: slot.document };
  }
  for (const document of change.restore ?? []) {
    const slot = prompt?.slots.get(document.version);
    if (slot === undefined) continue;
    const stored = openStored(slot.document.text, document);
    if (stored.kind !== "tombstone" || stored.removed.digest !== document.digest) {
      return { status: "exists", existing: slot.document };
    }
  }
  if (change.head !== undefined && change.head.expect !== revision) return { status: "conflict", added: false };
  return undefined;
}

/**
 * The reference driver: everything in this process, nothing kept. For tests, for demonstrations, and for reading what
 * the contract means.
 *
 * @example
 * const registry = new PromptRegistry(memory());
 */
export function memory(): StorageDriver<ReadonlyMap<string, unknown>> {
  const prompts = new Map<PromptName, Prompt>();
  const feed: PromptName[] = [];
  const store = { changes: 0 };
  /** Keeps the revisions of one memory apart from those of the next one in its place. */
  const run = randomUUID();
  let names: PromptName[] | undefined;
  let closed = false;

  function enter(op?: Operation): void {
    if (closed) throw new RegistryError("ABORTED", "the memory storage is closed", { backend: "memory" });
    throwIfAborted(op?.signal);
  }

  function answer({ name, selector }: ReadAsk): ReadAnswer {
    const prompt = prompts.get(name);
    if (prompt === undefined) return ABSENT;
    const { answers } = prompt;
    switch (selector.kind) {
      case "version": {
        const hit = answers.versions.get(selector.version);
        if (hit !== undefined) return hit;
        const slot = prompt.slots.get(selector.version);
        if (slot === undefined) return ABSENT;
        const fresh = slotAnswer(slot, slot.tombstone ? revisionOf(prompt) : `${run}/stored`, answers.lease);
        answers.versions.set(selector.version, fresh);
        return fresh;
      }
      case "label": {
        const hit = answers.labels.get(selector.label);
        if (hit !== undefined) return hit;
        const fresh = pointed(prompt, labelTarget(prompt.head, selector.label), stateOf(prompt));
        answers.labels.set(selector.label, fresh);
        return fresh;
      }
      case "latest": {
        if (answers.latest !== undefined) return answers.latest;
        const state = stateOf(prompt);
        answers.latest = pointed(prompt, state.latest, state);
        return answers.latest;
      }
      case "head":
        return { status: "head", head: stateOf(prompt), revision: revisionOf(prompt) };
    }
  }

  function revisionOf(prompt: Prompt): string {
    return `${run}/${prompt.changes}`;
  }

  function pointed(prompt: Prompt, version: Version | undefined, head: HeadState): ReadAnswer {
    const slot = version === undefined ? undefined : prompt.slots.get(version);
    if (slot === undefined) return Object.freeze({ status: "absent", head });
    return slotAnswer(slot, revisionOf(prompt), prompt.answers.lease, head);
  }

  function put(prompt: Prompt, document: SealedDocument, tombstone: boolean): void {
    const { name, version, text } = document;
    prompt.slots.set(version, { document: Object.freeze({ name, version, text }), tombstone });
  }

  function apply(change: Change): Outcome {
    let prompt = prompts.get(change.name);
    if (prompt === undefined) {
      prompt = { slots: new Map(), head: EMPTY_HEAD, entries: [], changes: 0, answers: noAnswers(store) };
      prompts.set(change.name, prompt);
      names = undefined;
    }
    for (const document of change.add ?? []) put(prompt, document, false);
    for (const document of change.restore ?? []) put(prompt, document, false);
    const generation = prompt.head.generation + 1;
    if (change.head !== undefined) {
      prompt.head = frozenCopy({ ...change.head.next, generation });
      prompt.entries = [...prompt.entries, ...change.head.entries.map(frozenCopy)];
    } else if (change.guard !== undefined) prompt.head = Object.freeze({ ...prompt.head, generation });
    for (const document of change.remove ?? []) {
      if (prompt.slots.get(document.version)?.tombstone !== true) put(prompt, document, true);
    }
    prompt.changes++;
    store.changes++;
    prompt.answers.lease.until = 0;
    prompt.answers = noAnswers(store);
    feed.push(change.name);
    return { status: "done", head: stateOf(prompt) };
  }

  function matches(name: PromptName, prompt: Prompt, query: ListQuery): boolean {
    if (query.includeRemoved !== true && live(prompt).length === 0) return false;
    if (query.text === undefined) return true;
    const wanted = query.text.toLowerCase();
    const { latest } = stateOf(prompt);
    const text = latest === undefined ? "" : (prompt.slots.get(latest)?.document.text ?? "");
    return name.includes(wanted) || text.toLowerCase().includes(wanted);
  }

  return {
    kind: "memory",
    location: "memory:",
    capabilities: CAPABILITIES,
    native: prompts,
    peek(ask) {
      if (closed || ask.known !== undefined) return undefined;
      return answer(ask);
    },
    async read(asks, op) {
      enter(op);
      return asks.map((ask) => {
        const fresh = answer(ask);
        const known = ask.known !== undefined && "revision" in fresh && fresh.revision === ask.known;
        return known ? { status: "unchanged", revision: ask.known as string } : fresh;
      });
    },
    async listPrompts(query, op) {
      enter(op);
      if (query.cursor !== undefined && !isName(query.cursor)) throw badCursor(query.cursor);
      names ??= [...prompts.keys()].sort();
      const prefix = query.prefix ?? "";
      const items: PromptEntry[] = [];
      let last: PromptName | undefined;
      for (let i = firstAfter(names, prefix, query.cursor); i < names.length; i++) {
        const name = names[i] as PromptName;
        if (!name.startsWith(prefix)) break;
        const prompt = prompts.get(name);
        if (prompt === undefined || !matches(name, prompt, query)) continue;
        if (items.length === query.limit) return { items, cursor: last as string };
        const head = query.include === "heads" ? { head: stateOf(prompt) } : {};
        items.push({ name, ...head, ...(live(prompt).length === 0 ? { removed: true as const } : {}) });
        last = name;
      }
      return { items };
    },
    async listVersions(name, query, op) {
      enter(op);
      const prompt = prompts.get(name);
      if (prompt === undefined) return { items: [] };
      const all = sortVersionsDescending([...prompt.slots].map(([version, slot]) => ({ version, slot })));
      const entries = all
        .filter(({ slot }) => query.includeRemoved === true || !slot.tombstone)
        .map(({ version, slot }) => {
          const yanked = prompt.head.yanked[version];
          return {
            version,
            ...(yanked === undefined ? {} : { yanked }),
            ...(slot.tombstone ? { removed: true as const } : {}),
          };
        });
      return pageOfVersions(entries, query);
    },
    async history(name, query, op) {
      enter(op);
      const prompt = prompts.get(name);
      if (prompt === undefined) return { items: [] };
      return pageOf(
        mergeHistory(
          [...prompt.slots.values()].map((s) => s.document),
          prompt.entries,
        ),
        query,
      );
    },
    async changes(query, op) {
      enter(op);
      const start = query.cursor === undefined ? feed.length : cursorNumber(query.cursor);
      const items = feed.slice(start, start + query.limit).map((name) => ({ name }));
      return { items, cursor: String(start + items.length) };
    },
    async commit(commit: Commit, op) {
      enter(op);
      if (commit.atomic !== true) {
        return commit.changes.map((change) => refusal(prompts.get(change.name), change) ?? apply(change));
      }
      const refusals = commit.changes.map((change) => refusal(prompts.get(change.name), change));
      if (refusals.every((r) => r === undefined)) return commit.changes.map(apply);
      return refusals.map((r) => r ?? { status: "skipped" });
    },
    async repair(_plan, op) {
      enter(op);
      return { findings: [] };
    },
    async check(op) {
      throwIfAborted(op?.signal);
      return {
        ok: !closed,
        kind: "memory",
        location: "memory:",
        latency: 0,
        checks: [{ name: "open", ok: !closed, detail: closed ? "closed" : `${prompts.size} prompts` }],
      };
    },
    async close() {
      closed = true;
      store.changes++;
      for (const { answers } of prompts.values()) answers.lease.until = 0;
    },
  };
}
