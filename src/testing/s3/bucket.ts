/** One version of an object, or the marker that it was deleted. */
export interface StoredObject {
  readonly key: string;
  readonly versionId: string;
  /** Unquoted. */
  readonly etag: string;
  readonly bytes: Buffer;
  /** Of the reply to a GET: type, caching, user metadata, encryption. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksums: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly modified: number;
  /** Grows with every write of the fake. */
  readonly sequence: number;
  readonly deleted: boolean;
}

export interface BucketSettings {
  readonly region: string;
  /** The account that owns it. */
  readonly owner: string;
  readonly requesterPays: boolean;
}

/** Keys in the order of their UTF-8 bytes, each with its versions, newest first. */
export class Bucket {
  readonly name: string;
  readonly settings: BucketSettings;
  readonly created: number;
  versioning: "Enabled" | "Suspended" | undefined;
  /** Configurations as they were put: `encryption`, `lifecycle`, … */
  readonly documents = new Map<string, string>();
  readonly #versions = new Map<string, StoredObject[]>();
  readonly #sorted: string[] = [];

  constructor(name: string, settings: BucketSettings, created: number) {
    this.name = name;
    this.settings = settings;
    this.created = created;
  }

  /** The newest version; a delete marker counts as one. */
  newest(key: string): StoredObject | undefined {
    return this.#versions.get(key)?.[0];
  }

  /** What a plain GET finds. */
  current(key: string): StoredObject | undefined {
    const newest = this.newest(key);
    return newest?.deleted ? undefined : newest;
  }

  versions(key: string): readonly StoredObject[] {
    return this.#versions.get(key) ?? [];
  }

  /**
   * The keys that start with this, also those that only have delete markers left on top.
   *
   * @param after only keys that stand behind it
   */
  *keys(prefix = "", after = ""): Generator<string> {
    // One that starts with the prefix is no lower than it, and the first that does not is behind all that do.
    const start = Buffer.from(prefix);
    const behind = Buffer.from(after);
    let at = this.#place(Buffer.compare(start, behind) > 0 ? start : behind);
    if (after !== "" && this.#sorted[at] === after) at++;
    for (let key = this.#sorted[at]; key?.startsWith(prefix) === true; key = this.#sorted[++at]) yield key;
  }

  /** Where the first key stands that is no lower, by bisection: a list must not cost more where the bucket holds more. */
  #place(bytes: Buffer): number {
    let low = 0;
    for (let high = this.#sorted.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(Buffer.from(this.#sorted[middle] as string), bytes) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(object: StoredObject): void {
    const before = this.#versions.get(object.key);
    if (before === undefined) this.#sorted.splice(this.#place(Buffer.from(object.key)), 0, object.key);
    // Without versioning there is one version, called "null"; where it was suspended, that one is replaced.
    const kept = (before ?? []).filter(({ versionId }) => versionId !== object.versionId);
    this.#versions.set(object.key, [object, ...kept]);
  }

  /** @returns whether there was such a version */
  remove(key: string, versionId: string): boolean {
    const before = this.versions(key);
    const kept = before.filter((object) => object.versionId !== versionId);
    if (kept.length > 0) this.#versions.set(key, kept);
    else if (this.#versions.delete(key)) this.#sorted.splice(this.#place(Buffer.from(key)), 1);
    return kept.length < before.length;
  }

  get empty(): boolean {
    return this.#versions.size === 0;
  }
}
