import type { Finding, FindingKind, Operation, RepairPlan, RepairReport } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import { highestStable } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import type { Documents, ListedSlot } from "./documents.ts";
import { type Heads, recordOf } from "./heads.ts";
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
  { store, keys, documents, heads, projector }: Parts,
  plan: RepairPlan,
  name: PromptName,
  { slots, head, latest }: Found,
  op: Operation | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const path = (key: string) => key.slice(keys.root.length);
  const wants = (kind: FindingKind) => plan.repair.includes(kind);
  try {
    const record = (await heads.objects.load(name, op))?.record;
    const removed = await documents.removed(name, slots, record, op);
    const live = slots.map((slot) => slot.version).filter((version) => !removed.has(version));
    let now = record;
    if (!agrees(record, live)) {
      // A writer that was stopped leaves this behind, and nothing of it is more than the listing says.
      const repaired = wants("projection");
      if (repaired) {
        // Under the same condition as every write; what somebody changed meanwhile is looked at anew.
        const moved = await heads.move(name, (was) => rebuilt(documents, name, was, op), op, { touched: false });
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
  documents: Documents,
  name: PromptName,
  was: HeadRecord | undefined,
  op: Operation | undefined,
): Promise<HeadRecord> {
  if (was === undefined) return await recordOf(documents, name, op);
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
