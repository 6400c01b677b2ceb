import { openStored, type SealedDocument } from "../document.ts";
import type { Change, Operation, Outcome, StoredDocument } from "../driver.ts";
import { isRegistryError, RegistryError, throwIfAborted } from "../errors.ts";
import type { PromptName } from "../names.ts";
import type { Act } from "../rules/plan.ts";
import { freshOperation } from "./asks.ts";
import { actOf, type ChangeOptions, type Context } from "./context.ts";
import { checkRequest, type StoreRequest } from "./request.ts";
import { lookEach } from "./store-look.ts";
import { failGroup, type Group, type GroupState, Item, planGroup, sealWanted, takeExisting } from "./store-plan.ts";
import { refuses } from "./store-policy.ts";
import { resultOf, resultOfDone, type StoreFailure, type StoreResult } from "./store-result.ts";
import { backOff, commitAll, MAX_ROUNDS, MAX_UNKNOWN, tooBusy, wasCommitted } from "./write.ts";

export interface StoreManyOptions extends ChangeOptions {
  /** All prompts or none; needs a storage whose atomicity is `batch`. Default `false`. */
  readonly atomic?: boolean | undefined;
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
  const items = requests.map(
    (request, index) => new Item(checkRequest(request, requests.length > 1 ? `prompts[${index}].` : "")),
  );
  return storeItems(context, act, op, items, options.atomic === true);
}

/**
 * Stores one version as {@link storeMany} does, and most of them directly: where nothing has to be looked up, its plan is the
 * document alone. A single store ends with a sync, and after one the processor has to fetch anew whatever code it runs.
 *
 * @throws RegistryError where {@link storeMany} would give a failure
 */
export async function storeOne(
  context: Context,
  request: StoreRequest,
  options: Pick<ChangeOptions, "signal">,
): Promise<StoreResult> {
  const act = actOf(context, options);
  const op = freshOperation(options);
  const wanted = checkRequest(request);
  const { wantedVersion: version } = wanted;
  if (version === undefined || wanted.needsHead || context.policy !== undefined) {
    return single(await storeItems(context, act, op, [new Item(wanted)], false));
  }
  throwIfAborted(op.signal, "storePrompt");
  const document = sealWanted(wanted, version, act, context);
  const change: Change = { name: wanted.name, add: [document] };
  const outcome = (await sendAll(context, act, [change], op, false))[0] as Outcome;
  if (outcome.status === "done" && outcome.stored === undefined) return resultOfDone(document, "created", outcome);
  const items = [new Item(wanted, document)];
  return single(await storeItems(context, act, op, items, false, { change, outcome }));
}

function single([result]: readonly (StoreResult | StoreFailure)[]): StoreResult {
  const stored = result as StoreResult | StoreFailure;
  if (stored.status === "failed") throw stored.error;
  return stored;
}

/** @param first what was sent already, of one prompt, and what became of it */
async function storeItems(
  context: Context,
  act: Act,
  op: Operation,
  items: readonly Item[],
  atomic: boolean,
  first?: { readonly change: Change; readonly outcome: Outcome },
): Promise<(StoreResult | StoreFailure)[]> {
  const groups = groupByName(items);
  if (context.policy !== undefined) for (const group of groups) group.look = true;
  const causes = new Set<RegistryError>();
  if (first !== undefined) settle(groups[0] as Group, first.change, first.outcome, atomic);
  for (let round = first === undefined ? 0 : 1; groups.some((g) => !g.settled); round++) {
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
      for (const group of open) if (!group.settled) failGroup(group, error);
      causes.add(error);
    }
  }
  const [cause] = items.map((item) => item.error);
  // One failure of the storage that kept everything from being stored is no matter of the single requests.
  if (cause !== undefined && causes.has(cause) && items.every((item) => item.error === cause)) throw cause;
  const outcomes = new Map(groups.map((group) => [group.name, group.outcome]));
  return items.map((item) => resultOf(item, outcomes.get(item.wanted.name)));
}

function groupByName(items: readonly Item[]): Group[] {
  const groups = new Map<PromptName, Group>();
  for (const item of items) {
    const group = groups.get(item.wanted.name) ?? {
      name: item.wanted.name,
      items: [],
      look: false,
      unknowns: 0,
      settled: false,
    };
    const isTwin = group.items.some((i) => i.version !== undefined && i.version === item.version);
    group.items.push(item);
    if (item.wanted.bump !== undefined || item.wanted.needsHead || isTwin) group.look = true;
    groups.set(item.wanted.name, group);
  }
  return [...groups.values()];
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
  const changes = planned.map((p) => p.change);
  const outcomes = await sendAll(context, act, changes, op, atomic);
  for (const [i, { group, change }] of planned.entries()) settle(group, change, outcomes[i] as Outcome, atomic);
}

/** {@link commitAll}, where a commit of which nobody knows what became is that of each of its changes. */
async function sendAll(
  context: Context,
  act: Act,
  changes: readonly Change[],
  op: Operation,
  atomic: boolean,
): Promise<readonly Outcome[]> {
  try {
    return await commitAll(context, act, changes, op, atomic);
  } catch (error) {
    if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
    return changes.map(() => ({ status: "failed", error }));
  }
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
    if (unknown !== undefined && group.items.some((i) => i.wanted.labels.length > 0 || i.wanted.unpin)) {
      // What this call did to the head must not be done again: somebody may have changed it on purpose since then.
      const done = await wasCommitted(context, group.name, act, op, unknown);
      if (done) for (const item of group.items) item.pointed = true;
    }
    const change = planGroup(context, act, group, state);
    // Sent again a few times at most: a store that swallows replies would be hammered, and what it did stays unknown.
    if (change !== undefined && unknown !== undefined && group.unknowns > MAX_UNKNOWN) throw unknown;
    return change;
  } catch (error) {
    if (!isRegistryError(error) || atomic) throw error;
    failGroup(group, error);
    return undefined;
  }
}

function settle(group: Group, change: Change, outcome: Outcome, atomic: boolean): void {
  const added = change.add ?? [];
  const sent = group.items.filter((i) => i.document !== undefined && added.includes(i.document));
  switch (outcome.status) {
    case "done":
      try {
        for (const item of sent) takeStored(item, outcome.stored?.[added.indexOf(item.document as SealedDocument)]);
      } catch (error) {
        if (!isRegistryError(error)) throw error;
        // Something was stored, and what it is the storage has yet to say.
        doubt(
          group,
          sent,
          new RegistryError(error.code, error.message, { ...error.context, outcome: "unknown", cause: error }),
        );
        return;
      }
      for (const item of sent) item.created = true;
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
        doubt(group, sent, outcome.error);
        return;
      }
      if (atomic) throw outcome.error;
      failGroup(group, outcome.error);
  }
}

/** Nobody knows what became of these: they are looked for before anything is sent again. */
function doubt(group: Group, sent: readonly Item[], error: RegistryError): void {
  for (const item of sent) item.sent = true;
  group.unknown = error;
  group.unknowns++;
  group.look = true;
}

/** A store that seals documents itself says what it made of this one. */
function takeStored(item: Item, stored: StoredDocument | undefined): void {
  if (stored === undefined) return;
  const { name, version, text } = stored;
  if (name !== item.wanted.name || version !== item.version) {
    throw new RegistryError(
      "INTERNAL",
      `the storage stored ${name}@${version} in place of ${item.wanted.name}@${item.version}`,
    );
  }
  item.document = { name, version, text, digest: openStored(text, stored).digest };
}
