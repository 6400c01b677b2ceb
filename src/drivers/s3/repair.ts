import type { Finding, FindingKind, Operation, RepairPlan, RepairReport } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import type { Documents, ListedSlot } from "./documents.ts";
import type { Heads } from "./heads.ts";
import type { Keys } from "./keys.ts";
import type { Projector } from "./projector.ts";
import { encodePublic, type HeadRecord } from "./record.ts";
import type { Listed, S3Store } from "./store.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

interface Parts {
  readonly store: S3Store;
  readonly keys: Keys;
  readonly documents: Documents;
  readonly heads: Heads;
  readonly projector: Projector;
}

/** What lies in the bucket about one prompt. */
interface Found {
  readonly slots: ListedSlot[];
  head: boolean;
  latest: boolean;
}

/** Compares heads, documents and `latest.json` of every prompt, and puts right what the plan says. */
export async function repair(parts: Parts, plan: RepairPlan, op: Operation | undefined): Promise<RepairReport> {
  const { store, keys, projector } = parts;
  await projector.settle();
  const findings: Finding[] = [];
  const prompts = new Map<PromptName, Found>();
  const found = (name: PromptName) => {
    const there = prompts.get(name) ?? { slots: [], head: false, latest: false };
    prompts.set(name, there);
    return there;
  };
  const only = plan.name;
  for await (const { key, etag } of all(store, only === undefined ? keys.documents : `${keys.documents}${only}/`, op)) {
    const document = keys.documentOf(key);
    const name = document?.name ?? (key.endsWith("/latest.json") ? keys.headOf(headKeyOf(keys, key)) : undefined);
    if (name === undefined) {
      if (only === undefined) findings.push(foreign(keys, key));
    } else if (only !== undefined && name !== only) continue;
    else if (document === undefined) found(name).latest = true;
    else found(name).slots.push({ version: document.version, etag });
  }
  for await (const { key } of all(store, only === undefined ? keys.heads : keys.head(only), op)) {
    const name = keys.headOf(key);
    if (name !== undefined) found(name).head = true;
    else findings.push(foreign(keys, key));
  }
  const names = [...prompts.keys()];
  const reports = await Promise.all(names.map((name) => inspect(parts, plan, name, prompts.get(name) as Found, op)));
  findings.push(...reports.flat());
  if (only === undefined) findings.push(...(await probesLeft(parts, plan, op)));
  return { findings };
}

function headKeyOf(keys: Keys, key: string): string {
  return `${keys.heads}${key.slice(keys.documents.length, -"/latest.json".length)}!.json`;
}

function foreign(keys: Keys, key: string): Finding {
  return {
    kind: "foreign",
    path: key.slice(keys.root.length),
    detail: "is nothing that a registry writes",
    repaired: false,
  };
}

async function* all(store: S3Store, prefix: string, op: Operation | undefined): AsyncGenerator<Listed> {
  for (let after: string | undefined; ; ) {
    const { objects, more } = await store.list({ prefix, ...(after === undefined ? {} : { after }) }, op);
    yield* objects;
    after = objects.at(-1)?.key;
    if (!more || after === undefined) return;
  }
}

async function inspect(
  parts: Parts,
  plan: RepairPlan,
  name: PromptName,
  { slots, head, latest }: Found,
  op: Operation | undefined,
): Promise<Finding[]> {
  const { store, keys, documents, heads, projector } = parts;
  const findings: Finding[] = [];
  const path = (key: string) => key.slice(keys.root.length);
  const wants = (kind: FindingKind) => plan.repair.includes(kind);
  try {
    // Before anything: whatever is written to a head replaces latest.json.
    const begunAnew = latest && head && store.options.latestJson ? await newer(parts, plan, name, op) : undefined;
    if (begunAnew !== undefined) {
      findings.push(begunAnew);
      if (!begunAnew.repaired) return findings;
    }
    const record = (await heads.objects.load(name, op))?.record;
    const removed = await documents.removed(name, slots, record, op);
    const live = slots.map((slot) => slot.version).filter((version) => !removed.has(version));
    let now = record;
    if (!agrees(record, live)) {
      // A writer that was stopped leaves this behind, and nothing of it is more than the listing says.
      const repaired = wants("projection");
      if (repaired) {
        // Under the same condition as every write; what somebody changed meanwhile is looked at anew.
        const moved = await heads.move(name, (was) => rebuilt(parts, name, was, op), op, { touched: false });
        if (moved !== "conflict") now = moved;
      }
      const detail = head ? "does not show the versions that are there" : "is missing, and there are versions";
      findings.push({ kind: "projection", name, path: path(keys.head(name)), detail, repaired });
    }
    findings.push(...dangling(name, now, live, path(keys.head(name))));
    if (store.options.latestJson && now !== undefined && (findings.length === 0 || findings[0]?.repaired === true)) {
      await projector.settle();
      const there = latest || findings.length > 0 ? await store.get(keys.latest(name), op) : undefined;
      const text = there === undefined || there === "unchanged" ? undefined : there.bytes.toString();
      if (text !== encodePublic(now)) {
        const repaired = wants("projection");
        if (repaired) await projector.write(now);
        const detail = text === undefined ? "is missing" : "is not what the head says";
        findings.push({ kind: "projection", name, path: path(keys.latest(name)), detail, repaired });
      }
    }
  } catch (error) {
    if (!isRegistryError(error) || error.code !== "CORRUPT") throw error;
    findings.push({ kind: "corrupt", name, path: path(keys.head(name)), detail: error.message, repaired: false });
  }
  return findings;
}

/**
 * A projection is never ahead of its head: where it is, that head was lost and another was begun without it, which drops
 * labels and history. To go back to it changes answers, so it is done only when asked for, and it is not overwritten before.
 */
async function newer(
  parts: Parts,
  plan: RepairPlan,
  name: PromptName,
  op: Operation | undefined,
): Promise<Finding | undefined> {
  const { keys, heads } = parts;
  const projected = await heads.lost.projected(name, op).catch((error: unknown) => {
    if (isRegistryError(error, "CORRUPT")) return undefined;
    throw error;
  });
  // Read after it, or a writer at work would look like that.
  const now = (await heads.objects.load(name, op))?.record;
  if (projected === undefined || now === undefined || projected.head.generation <= now.head.generation)
    return undefined;
  const left = await heads.lost.remains(name, op);
  if (left === undefined) return undefined;
  const again = async (was: HeadRecord | undefined) => {
    if (was === undefined || was.head.generation >= left.head.generation) return "same";
    const { head, history, gone, burials, sequence } = was;
    // What was decided since holds.
    const labels = { ...left.head.labels, ...head.labels };
    const yanked = { ...left.head.yanked, ...head.yanked };
    const merged = { ...left.head, ...head, labels, yanked, generation: left.head.generation + 1 };
    const record = { ...left, head: merged, history: [...left.history, ...history], burials };
    return await rebuilt(parts, name, { ...record, gone: { ...left.gone, ...gone }, sequence }, op);
  };
  const repaired = plan.repair.includes("head");
  if (repaired) await heads.move(name, again, op, { touched: false });
  const path = keys.head(name).slice(keys.root.length);
  const detail = `is of generation ${now.head.generation} while latest.json is of ${left.head.generation}: a head was lost and begun anew; repairing \`head\` goes back to latest.json`;
  return { kind: "head", name, path, detail, repaired };
}

function agrees(record: HeadRecord | undefined, live: readonly Version[]): boolean {
  if (record === undefined) return live.length === 0;
  if (record.claim !== undefined) return false;
  const counted = withoutRemoved(record, live);
  return record.live === counted.length > 0 && record.highest === highestStable(counted, record.head.yanked);
}

/** What is marked as removed does not come back into lists because its remover was stopped before the tombstone. */
function withoutRemoved({ head }: HeadRecord, live: readonly Version[]): Version[] {
  return live.filter((version) => head.yanked[version]?.removed !== true);
}

async function rebuilt(
  { documents, heads }: Parts,
  name: PromptName,
  was: HeadRecord | undefined,
  op: Operation | undefined,
): Promise<HeadRecord> {
  if (was === undefined) return await heads.lost.fromDocuments(name, op);
  const counted = withoutRemoved(was, await documents.live(name, was, op));
  return { ...was, live: counted.length > 0, highest: highestStable(counted, was.head.yanked) };
}

function dangling(name: PromptName, record: HeadRecord | undefined, live: readonly Version[], path: string): Finding[] {
  const there = new Set(live);
  const detail = (what: string) => `${what}, which is not there; move it, or restore the version from a copy`;
  const labels = Object.entries(record?.head.labels ?? {}) as [never, Version][];
  const findings: Finding[] = labels
    .filter(([, version]) => !there.has(version))
    .map(([label, version]) => {
      const says = detail(`the label ${String(label)} is on ${version}`);
      return { kind: "head", name, label, version, path, detail: says, repaired: false };
    });
  const pin = record?.head.pin;
  if (pin !== undefined && !there.has(pin)) {
    const says = detail(`latest is pinned to ${pin}`);
    findings.push({ kind: "head", name, version: pin, path, detail: says, repaired: false });
  }
  return findings;
}

/** What a probe that was stopped, or that may not delete, has left. */
async function probesLeft({ store, keys }: Parts, plan: RepairPlan, op: Operation | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const oldest = Date.now() - (plan.minTempAge ?? DAY_MS);
  for await (const { key, modified } of all(store, keys.probes, op)) {
    if (modified > oldest) continue;
    const repaired = plan.repair.includes("temp");
    if (repaired) await store.remove(key, op);
    findings.push({ kind: "temp", path: key.slice(keys.root.length), detail: "is left of a check", repaired });
  }
  return findings;
}
