import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Operation } from "../../driver.ts";
import { abortError, RegistryError, throwIfAborted } from "../../errors.ts";
import { readBody } from "./body.ts";
import { codeOf, FOREIGN, s3Failure, statusOf } from "./failure.ts";
import { Limiter } from "./limiter.ts";
import type { Resolved } from "./options.ts";
import type { ListAsk, Listing, Put, PutResult, Stored } from "./requests.ts";
import type { Sdk } from "./sdk.ts";

export type { Listed, Listing, Put, PutResult, Stored } from "./requests.ts";

export const sha256 = (data: Uint8Array | string) => createHash("sha256").update(data).digest();
const bare = (etag: string | undefined) => (etag ?? "").replace(/^W\//, "").replace(/^"|"$/g, "");

/**
 * The few requests that this backend makes, counted and bounded. Nothing is tried again here: a request was carried out,
 * was refused, or throws an error whose outcome says what is known.
 */
export class S3Store {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly options: Resolved;
  /** How many requests were made. */
  calls = 0;
  /** Whether If-Match takes an ETag as HTTP spells it. RadosGW wants it without quotes. */
  quoted = true;
  /** Whether the store was seen to keep conditions, so that something may be created on the side. */
  proven = false;
  /** `false`: conditions are checked here, by reading first. */
  conditional: boolean;
  readonly #limiter: Limiter;
  readonly #ending = new AbortController();
  readonly #common: Readonly<Record<string, string>>;

  constructor(sdk: Sdk, client: S3Client, options: Resolved) {
    this.sdk = sdk;
    this.client = client;
    this.options = options;
    this.conditional = options.conditionalWrites === "required";
    this.#limiter = new Limiter(options.concurrency);
    this.#common = {
      Bucket: options.bucket,
      ...(options.expectedBucketOwner === undefined ? {} : { ExpectedBucketOwner: options.expectedBucketOwner }),
      ...(options.requestPayer === true ? { RequestPayer: "requester" } : {}),
    };
  }

  /**
   * The time that requests are signed with, in milliseconds since the epoch: the SDK puts right what this machine's clock is
   * wrong by, as soon as a reply tells it. So that clock may be hours off and nobody notices.
   */
  now(): number {
    return Date.now() + (this.client.config.systemClockOffset || 0);
  }

  /** @returns `undefined` where the store itself says that the key is not there */
  async get(key: string, op?: Operation, known?: string): Promise<Stored | "unchanged" | undefined> {
    const first = await this.#fetch(key, op, known);
    if (first === undefined || first === "unchanged" || first.sound) return first;
    const second = await this.#fetch(key, op, undefined);
    if (second === undefined || second === "unchanged" || second.sound) return second;
    if (second.bytes.equals(first.bytes)) return second;
    throw new RegistryError("UNAVAILABLE", `reading ${this.#name(key)}: the bytes are damaged on their way`, {
      backend: "s3",
      location: this.options.location,
    });
  }

  async #fetch(
    key: string,
    op: Operation | undefined,
    known: string | undefined,
  ): Promise<Stored | "unchanged" | undefined> {
    const input = { ...this.#common, Key: key, ...(known === undefined ? {} : { IfNoneMatch: `"${known}"` }) };
    try {
      return await this.#send(op, false, async (abortSignal) => {
        const reply = await this.client.send(new this.sdk.GetObjectCommand(input as never), { abortSignal });
        const bytes = await readBody(reply.Body as never, abortSignal);
        if (reply.ContentLength !== undefined && reply.ContentLength !== bytes.length) {
          throw Object.assign(new Error("the body is cut"), { code: "ERR_STREAM_PREMATURE_CLOSE" });
        }
        // Every store names what it gives, and no registry stores pages: a portal or proxy does.
        if (reply.ETag === undefined || /^text\/html\b/i.test(reply.ContentType ?? "")) throw this.#foreign(key);
        const metadata = reply.Metadata ?? {};
        const sound = metadata.sha256 === undefined || metadata.sha256 === sha256(bytes).toString("hex");
        return { bytes, etag: bare(reply.ETag), metadata, sound, modified: reply.LastModified?.getTime() ?? 0 };
      });
    } catch (error) {
      if (statusOf(error) === 304 && known !== undefined) return "unchanged";
      if (statusOf(error) === 404 && codeOf(error) === "NoSuchKey") return undefined;
      throw this.#failure(error, `reading ${this.#name(key)}`, false);
    }
  }

  /** @throws RegistryError with outcome `unknown` where the write may have been carried out */
  async put(put: Put, op?: Operation): Promise<PutResult> {
    const { key, expect, metadata, storageClass } = put;
    const body = Buffer.from(put.body);
    if (expect !== undefined && !this.conditional) {
      const there = await this.get(key, op);
      const etag = there === undefined || there === "unchanged" ? null : there.etag;
      if (etag !== expect.etag) return { status: "refused" };
    }
    const { encryption, kmsKeyId, bucketKey } = this.options;
    const digest = sha256(body);
    const input = {
      ...this.#common,
      Key: key,
      Body: body,
      ContentLength: body.length,
      ContentType: put.contentType,
      CacheControl: put.cacheControl,
      ChecksumSHA256: digest.toString("base64"),
      Metadata: { ...metadata, sha256: digest.toString("hex") },
      ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
      ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }),
      ...(bucketKey === undefined ? {} : { BucketKeyEnabled: bucketKey }),
      ...(this.conditional ? this.#condition(expect) : {}),
    };
    try {
      return await this.#send(
        op,
        true,
        async (abortSignal) => {
          const reply = await this.client.send(new this.sdk.PutObjectCommand(input as never), { abortSignal });
          return { status: "stored", etag: bare(reply.ETag) };
        },
        put.atOnce,
      );
    } catch (error) {
      const status = statusOf(error);
      if (status === 409) return { status: "refused", raced: true };
      if (status === 412) return { status: "refused" };
      // If-Match on a key that is not there.
      if (status === 404 && codeOf(error) === "NoSuchKey" && expect !== undefined) return { status: "refused" };
      throw this.#failure(error, `writing ${this.#name(key)}`, true);
    }
  }

  #condition(expect: Put["expect"]): { IfNoneMatch?: string; IfMatch?: string } {
    if (expect === undefined) return {};
    if (expect.etag === null) return { IfNoneMatch: "*" };
    return { IfMatch: this.quoted ? `"${expect.etag}"` : expect.etag };
  }

  async list({ prefix, after, limit = 1000, folders = false }: ListAsk, op?: Operation): Promise<Listing> {
    const input = {
      ...this.#common,
      Prefix: prefix,
      MaxKeys: limit,
      ...(after === undefined ? {} : { StartAfter: after }),
      ...(folders ? { Delimiter: "/" } : {}),
    };
    try {
      return await this.#send(op, false, async (abortSignal) => {
        const command = new this.sdk.ListObjectsV2Command(input as never);
        let now: number | undefined;
        command.middlewareStack.add(
          (next) => async (args) => {
            const result = await next(args);
            const { headers } = result.response as { headers?: Readonly<Record<string, string>> };
            const date = Date.parse(headers?.date ?? "");
            now = Number.isNaN(date) ? undefined : date;
            return result;
          },
          { step: "deserialize", priority: "low", name: "promptRegistryDate" },
        );
        const reply = await this.client.send(command, { abortSignal });
        const objects = (reply.Contents ?? []).map((one) => ({
          key: one.Key ?? "",
          etag: bare(one.ETag),
          modified: one.LastModified?.getTime() ?? 0,
        }));
        // Listings bear no checksum, so what can be compared is. A store that begins with the last key of the page before would
        // be listed for ever.
        const keys = [
          ...(reply.Contents ?? []).map((one) => one.Key),
          ...(reply.CommonPrefixes ?? []).map((one) => one.Prefix),
        ];
        const start = after === undefined ? undefined : Buffer.from(after);
        const below = (reply.CommonPrefixes ?? []).map((one) => one.Prefix ?? "");
        const order = (key: string) => (start === undefined ? 1 : Buffer.compare(Buffer.from(key), start));
        const goesOn = objects.every(({ key }) => order(key) > 0) && below.every((folder) => order(folder) >= 0);
        const wrong = keys.some((key) => key?.startsWith(prefix) !== true) || !goesOn;
        const stuck = reply.IsTruncated === true && keys.length === 0;
        if (wrong || stuck || reply.IsTruncated === undefined || (reply.KeyCount ?? keys.length) !== keys.length) {
          throw new RegistryError(
            "UNAVAILABLE",
            `listing ${this.#name(prefix)}: the reply contradicts itself; try again`,
            {
              ...{ backend: "s3", location: this.options.location },
            },
          );
        }
        return { objects, folders: below, more: reply.IsTruncated === true, now };
      });
    } catch (error) {
      throw this.#failure(error, `listing ${this.#name(prefix)}`, false);
    }
  }

  async remove(key: string, op?: Operation): Promise<void> {
    const input = { ...this.#common, Key: key };
    try {
      await this.#send(op, true, (abortSignal) =>
        this.client.send(new this.sdk.DeleteObjectCommand(input as never), { abortSignal }),
      );
    } catch (error) {
      throw this.#failure(error, `deleting ${this.#name(key)}`, true);
    }
  }

  close(): void {
    this.#ending.abort(new RegistryError("ABORTED", "the S3 storage is closed", { backend: "s3" }));
    this.client.destroy();
  }

  #foreign(key: string): RegistryError {
    const [code, outcome, why] = FOREIGN;
    const { location } = this.options;
    return new RegistryError(code, `reading ${this.#name(key)}: ${why}`, { backend: "s3", location, outcome });
  }

  #name(key: string): string {
    return `s3://${this.options.bucket}/${key}`;
  }

  async #send<T>(
    op: Operation | undefined,
    mutates: boolean,
    request: (signal: AbortSignal) => Promise<T>,
    atOnce?: true,
  ): Promise<T> {
    const run = <R>(work: () => Promise<R>) => (atOnce === true ? work() : this.#limiter.run(op, work));
    return await run(async () => {
      throwIfAborted(op?.signal);
      this.calls++;
      // The SDK's timeout ends with the headers of a reply; a body may hang too.
      const limit = AbortSignal.timeout(this.options.requestTimeout * 2);
      // Without conditions a write has to be over before the next writer's turn comes: it is not given up half way.
      const given = op?.signal === undefined || (mutates && !this.conditional) ? [] : [op.signal];
      const signals = [limit, this.#ending.signal, ...given];
      const signal = AbortSignal.any(signals);
      setMaxListeners(0, signal);
      try {
        return await request(signal);
      } catch (error) {
        if (!signal.aborted || statusOf(error) !== undefined) throw error;
        if (op?.signal?.aborted !== true && !this.#ending.signal.aborted) {
          throw Object.assign(new Error("the request took too long"), { name: "TimeoutError" });
        }
        const ended = abortError(op?.signal?.aborted === true ? op.signal : this.#ending.signal);
        if (!mutates) throw ended;
        // It was on its way.
        throw new RegistryError(ended.code, ended.message, {
          ...ended.context,
          outcome: "unknown",
          cause: ended.cause,
        });
      }
    });
  }

  #failure(error: unknown, doing: string, mutates: boolean): RegistryError {
    return s3Failure(error, doing, this.options.location, mutates);
  }
}
