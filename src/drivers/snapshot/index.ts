import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type {
  Capabilities,
  Lease,
  Operation,
  Page,
  ReadAnswer,
  ReadAsk,
  StorageDriver,
  StoredDocument,
} from "../../driver.ts";
import { RegistryError, throwIfAborted } from "../../errors.ts";
import { badCursor, mergeHistory, pageOf, pageOfVersions } from "../../history.ts";
import { isName, type PromptName } from "../../names.ts";
import { labelTarget, sortVersionsDescending } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { parseSnapshot, type Snapshot, type SnapshotPrompt } from "./format.ts";

export type { Snapshot, SnapshotPrompt } from "./format.ts";
export { readSnapshot, type SnapshotOptions, type SnapshotReport, writeSnapshot } from "./write.ts";

export interface SnapshotDriverOptions {
  /** A file that `writeSnapshot` or `prompt-registry snapshot` wrote. It is read once, when it is opened. */
  readonly path: string;
}

const CAPABILITIES: Capabilities = Object.freeze({
  write: false,
  atomicity: "batch",
  listing: "indexed",
  search: true,
  maxDocumentBytes: 2 ** 21,
  maxBatch: 10_000,
  consistency: "linearizable",
});

const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

/**
 * A read-only storage over a snapshot: some versions of some prompts, and the labels and `latest` of the moment when it
 * was written. Every byte is verified when it is opened. Answers carry the snapshot's age.
 *
 * @throws RegistryError CONFIG where there is no such file, CORRUPT where it is damaged
 * @example
 * stack(driver, [cache(), fallback([await snapshot({ path: "./prompts.snapshot" })]), retry()]);
 */
export async function snapshot({ path }: SnapshotDriverOptions): Promise<StorageDriver<Snapshot>> {
  const file = resolve(path);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new RegistryError(
      "CONFIG",
      `the snapshot ${file} can't be read (${why}); write it with prompt-registry snapshot`,
      {
        field: "storage",
        path: file,
        cause,
      },
    );
  }
  return createDriver(parseSnapshot(text, file), file);
}

interface Shelf extends SnapshotPrompt {
  readonly byVersion: ReadonlyMap<Version, StoredDocument>;
  readonly answers: Map<string, ReadAnswer>;
}

function createDriver(content: Snapshot, file: string): StorageDriver<Snapshot> {
  const location = `snapshot:${file}`;
  const provenance = Object.freeze({ source: "snapshot", fetchedAt: Date.parse(content.createdAt), stale: false });
  const lease: Lease = { until: Number.POSITIVE_INFINITY };
  const shelves = new Map<PromptName, Shelf>();
  for (const prompt of content.prompts) {
    const byVersion = new Map(prompt.documents.map((document) => [document.version, document]));
    shelves.set(prompt.name, { ...prompt, byVersion, answers: new Map() });
  }
  let closed = false;

  function enter(op?: Operation): void {
    if (closed) throw new RegistryError("ABORTED", "the snapshot storage is closed", { backend: "snapshot" });
    throwIfAborted(op?.signal);
  }

  function answer({ name, selector }: ReadAsk): ReadAnswer {
    const shelf = shelves.get(name);
    if (shelf === undefined) return ABSENT;
    const key =
      selector.kind === "version" ? selector.version : selector.kind === "label" ? `@${selector.label}` : selector.kind;
    const known = shelf.answers.get(key);
    if (known !== undefined) return known;
    const fresh = Object.freeze({ ...look(shelf, { name, selector }), provenance, lease });
    // Only what is there is kept: anybody can ask for things that are not.
    if (fresh.status !== "absent") shelf.answers.set(key, fresh);
    return fresh;
  }

  function look({ state, byVersion }: Shelf, { selector }: ReadAsk): ReadAnswer {
    const revision = `${content.createdAt} ${state.head.generation}`;
    if (selector.kind === "head") return { status: "head", head: state, revision };
    if (selector.kind === "version") {
      const document = byVersion.get(selector.version);
      return document === undefined ? ABSENT : { status: "found", document, revision: "stored" };
    }
    const target = selector.kind === "label" ? labelTarget(state.head, selector.label) : state.latest;
    const document = target === undefined ? undefined : byVersion.get(target);
    if (document === undefined) return { status: "absent", head: state };
    return { status: "found", document, head: state, revision };
  }

  function matches({ name, state, byVersion }: Shelf, text: string | undefined): boolean {
    if (text === undefined) return true;
    const wanted = text.toLowerCase();
    const latest = state.latest === undefined ? undefined : byVersion.get(state.latest);
    return name.includes(wanted) || (latest?.text.toLowerCase().includes(wanted) ?? false);
  }

  const readOnly = (operation: string) =>
    new RegistryError("READ_ONLY", `${location} is a snapshot; write to the storage it was made of`, {
      backend: "snapshot",
      operation,
    });

  return {
    kind: "snapshot",
    location,
    capabilities: CAPABILITIES,
    native: content,
    peek: (ask) => (closed || ask.known !== undefined ? undefined : answer(ask)),
    async read(asks, op) {
      enter(op);
      return asks.map((ask) => {
        const found = answer(ask);
        const isKnown = ask.known !== undefined && "revision" in found && found.revision === ask.known;
        return isKnown ? { status: "unchanged", revision: ask.known as string } : found;
      });
    },
    async listPrompts(query, op) {
      enter(op);
      const { cursor, prefix = "", limit, text } = query;
      if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
      const rest = [...shelves.values()].filter(
        (shelf) =>
          shelf.name.startsWith(prefix) && (cursor === undefined || shelf.name > cursor) && matches(shelf, text),
      );
      const items = rest
        .slice(0, limit)
        .map(({ name, state }) => (query.include === "heads" ? { name, head: state } : { name }));
      return rest.length > limit ? { items, cursor: items.at(-1)?.name as string } : { items };
    },
    async listVersions(name, query, op) {
      enter(op);
      const shelf = shelves.get(name);
      if (shelf === undefined) return { items: [] };
      const { yanked } = shelf.state.head;
      const entries = sortVersionsDescending(shelf.documents.map(({ version }) => ({ version })));
      return pageOfVersions(
        entries.map(({ version }) => {
          const mark = Object.hasOwn(yanked, version) ? yanked[version] : undefined;
          return mark === undefined ? { version } : { version, yanked: mark };
        }),
        query,
      );
    },
    async history(name, query, op) {
      enter(op);
      return pageOf(mergeHistory(shelves.get(name)?.documents ?? [], []), query);
    },
    async changes(query, op): Promise<Page<never>> {
      enter(op);
      if (query.cursor !== undefined && query.cursor !== "0") throw badCursor(query.cursor);
      return { items: [], cursor: "0" };
    },
    async commit(_, op) {
      enter(op);
      throw readOnly("commit");
    },
    async repair(plan, op) {
      enter(op);
      if (plan.repair.length > 0) throw readOnly("repair");
      return { findings: [] };
    },
    async check(op) {
      throwIfAborted(op?.signal);
      const detail = `${shelves.size} prompts of ${content.createdAt}, from ${content.source}`;
      const checks = [{ name: "open", ok: !closed, detail: closed ? "closed" : detail }];
      return { ok: !closed, kind: "snapshot", location, latency: 0, checks };
    },
    async close() {
      closed = true;
      lease.until = 0;
    },
  } satisfies StorageDriver<Snapshot>;
}
