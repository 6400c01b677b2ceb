import { type Digest, openStored, type SealedDocument } from "../document.ts";
import type { Change, Operation, Outcome, ReadAnswer, ReadAsk, StoredDocument } from "../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { PolicyFinding } from "../policy/types.ts";
import type { Act } from "../rules/plan.ts";
import type { Version } from "../semver.ts";
import { allVersions, freshOperation, readAll } from "./asks.ts";
import { actOf, type ChangeOptions, type Context } from "./context.ts";
import { checkRequest, type StoreRequest } from "./request.ts";
import { type Group, type GroupState, type Item, planGroup, takeExisting } from "./store-plan.ts";
import { refuses } from "./store-policy.ts";
import { backOff, commitAll, MAX_ROUNDS, MAX_UNKNOWN, tooBusy, wasCommitted } from "./write.ts";

export interface StoreResult {
  readonly name: PromptName;
  readonly version: Version;
  /** `name@version` */
  readonly ref: string;
  readonly digest: Digest;
  /** `unchanged`: this version was there with this text already (labels may still have moved). */
  readonly status: "created" | "unchanged";
  /** What `latest` selects afterwards, where the storage had to look. */
  readonly latest?: Version;
  /** `latest` is pinned, so a higher version does not move it; store with `unpin: true`, or call `unpin`. */
  readonly pinned?: true;
  readonly warnings?: readonly string[];
  /** What the policy would have blocked but for `allow`: for an audit log. */
  readonly overridden?: readonly PolicyFinding[];
}

export interface StoreFailure {
  readonly name: PromptName;
  readonly status: "failed";
  readonly error: RegistryError;
}

export interface StoreManyOptions extends ChangeOptions {
  /** All prompts or none; needs a storage whose atomicity is `batch`. Default `false`. */
  readonly atomic?: boolean;
}

/**
 * Stores any number of prompt versions: plan everything, commit once, and plan again only what somebody else was faster
 * with. Requests of the same prompt are applied in order.
 */
export async function storeMany(
  context: Context,
  requests: readonly StoreRequest[],
  options: StoreManyOptions,
): Promise<(StoreResult | StoreFailure)[]> {
  const act = actOf(context, options);
  const op = freshOperation(options);
  const items = requests.map((request, index): Item => {
    const wanted = checkRequest(request, requests.length > 1 ? `prompts[${index}].` : "");
    const version = wanted.wantedVersion === undefined ? {} : { version: wanted.wantedVersion };
    return { ...wanted, ...version, created: false, sent: false, pointed: false };
  });
  const groups = groupByName(items);
  if (context.policy !== undefined) for (const group of groups) group.look = true;
  const atomic = options.atomic === true;
  const causes = new Set<RegistryError>();
  for (let round = 0; groups.some((g) => !g.settled); round++) {
    const open = groups.filter((g) => !g.settled);
    try {
      throwIfAborted(op.signal, "storePrompt");
      if (round > MAX_ROUNDS) throw tooBusy((open[0] as Group).name);
      if (round > 1) await backOff(round - 1);
      await storeRound(context, act, open, op, atomic);
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      if (atomic) throw open.find((g) => g.unknown !== undefined)?.unknown ?? error;
      // What earlier rounds stored stays stored, and its caller is told so.
      for (const group of open) if (!group.settled) fail(group, error);
      causes.add(error);
    }
  }
  const [cause] = items.map((item) => item.error);
  // One failure of the storage that kept everything from being stored is no matter of the single requests.
  if (cause !== undefined && causes.has(cause) && items.every((item) => item.error === cause)) throw cause;
  const outcomes = new Map(groups.map((group) => [group.name, group.outcome]));
  return items.map((item) => resultOf(item, outcomes.get(item.name)));
}

/** Ends a group: what is not done in it yet has failed. An outcome that was never found out stays unknown. */
function fail(group: Group, cause: RegistryError): void {
  const error = group.unknown ?? cause;
  group.settled = true;
  for (const item of group.items) {
    const stored = item.created || item.there !== undefined;
    const hasPointers = !item.pointed && (item.labels.length > 0 || item.unpin);
    if (!stored || hasPointers) item.error ??= error;
  }
}

function groupByName(items: readonly Item[]): Group[] {
  const groups = new Map<PromptName, Group>();
  for (const item of items) {
    const group = groups.get(item.name) ?? { name: item.name, items: [], look: false, unknowns: 0, settled: false };
    const isTwin = group.items.some((i) => i.version !== undefined && i.version === item.version);
    group.items.push(item);
    if (item.bump !== undefined || item.needsHead || isTwin) group.look = true;
    groups.set(item.name, group);
  }
  return [...groups.values()];
}

function resultOf(item: Item, outcome: Group["outcome"]): StoreResult | StoreFailure {
  const { name, version } = item;
  const error = item.error ?? item.twin?.error;
  if (error !== undefined) return { name, status: "failed", error };
  const head = outcome?.head;
  const warnings = [...(outcome?.warnings ?? []), ...(item.warnings ?? [])];
  return {
    name,
    version: version as Version,
    ref: `${name}@${version}`,
    digest: digestOf(item),
    status: item.created ? "created" : "unchanged",
    ...(head?.latest === undefined ? {} : { latest: head.latest }),
    ...(head?.head.pin === undefined ? {} : { pinned: true as const }),
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(item.overridden === undefined ? {} : { overridden: item.overridden }),
  };
}

function digestOf(item: Item): Digest {
  if (item.twin !== undefined) return digestOf(item.twin);
  return item.created ? (item.document as SealedDocument).digest : (item.there as Digest);
}

async function storeRound(context: Context, act: Act, groups: Group[], op: Operation, atomic: boolean): Promise<void> {
  const states = await lookEach(context, groups, op, atomic);
  const planned: { group: Group; change: Change }[] = [];
  for (const group of groups.filter((g) => !g.settled)) {
    let change = await planOrFail(context, act, group, states.get(group), op, atomic);
    while (change !== undefined && (await refuses(context, act, group, change, op))) {
      change = await planOrFail(context, act, group, states.get(group), op, atomic);
    }
    if (change === undefined) group.settled = true;
    else planned.push({ group, change });
  }
  const failed = groups.flatMap((g) => g.items).find((i) => i.error !== undefined);
  if (atomic && failed?.error !== undefined) throw failed.error;
  if (planned.length === 0) return;
  let outcomes: readonly Outcome[];
  try {
    outcomes = await commitAll(
      context,
      act,
      planned.map((p) => p.change),
      op,
      atomic,
    );
  } catch (error) {
    if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
    outcomes = planned.map(() => ({ status: "failed", error }));
  }
  for (const [i, { group, change }] of planned.entries()) settle(group, change, outcomes[i] as Outcome, atomic);
}

/** Plans a group; when that fails, or its outcome can't be found out, the group has failed and no other one. */
async function planOrFail(
  context: Context,
  act: Act,
  group: Group,
  state: GroupState | undefined,
  op: Operation,
  atomic: boolean,
): Promise<Change | undefined> {
  const { unknown } = group;
  try {
    if (unknown !== undefined && group.items.some((i) => i.labels.length > 0 || i.unpin)) {
      // What this call did to the head must not be done again: somebody may have changed it on purpose since then.
      const done = await wasCommitted(context, group.name, act.commit, op, unknown);
      if (done) for (const item of group.items) item.pointed = true;
    }
    const change = planGroup(context, act, group, state);
    // Sent again a few times at most: a store that swallows replies would be hammered, and what it did stays unknown.
    if (change !== undefined && unknown !== undefined && group.unknowns > MAX_UNKNOWN) throw unknown;
    return change;
  } catch (error) {
    if (!isRegistryError(error) || atomic) throw error;
    fail(group, error);
    return undefined;
  }
}

/** {@link look}, where what can't be read of one prompt is no other prompt's failure. */
async function lookEach(
  context: Context,
  groups: readonly Group[],
  op: Operation,
  atomic: boolean,
): Promise<Map<Group, GroupState>> {
  try {
    return await look(context, groups, op);
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    if (atomic) throw groups.find((g) => g.unknown !== undefined)?.unknown ?? error;
    if (groups.length === 1) {
      const group = groups[0] as Group;
      fail(group, error);
      return new Map();
    }
  }
  const states = new Map<Group, GroupState>();
  for (const group of groups) {
    for (const [one, state] of await lookEach(context, [group], op, false)) states.set(one, state);
  }
  return states;
}

/** Reads what the plans of these groups need, all in one read where versions are already known. */
async function look(context: Context, groups: readonly Group[], op: Operation): Promise<Map<Group, GroupState>> {
  const looking = groups.filter((g) => g.look);
  const versions = new Map<Group, Version[]>();
  await Promise.all(
    looking.map(async (group) => {
      if (!group.items.some((i) => i.bump !== undefined && !i.created)) return;
      const entries = await allVersions(context, group.name, op, true);
      versions.set(
        group,
        entries.map((e) => e.version),
      );
    }),
  );
  const asks: ReadAsk[] = [];
  const wanted = looking.map((group) => {
    const slots = new Set(group.items.flatMap((i) => i.version ?? []));
    const highest = versions.get(group)?.[0];
    if (highest !== undefined) slots.add(highest);
    const needsHead = group.items.some((i) => i.needsHead);
    if (needsHead) asks.push({ name: group.name, selector: { kind: "head" } });
    for (const version of slots) asks.push({ name: group.name, selector: { kind: "version", version } });
    return { group, slots: [...slots], needsHead };
  });
  const answers = (await readAll(context, asks, op))[Symbol.iterator]();
  const states = new Map<Group, GroupState>();
  for (const { group, slots, needsHead } of wanted) {
    const answer = needsHead ? (answers.next().value as ReadAnswer) : undefined;
    states.set(group, {
      head: answer?.status === "head" ? answer.head : undefined,
      slots: new Map(slots.map((version) => [version, answers.next().value as ReadAnswer])),
      versions: versions.get(group) ?? [],
    });
  }
  return states;
}

function settle(group: Group, change: Change, outcome: Outcome, atomic: boolean): void {
  const added = change.add ?? [];
  const sent = group.items.filter((i) => i.document !== undefined && added.includes(i.document));
  switch (outcome.status) {
    case "done":
      for (const item of sent) {
        item.created = true;
        takeStored(item, outcome.stored?.[added.indexOf(item.document as SealedDocument)]);
      }
      group.outcome = outcome;
      group.settled = true;
      return;
    case "exists": {
      // Who may write and not read is told what stands there in this way only.
      const item = sent.find(({ version }) => version === outcome.existing.version);
      if (item === undefined || !takeExisting(item, outcome.existing)) group.look = true;
      return;
    }
    case "skipped":
      group.look = true;
      return;
    case "conflict":
      if (outcome.added) for (const item of sent) item.created = true;
      group.look = true;
      return;
    case "failed":
      if (outcome.error.outcome === "unknown") {
        for (const item of sent) item.sent = true;
        group.unknown = outcome.error;
        group.unknowns++;
        group.look = true;
        return;
      }
      if (atomic) throw outcome.error;
      fail(group, outcome.error);
  }
}

/** A store that seals documents itself says what it made of this one. */
function takeStored(item: Item, stored: StoredDocument | undefined): void {
  if (stored === undefined) return;
  const { name, version, text } = stored;
  if (name !== item.name || version !== item.version) {
    throw new RegistryError(
      "INTERNAL",
      `the storage stored ${name}@${version} in place of ${item.name}@${item.version}`,
    );
  }
  item.document = { name, version, text, digest: openStored(text, stored).digest };
}
