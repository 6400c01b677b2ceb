import { randomBytes } from "node:crypto";
import type { HealthCheck, Operation } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { Keys } from "./keys.ts";
import { disprove, probe } from "./probe.ts";
import type { Projector } from "./projector.ts";
import type { S3Store } from "./store.ts";

/** S3 refuses requests whose time differs by more than 15 minutes. */
const MAX_SKEW_MS = 5 * 60 * 1000;

export async function checkS3(
  store: S3Store,
  keys: Keys,
  projector: Projector,
  op: Operation | undefined,
): Promise<HealthCheck[]> {
  const checks: HealthCheck[] = [];
  const { bucket, readOnly, conditionalWrites, latestJson } = store.options;
  const add = async (name: string, look: () => Promise<Omit<HealthCheck, "name">>) => {
    try {
      checks.push({ name, ...(await look()) });
    } catch (error) {
      if (!isRegistryError(error) || error.code === "ABORTED") throw error;
      checks.push({ name, ok: false, detail: error.message });
    }
  };
  let skew: number | undefined;
  await add("reachable", async () => {
    const { now } = await store.list({ prefix: keys.heads, limit: 1 }, op);
    if (now !== undefined) skew = Date.now() - now;
    return { ok: true, detail: `the bucket ${bucket} can be listed` };
  });
  if (checks[0]?.ok !== true) return checks;
  await add("clock", async () => {
    if (skew === undefined) return { ok: true, detail: "the store does not tell its time" };
    const seconds = Math.round(Math.abs(skew) / 1000);
    return { ok: Math.abs(skew) < MAX_SKEW_MS, detail: `differs by ${seconds} s from the store's` };
  });
  await add("missing keys", async () => {
    const found = await store.get(keys.probing(`none-${randomBytes(6).toString("hex")}`), op);
    return { ok: found === undefined, detail: "a key that is not there is told as that" };
  });
  if (readOnly) return checks;
  if (op?.probe === false) {
    // Sixteen writers are too many for somebody who only looks.
  } else if (conditionalWrites === "required") {
    await add("conditional writes", async () => {
      const { faults, quoted } = await probe(store, keys, op);
      const how = quoted ? "" : "; this store wants ETags without quotes";
      if (faults.length === 0) return { ok: true, detail: `one of 16 racing writers won, and If-Match holds${how}` };
      await disprove(store, keys, faults, op);
      const ways = 'use conditionalWrites "single-writer" or { lock }';
      return { ok: false, detail: `not to be shared by several writers: ${faults.join("; ")}; ${ways}` };
    });
  } else {
    const how =
      conditionalWrites === "single-writer" ? "this process must be the only writer" : "writers take turns by a lock";
    await add("writes", async () => {
      const key = keys.probing(randomBytes(9).toString("base64url"));
      await store.put({ key, body: "check\n", contentType: "text/plain", cacheControl: "no-store" }, op);
      const there = await store.get(key, op);
      await store.remove(key, op).catch(() => {});
      const same = there !== undefined && there !== "unchanged" && there.bytes.toString() === "check\n";
      return { ok: same, detail: same ? how : "what was written is not what is read back" };
    });
  }
  if (latestJson) {
    const { failures } = projector;
    const detail = failures === 0 ? "written after every head" : `${failures} could not be written; doctor does it`;
    checks.push({ name: "latest.json", ok: true, detail, figures: { failures } });
  }
  return checks;
}
