import type { Operation, ReadAnswer, ReadAsk } from "../driver.ts";
import { isRegistryError } from "../errors.ts";
import type { Version } from "../semver.ts";
import { allVersions, readAll } from "./asks.ts";
import type { Context } from "./context.ts";
import { failGroup, type Group, type GroupState } from "./store-plan.ts";

/** Reads what the plans of these groups need; what can't be read of one prompt is no other prompt's failure. */
export async function lookEach(
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
      failGroup(group, error);
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
      if (!group.items.some((i) => i.wanted.bump !== undefined && !i.created)) return;
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
    const needsHead = group.items.some((i) => i.wanted.needsHead);
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
