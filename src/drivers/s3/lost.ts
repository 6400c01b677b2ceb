import type { HistoryEntry, Operation } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Archives } from "./archives.ts";
import type { Documents } from "./documents.ts";
import type { Keys } from "./keys.ts";
import { decodeRecord, emptyRecord, type HeadRecord } from "./record.ts";
import type { S3Store } from "./store.ts";

/**
 * What a prompt begins with that has no head: after a head was lost, or where the documents were brought here without it,
 * that is what `latest.json` still says of labels, pin, yanks and history. Whoever went on without it would drop them for
 * good, as the next head that is written replaces that file.
 */
export class Lost {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;
  readonly #archives: Archives;

  constructor(store: S3Store, keys: Keys, documents: Documents, archives: Archives) {
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
    this.#archives = archives;
  }

  /**
   * @returns `undefined` where nothing is left of a head: the prompt is new, or keeps no `latest.json`
   * @throws RegistryError CORRUPT where it can't be told what is left
   */
  async remains(name: PromptName, op: Operation | undefined): Promise<HeadRecord | undefined> {
    const left = await this.projected(name, op);
    if (left === undefined) return undefined;
    const found = await this.fromDocuments(name, op);
    const live = await this.#documents.live(name, found, op);
    const there = new Set<string>(live);
    // It may be older than the head that was lost: no pointer to what was removed since.
    const labels = Object.fromEntries(Object.entries(left.head.labels).filter(([, version]) => there.has(version)));
    const { pin, yanked, ...rest } = left.head;
    const kept = pin !== undefined && there.has(pin) && !Object.hasOwn(yanked, pin) ? { pin } : {};
    const counted = live.filter((version) => yanked[version]?.removed !== true);
    return {
      ...found,
      head: { ...rest, yanked, labels, ...kept },
      ...(await this.#archived(name, left.history, op)),
      ...(left.digests === undefined ? {} : { digests: left.digests }),
      highest: highestStable(counted, yanked),
      live: counted.length > 0,
      sequence: left.sequence,
    };
  }

  /** The head as `latest.json` shows it. */
  async projected(name: PromptName, op: Operation | undefined): Promise<HeadRecord | undefined> {
    // Where it is not kept up to date, it may be that of years ago.
    if (!this.#store.options.latestJson) return undefined;
    const key = this.#keys.latest(name);
    const found = await this.#store.get(key, op);
    if (found === undefined || found === "unchanged") return undefined;
    if (found.sound) return decodeRecord(found.bytes, name, key);
    const problem = "is damaged, and the head it is a copy of is gone; restore one of the two from an older version";
    throw new RegistryError("CORRUPT", `${key} ${problem}`, { backend: "s3", name, path: key });
  }

  /** What the documents alone say. It names the tombstones: a slot that it does not name counts. */
  async fromDocuments(name: PromptName, op: Operation | undefined): Promise<HeadRecord> {
    const slots = await this.#documents.list(name, op);
    const removed = await this.#documents.removed(name, slots, undefined, op);
    const live = slots.map((slot) => slot.version).filter((version) => !removed.has(version));
    const gone = Object.fromEntries(slots.filter((s) => removed.has(s.version)).map((s) => [s.version, s.etag]));
    return { ...emptyRecord(name), live: live.length > 0, highest: highestStable(live, {}), gone };
  }

  /**
   * The files of older history, which only the lost head named; without those of which every entry still stands beside, and
   * nothing twice of what the last one goes on with.
   */
  async #archived(
    name: PromptName,
    history: readonly HistoryEntry[],
    op: Operation | undefined,
  ): Promise<Pick<HeadRecord, "history" | "archives">> {
    const archives = await this.#archives.files(name, op);
    const beside = new Set(history.map((entry) => JSON.stringify(entry)));
    for (let last = archives.at(-1); last !== undefined; last = archives.at(-1)) {
      const entries = await this.#archives.entries({ ...emptyRecord(name), archives: [last] }, op);
      const kept = entries.map((entry) => JSON.stringify(entry));
      if (!kept.every((entry) => beside.has(entry))) {
        const old = new Set(kept);
        return { archives, history: history.filter((entry) => !old.has(JSON.stringify(entry))) };
      }
      archives.pop();
    }
    return { archives, history };
  }
}
