import { checkNote, MAX_MESSAGE } from "../document.ts";
import type { HeadState, Operation } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { type Label, type PromptName, parseLabel, parseName, parseSelector } from "../names.ts";
import { labelTarget } from "../rules/latest.ts";
import {
  checkLabelExpectation,
  type HeadPlan,
  planDeprecate,
  planLabels,
  planRollback,
  planUnlabel,
  planUnpin,
  planUnyank,
  planYank,
  refuseYanked,
  rollbackTarget,
} from "../rules/plan.ts";
import { parseVersion, type Version } from "../semver.ts";
import { allVersions, freshOperation, readHead, readOne } from "./asks.ts";
import { actOf, type ChangeOptions, type Context } from "./context.ts";
import { notFound } from "./missing.ts";
import type { Prompt } from "./prompt.ts";
import type { Reader } from "./read.ts";
import { commitHead, headChange } from "./write.ts";

export interface LabelOptions extends ChangeOptions {
  /** The version the label must be on now (`null`: not set), else `CONFLICT`. */
  readonly expect?: string | null | undefined;
}

/** What a change of labels, pin, yanks or deprecation did. */
export interface PointerResult {
  readonly name: PromptName;
  readonly status: "changed" | "unchanged";
  /** The version that was pointed at, yanked, … where there is one. */
  readonly version?: Version;
  readonly label?: Label;
  /** What the label or `latest` selected before. */
  readonly from?: Version;
}

type Step = (state: HeadState) => Promise<HeadPlan | undefined> | HeadPlan | undefined;

/** Moves the head of a prompt that must exist. */
async function moveHead(
  context: Context,
  name: PromptName,
  options: ChangeOptions,
  step: (act: ReturnType<typeof actOf>, op: Operation) => Step,
): Promise<"changed" | "unchanged"> {
  const act = actOf(context, options);
  const op = freshOperation(options);
  const plan = step(act, op);
  return commitHead(context, name, act, op, async () => {
    const state = await readHead(context, name, op);
    if (state === undefined) throw notFound(name);
    const next = await plan(state);
    return next === undefined ? undefined : headChange(name, state, next);
  });
}

/** Throws unless the version exists and was not removed. */
async function requireLive(context: Context, name: PromptName, version: Version, op: Operation): Promise<void> {
  const answer = await readOne(context, name, { kind: "version", version }, op);
  if (answer.status === "found") return;
  const why = answer.status === "removed" ? "was removed" : "does not exist";
  throw new RegistryError("NOT_FOUND", `${name}@${version} ${why}`, { name, version });
}

function parseExpect(expect: string | null | undefined): Version | null | undefined {
  return expect === undefined || expect === null ? expect : parseVersion(expect);
}

export async function setLabel(
  context: Context,
  reader: Reader,
  name: string,
  label: string,
  selector: string,
  options: LabelOptions,
): Promise<PointerResult> {
  const target = { name: parseName(name), selector: parseSelector(selector) };
  const wanted = parseLabel(label);
  const expect = parseExpect(options.expect);
  let version: Version;
  if (target.selector.kind === "version") version = target.selector.version;
  else version = ((await reader.getMany([target], {}, freshOperation(options)))[0] as Prompt).version;
  let from: Version | undefined;
  const status = await moveHead(context, target.name, options, (act, op) => async (state) => {
    // Looked up under the head that the compare-and-set expects: a version can't be removed without moving the head.
    await requireLive(context, target.name, version, op);
    checkLabelExpectation(target.name, state.head, wanted, expect);
    from = labelTarget(state.head, wanted);
    if (from !== version) refuseYanked(target.name, state.head, version, "can't be labelled");
    return planLabels(state.head, version, [wanted], act);
  });
  return { name: target.name, label: wanted, version, status, ...(from === undefined ? {} : { from }) };
}

export async function removeLabel(
  context: Context,
  name: string,
  label: string,
  options: LabelOptions,
): Promise<PointerResult> {
  const parsed = parseName(name);
  const wanted = parseLabel(label);
  const expect = parseExpect(options.expect);
  let from: Version | undefined;
  const status = await moveHead(context, parsed, options, (act) => (state) => {
    checkLabelExpectation(parsed, state.head, wanted, expect);
    const plan = planUnlabel(state.head, wanted, act);
    from = plan?.entries[0]?.from;
    return plan;
  });
  return { name: parsed, label: wanted, status, ...(from === undefined ? {} : { from }) };
}

export async function rollback(
  context: Context,
  name: string,
  options: ChangeOptions & { readonly to?: string | undefined },
): Promise<PointerResult> {
  const parsed = parseName(name);
  let to = options.to === undefined ? undefined : parseVersion(options.to);
  let from: Version | undefined;
  const status = await moveHead(context, parsed, options, (act, op) => async (state) => {
    if (to === undefined) {
      const live = await allVersions(context, parsed, op);
      // Chosen once: a second look after a conflict must not roll back twice.
      to = rollbackTarget(
        parsed,
        state,
        live.map((e) => e.version),
      );
    }
    await requireLive(context, parsed, to, op);
    from = state.latest;
    return planRollback(parsed, state, to, act);
  });
  return { name: parsed, version: to as unknown as Version, status, ...(from === undefined ? {} : { from }) };
}

export async function unpin(context: Context, name: string, options: ChangeOptions): Promise<PointerResult> {
  const parsed = parseName(name);
  let from: Version | undefined;
  const status = await moveHead(context, parsed, options, (act) => (state) => {
    from = state.head.pin;
    return planUnpin(state.head, act);
  });
  return { name: parsed, status, ...(from === undefined ? {} : { from }) };
}

export async function setYanked(
  context: Context,
  name: string,
  version: string,
  yanked: boolean,
  options: ChangeOptions,
): Promise<PointerResult> {
  const parsed = parseName(name);
  const target = parseVersion(version);
  const status = await moveHead(context, parsed, options, (act, op) => async (state) => {
    await requireLive(context, parsed, target, op);
    return yanked ? planYank(parsed, state.head, target, act) : planUnyank(parsed, state.head, target, act);
  });
  return { name: parsed, version: target, status };
}

export async function setDeprecated(
  context: Context,
  name: string,
  message: string | null,
  options: ChangeOptions,
): Promise<PointerResult> {
  const parsed = parseName(name);
  if (message !== null) {
    checkNote("message", message, MAX_MESSAGE);
    if (message.trim() === "") {
      throw new RegistryError("INVALID", "a deprecation needs a message that says what to use instead", {
        field: "message",
      });
    }
  }
  const status = await moveHead(context, parsed, options, (act) => (state) => planDeprecate(state.head, message, act));
  return { name: parsed, status };
}
