import type {
  HistoryEntry,
  ListQuery,
  Operation,
  Page,
  PageQuery,
  PromptEntry,
  VersionEntry,
  VersionQuery,
} from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { isName, type PromptName } from "../../names.ts";
import { sortVersionsDescending } from "../../rules/latest.ts";
import type { Archives } from "./archives.ts";
import type { Documents } from "./documents.ts";
import type { Heads } from "./heads.ts";
import type { Keys } from "./keys.ts";
import { badCursor, mergeSorted, pageOf, pageOfVersions } from "./pages.ts";
import { stateOf } from "./record.ts";
import type { S3Store } from "./store.ts";

/** Lists: one request for the page, and the objects that its ETags do not prove to be known. */
export class Lister {
  readonly #store: S3Store;
  readonly #keys: Keys;
  readonly #documents: Documents;
  readonly #heads: Heads;
  readonly #archives: Archives;

  constructor(store: S3Store, keys: Keys, documents: Documents, heads: Heads, archives: Archives) {
    this.#store = store;
    this.#keys = keys;
    this.#documents = documents;
    this.#heads = heads;
    this.#archives = archives;
  }

  async prompts(query: ListQuery, op: Operation | undefined): Promise<Page<PromptEntry>> {
    const { prefix = "", cursor, limit } = query;
    if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
    let after = cursor === undefined ? {} : { after: this.#keys.head(cursor) };
    for (;;) {
      const ask = { prefix: `${this.#keys.heads}${prefix}`, ...after, limit: Math.min(limit, 1000) };
      const { objects, more } = await this.#store.list(ask, op);
      const named = objects.flatMap(({ key, etag }) => {
        const name = this.#keys.headOf(key);
        return name === undefined ? [] : [{ name, etag }];
      });
      const last = named.at(-1)?.name;
      if (more && last === undefined) {
        // Nothing here is of a registry, e.g. the folder's mark of a console.
        after = { after: objects.at(-1)?.key as string };
        continue;
      }
      const wanted = named.filter(({ name }) => name.startsWith(prefix));
      const entries = await Promise.all(wanted.map(({ name, etag }) => this.#entry(name, etag, query, op)));
      const items = entries.filter((entry) => entry !== undefined);
      return more && last !== undefined ? { items, cursor: last } : { items };
    }
  }

  async #entry(
    name: PromptName,
    etag: string,
    query: ListQuery,
    op: Operation | undefined,
  ): Promise<PromptEntry | undefined> {
    const seen = this.#heads.objects.seen(name);
    const object = seen?.etag === etag ? seen : await this.#heads.objects.load(name, op);
    // Heads are never deleted.
    if (object === undefined) {
      throw new RegistryError(
        "UNAVAILABLE",
        `the head of ${name} was listed and is not there; try again, or run doctor`,
        {
          ...{ backend: "s3", name },
        },
      );
    }
    const { live } = object.record;
    if (!live && query.includeRemoved !== true) return undefined;
    const head = query.include === "heads" ? { head: stateOf(object.record) } : {};
    return { name, ...head, ...(live ? {} : { removed: true as const }) };
  }

  async versions(name: PromptName, query: VersionQuery, op: Operation | undefined): Promise<Page<VersionEntry>> {
    const slots = await this.#documents.list(name, op);
    // After the listing: a slot that holds a tombstone by then is named in the head by now.
    const record = slots.length === 0 ? undefined : await this.#heads.loadOrRemains(name, op);
    const removed = await this.#documents.removed(name, slots, record, op);
    const entries = slots
      .filter(({ version }) => query.includeRemoved === true || !removed.has(version))
      .map(({ version }) => {
        const yanked = record?.head.yanked[version];
        return {
          version,
          ...(yanked === undefined ? {} : { yanked }),
          ...(removed.has(version) ? { removed: true as const } : {}),
        };
      });
    return pageOfVersions(sortVersionsDescending(entries), query);
  }

  async history(name: PromptName, query: PageQuery, op: Operation | undefined): Promise<Page<HistoryEntry>> {
    const [slots, object] = await Promise.all([this.#documents.list(name, op), this.#heads.objects.load(name, op)]);
    const published = this.#documents.entries(name, slots, op);
    const record = object?.record ?? (slots.length === 0 ? undefined : await this.#heads.lost.remains(name, op));
    const moved = record === undefined ? [] : await this.#archives.entries(record, op);
    return pageOf(mergeSorted(await published, moved), query);
  }
}
