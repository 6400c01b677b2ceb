import type { Prices } from "./prices.ts";

/** What a registry holds, and what it is asked for in a month. */
export interface Usage {
  readonly prompts: number;
  /** Of each prompt. */
  readonly versions: number;
  /** Of one stored version. */
  readonly documentBytes: number;
  /** Of one head; `latest.json` is about as long. */
  readonly headBytes: number;
  /** Reads of an exact version that reach S3, which those a cache answers do not. */
  readonly pinnedReads: number;
  /** Reads of latest or a label that reach S3. */
  readonly latestReads: number;
  /** Versions published. */
  readonly writes: number;
  /** Labels moved, yanks, rollbacks. */
  readonly moves: number;
  /** Pages of 100 prompts with their heads. */
  readonly pages: number;
  /** Questions for what has changed (the feed): caches and mirrors ask. */
  readonly polls: number;
  /** Of documents. Heads are always STANDARD: they are replaced too often for any other. */
  readonly storageClass: string;
  /** Days that replaced heads are kept, in a bucket with versioning; 0 without. */
  readonly keptDays: number;
  /** Replies leave to the internet, and not to the bucket's own region. */
  readonly internet: boolean;
  /** Objects are encrypted with a key of KMS, without a bucket key. */
  readonly kms: boolean;
}

export const USAGE: Usage = {
  prompts: 1000,
  versions: 10,
  documentBytes: 4096,
  headBytes: 2048,
  pinnedReads: 0,
  latestReads: 0,
  writes: 0,
  moves: 0,
  pages: 0,
  polls: 0,
  storageClass: "STANDARD",
  keptDays: 90,
  internet: false,
  kms: false,
};

/**
 * Requests that each operation makes once the head is known; as the tests count them.
 *
 * A publish puts the document, the head and `latest.json`; a move the latter two. What a page of heads and a poll list is
 * 1,000 keys a request.
 */
export const CALLS = {
  pinnedRead: { get: 1, put: 0, list: 0 },
  latestRead: { get: 2, put: 0, list: 0 },
  write: { get: 0, put: 3, list: 0 },
  move: { get: 1, put: 2, list: 0 },
  page: { get: 100, put: 0, list: 1 },
} as const;

export interface CostLine {
  readonly what: string;
  /** In {@link unit}. */
  readonly amount: number;
  readonly unit: "requests" | "GB";
  readonly cost: number;
  /** Where the price stands in the table: a storage class, or a field of its own. */
  readonly price: string;
}

export interface Cost {
  readonly lines: readonly CostLine[];
  readonly total: number;
  readonly currency: string;
  readonly asOf: string;
  readonly region: string;
  /** Prices in it that no source was named for. */
  readonly unverified: readonly string[];
}

const GB = 2 ** 30;
const MONTH_DAYS = 30;

/** @throws TypeError where the table has no such storage class; callers check it first */
export function estimate(usage: Usage, prices: Prices): Cost {
  const own = prices.classes[usage.storageClass];
  const standard = prices.classes.STANDARD;
  if (own === undefined || standard === undefined) throw new TypeError("no such storage class");
  const { prompts, documentBytes, headBytes, storageClass } = usage;
  const documents = (prompts * usage.versions * Math.max(documentBytes, own.minimumBytes)) / GB;
  const heads = (prompts * 2 * headBytes) / GB;
  const replaced = ((usage.writes + usage.moves) * 2 * headBytes * (usage.keptDays / MONTH_DAYS)) / GB;
  const documentGets = usage.pinnedReads * CALLS.pinnedRead.get + usage.latestReads;
  const headGets = usage.latestReads + usage.moves * CALLS.move.get + usage.pages * CALLS.page.get;
  const headPuts = usage.writes * (CALLS.write.put - 1) + usage.moves * CALLS.move.put;
  const lists = usage.pages * CALLS.page.list + usage.polls * Math.max(1, Math.ceil(prompts / 1000));
  const readGb = (documentGets * documentBytes) / GB;
  const movedGb = readGb + (headGets * headBytes) / GB;
  const requests = documentGets + headGets + headPuts + usage.writes;
  const line = (
    what: string,
    amount: number,
    unit: CostLine["unit"],
    price: string,
    each: number,
    per = 1,
  ): CostLine => ({
    ...{ what, amount, unit, price },
    cost: (amount / per) * each,
  });
  const lines = [
    line(`documents, ${usage.storageClass}`, documents, "GB", storageClass, own.storageGb),
    line("heads and latest.json", heads, "GB", "STANDARD", standard.storageGb),
    line(`replaced heads, kept ${usage.keptDays} days`, replaced, "GB", "STANDARD", standard.storageGb),
    line("GET of documents", documentGets, "requests", storageClass, own.get1000, 1000),
    line("GET of heads", headGets, "requests", "STANDARD", standard.get1000, 1000),
    line("PUT of documents", usage.writes, "requests", storageClass, own.put1000, 1000),
    line("PUT of heads and latest.json", headPuts, "requests", "STANDARD", standard.put1000, 1000),
    line("LIST", lists, "requests", "list1000", prices.list1000, 1000),
    line("retrieval", own.retrievalGb > 0 ? readGb : 0, "GB", storageClass, own.retrievalGb),
    line("transfer to the internet", usage.internet ? movedGb : 0, "GB", "transferGb", prices.transferGb),
    line("KMS", usage.kms ? requests : 0, "requests", "kms10000", prices.kms10000, 10_000),
  ].filter(({ amount }) => amount > 0);
  const total = lines.reduce((sum, { cost }) => sum + cost, 0);
  const used = new Set(lines.map(({ price }) => price));
  const unverified = [...used].filter((price) => prices.sources[price] === undefined);
  return { lines, total, currency: prices.currency, asOf: prices.asOf, region: prices.region, unverified };
}
