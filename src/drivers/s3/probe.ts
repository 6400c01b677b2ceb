import { randomBytes } from "node:crypto";
import type { Operation } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import type { Keys } from "./keys.ts";
import { RACERS } from "./sdk.ts";
import type { S3Store } from "./store.ts";

/** A proof is believed that long. Servers are updated, and versioning is switched on. */
const MAX_AGE_MS = 24 * 60 * 60 * 1000;
/** A proof is written when it was made: one that is much younger than what it says was copied here from elsewhere. */
const MAX_DELAY_MS = 60 * 60 * 1000;
const FORMAT = 1;

export interface Proof {
  /** One line for each thing that the store does not do; empty: it may be shared. */
  readonly faults: readonly string[];
  /** Whether If-Match takes an ETag with quotes. */
  readonly quoted: boolean;
}

/**
 * What the store does with conditions, by trying: stores are known that let a race of creates have several winners, that
 * drop If-Match, or that take it for a key that is not there, and say in their headers that they do all of it.
 */
export async function probe(store: S3Store, keys: Keys, op?: Operation): Promise<Proof> {
  const id = randomBytes(9).toString("base64url");
  const made = new Set<string>();
  const attempt = async (key: string, body: string, etag: string | null) => {
    made.add(key);
    const common = { contentType: "text/plain", cacheControl: "no-store", expect: { etag }, atOnce: true } as const;
    try {
      const result = await store.put({ key, body, ...common }, op);
      return result.status === "stored" ? { won: true, etag: result.etag } : { won: false, etag: "" };
    } catch (error) {
      // Losing a race may be told as an error of the server's own; what stands there decides.
      if (isRegistryError(error) && error.outcome === "unknown" && op?.signal?.aborted !== true) {
        return { won: false, etag: "", error };
      }
      throw error;
    }
  };
  const before = store.quoted;
  const faults: string[] = [];
  try {
    const key = keys.probing(id);
    const race = await Promise.all(Array.from({ length: RACERS }, (_, i) => attempt(key, `racer ${i}\n`, null)));
    const winners = race.filter((racer) => racer.won);
    // A store that is out of order is no liar.
    const failed = race.find((racer) => "error" in racer);
    if (winners.length === 0 && failed !== undefined) throw failed.error;
    if (winners.length !== 1)
      faults.push(`${winners.length} of ${RACERS} writers created the same key (If-None-Match)`);
    const there = await store.get(key, op);
    const text = there === undefined || there === "unchanged" ? undefined : there.bytes.toString();
    const winner = race.findIndex((racer) => racer.won);
    if (winners.length === 1 && text !== `racer ${winner}\n`) faults.push("what was created is not what is read back");
    const etag = there === undefined || there === "unchanged" ? "" : there.etag;
    store.quoted = true;
    let moved = await attempt(key, "moved\n", etag);
    if (!moved.won) {
      store.quoted = false;
      moved = await attempt(key, "moved\n", etag);
    }
    if (!moved.won) {
      store.quoted = before;
      if ("error" in moved) throw moved.error;
      faults.push("the right If-Match is refused");
    } else {
      if ((await attempt(key, "stale\n", etag)).won) faults.push("a stale If-Match is taken");
      const swaps = await Promise.all(Array.from({ length: 4 }, (_, i) => attempt(key, `swap ${i}\n`, moved.etag)));
      const swapped = swaps.filter((swap) => swap.won).length;
      if (swapped > 1) faults.push(`${swapped} of 4 writers replaced the same content (If-Match)`);
    }
    if ((await attempt(keys.probing(`${id}-absent`), "absent\n", etag)).won) {
      faults.push("If-Match is taken for a key that is not there");
    }
  } finally {
    for (const key of made) {
      // Leaving them is harmless, and a writer need not have the right to delete; `repair` finds them.
      await store.remove(key).catch(() => {});
    }
  }
  return { faults, quoted: store.quoted };
}

/** Believes a proof that was written down, or probes and writes it down. Once in the life of a handle that writes. */
export async function prove(store: S3Store, keys: Keys, op?: Operation): Promise<void> {
  if (!store.conditional) return;
  const endpoint = store.options.endpoint ?? "aws";
  const place = `${endpoint} ${store.options.bucket}`;
  const written = await store.get(keys.probe, op);
  if (written !== undefined && written !== "unchanged") {
    const proof = read(written.bytes.toString());
    const isHere = proof?.place === place && Math.abs(written.modified - proof.at) < MAX_DELAY_MS;
    if (isHere && Math.abs(Date.now() - proof.at) < MAX_AGE_MS) {
      store.quoted = proof.quoted;
      store.proven = true;
      return;
    }
  }
  const { faults, quoted } = await probe(store, keys, op);
  if (faults.length > 0) {
    await disprove(store, keys, faults, op);
    throw dishonest(store.options.location, faults);
  }
  store.proven = true;
  const body = `${JSON.stringify({ format: FORMAT, place, at: new Date().toISOString(), quoted })}\n`;
  await store
    .put({ key: keys.probe, body, contentType: "application/json", cacheControl: "no-store" }, op)
    // It only saves the next process a probe.
    .catch(() => {});
}

/** Takes an older proof back: the next writer makes its own. */
export async function disprove(store: S3Store, keys: Keys, faults: readonly string[], op?: Operation): Promise<void> {
  store.proven = false;
  const body = `${JSON.stringify({ format: FORMAT, at: new Date().toISOString(), faults })}\n`;
  await store
    .put({ key: keys.probe, body, contentType: "application/json", cacheControl: "no-store" }, op)
    .catch(() => {});
}

export function dishonest(location: string, faults: readonly string[]): RegistryError {
  const ways =
    'set conditionalWrites to "single-writer" if one process alone writes, or to { lock: "postgres://…" } so that writers take turns by a database';
  return new RegistryError(
    "UNSUPPORTED",
    `${location} can't be shared by several writers: ${faults.join("; ")}; ${ways}`,
    { backend: "s3", location, issues: faults },
  );
}

function read(text: string): { place: unknown; at: number; quoted: boolean } | undefined {
  try {
    const { format, place, at, quoted } = JSON.parse(text) as Record<string, unknown>;
    if (format !== FORMAT || typeof quoted !== "boolean" || typeof at !== "string") return undefined;
    return { place, at: Date.parse(at), quoted };
  } catch {
    return undefined;
  }
}
