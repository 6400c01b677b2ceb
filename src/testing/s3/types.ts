import type { BucketSettings, StoredObject } from "./bucket.ts";
import type { Policy } from "./policy.ts";

/**
 * How a store that is not S3 gets conditional writes wrong.
 *
 * - `ignores` takes the headers and writes anyway
 * - `serial` honours them one by one, but not of writes that run at the same time (SeaweedFS 4.16)
 * - `absent` lets `If-Match` create what is not there (MinIO before 2025-09)
 */
export type Dishonesty = "ignores" | "serial" | "absent";

/** What can be changed while the server runs. */
export interface FakeS3Settings {
  /** Default: none, it is honest. */
  readonly dishonest?: Dishonesty | undefined;
  /** A conditional write that loses against one that ran at the same time gets this; default 412. */
  readonly race?: 409 | 412 | undefined;
  /** Every request waits so many milliseconds before it is looked at; default 0. */
  readonly latency?: number | undefined;
  /** Configurations of buckets that are answered with 501, as compatible stores do: `publicAccessBlock`, `encryption`, … */
  readonly unsupported?: readonly string[] | undefined;
  /** An absent key is 403 also where only a condition on `s3:prefix` allows to list it, as older RadosGW do. */
  readonly prefixHidesAbsent?: boolean | undefined;
}

export interface FakeS3Options extends FakeS3Settings {
  /** Where the server and its buckets are, unless one says otherwise; default `us-east-1`. */
  readonly region?: string;
  /** In milliseconds, for signatures, sessions and times of objects; default the machine's. */
  readonly clock?: () => number;
}

export interface FakeCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface FakeUser {
  /** Twelve digits; default that of the owner of all buckets. */
  readonly account?: string;
  /** What it may do; default everything. */
  readonly policies?: readonly Policy[];
}

export interface FakeSession extends FakeUser {
  /** What of that this session may do; default all. */
  readonly sessionPolicy?: Policy;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A request that was answered. */
export interface FakeS3Call {
  /** As S3 calls it: `GetObject`, `ListObjectsV2`, … */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  readonly status: number;
  readonly accessKeyId: string | undefined;
}

export interface FakeS3 {
  /** `http://127.0.0.1:PORT`; path-style addressing only. */
  readonly endpoint: string;
  readonly region: string;
  /** The account that owns buckets by default. */
  readonly account: string;
  /** Of a user that may do everything. */
  readonly credentials: FakeCredentials;
  /** What was answered since the last `clearCalls`. */
  readonly calls: readonly FakeS3Call[];
  clearCalls(): void;
  /** How many calls there were of each operation. */
  counts(): Readonly<Record<string, number>>;
  set(settings: FakeS3Settings): void;
  createBucket(name: string, settings?: Partial<BucketSettings>): void;
  /** @throws TypeError where a policy uses what the fake does not evaluate */
  createUser(user?: FakeUser): FakeCredentials;
  /** Temporary credentials, with a session token. */
  createSession(session: FakeSession): FakeCredentials;
  /** What a bucket holds under a key now, whoever asks; `undefined` where nothing. */
  object(bucket: string, key: string): StoredObject | undefined;
  /** The keys of a bucket that a GET would find, in the order of their bytes. */
  keys(bucket: string, prefix?: string): readonly string[];
  /** Changes the bytes under a key behind everybody's back; nothing else of the object changes but its ETag. */
  damage(bucket: string, key: string, edit: (bytes: Buffer) => Uint8Array): void;
  close(): Promise<void>;
}
