import { type OpenedDocument, openStored, parseDigest, type SealedDocument, sealTombstone } from "../document.ts";
import type { Change, Operation, ReadAnswer, Yank } from "../driver.ts";
import { isRegistryError, RegistryError, show } from "../errors.ts";
import { type PromptName, parseName } from "../names.ts";
import { type Act, planRemove, planRestore, yankedBefore } from "../rules/plan.ts";
import { parseVersion, type Version } from "../semver.ts";
import { allVersions, freshOperation, historyOf, readAll, readHead, readOne } from "./asks.ts";
import { actOf, type ChangeOptions, type Context } from "./context.ts";
import { notFound } from "./missing.ts";
import type { PointerResult } from "./pointers.ts";
import { takeSealed } from "./request.ts";
import { commitHead, headChange } from "./write.ts";

/** What was removed; `versions` is empty when everything was gone already. */
export interface RemoveResult {
  readonly name: PromptName;
  readonly status: "removed" | "unchanged";
  readonly versions: readonly Version[];
}

export async function deleteVersion(
  context: Context,
  name: string,
  version: string,
  options: ChangeOptions,
): Promise<RemoveResult> {
  return remove(context, parseName(name), parseVersion(version), options);
}

export async function deletePrompt(context: Context, name: string, options: ChangeOptions): Promise<RemoveResult> {
  return remove(context, parseName(name), undefined, options);
}

async function remove(
  context: Context,
  name: PromptName,
  version: Version | undefined,
  options: ChangeOptions,
): Promise<RemoveResult> {
  const act = actOf(context, options);
  const op = freshOperation(options);
  const removed = new Set<Version>();
  const done = await commitHead(context, name, act, op, async (committed) => {
    const state = await readHead(context, name, op);
    if (state === undefined) throw notFound(name);
    if (committed) {
      // Somebody may have restored one since: only what the head still calls removed is to be finished.
      const left = [...removed].filter((v) => state.head.yanked[v]?.removed === true);
      const missing = await tombstonesFor(context, act, name, left, op, false);
      return missing.length === 0 ? undefined : { name, guard: state.revision, remove: missing };
    }
    const live = version === undefined ? (await allVersions(context, name, op)).map((e) => e.version) : [version];
    const tombstones = await tombstonesFor(context, act, name, live, op, version !== undefined);
    const versions = tombstones.map((t) => t.version);
    for (const one of versions) removed.add(one);
    const plan = planRemove(name, state.head, versions, act, { wholePrompt: version === undefined });
    if (plan === undefined && tombstones.length === 0) return undefined;
    // Held to the head that was looked at: a version that somebody has restored since is not buried again.
    const base: Change = plan === undefined ? { name, guard: state.revision } : headChange(name, state, plan);
    return { ...base, remove: tombstones };
  });
  return done === "unchanged"
    ? { name, status: "unchanged", versions: [] }
    : { name, status: "removed", versions: [...removed] };
}

async function tombstonesFor(
  context: Context,
  act: Act,
  name: PromptName,
  versions: readonly Version[],
  op: Operation,
  mustExist: boolean,
): Promise<SealedDocument[]> {
  const asks = versions.map((version) => ({ name, selector: { kind: "version" as const, version } }));
  const answers = await readAll(context, asks, op);
  return answers.flatMap((answer: ReadAnswer, i) => {
    const version = versions[i] as Version;
    if (answer.status === "found") return [tombstoneFor(act, name, version, answer.document.text)];
    if (mustExist && answer.status === "absent") {
      throw new RegistryError("NOT_FOUND", `there is no version ${version} of ${name}`, { name, version });
    }
    return [];
  });
}

function tombstoneFor(act: Act, name: PromptName, version: Version, text: string): SealedDocument {
  const { digest, author, createdAt, message } = whatIsRemoved(name, version, text);
  return sealTombstone({
    name,
    version,
    digest,
    at: act.at,
    ...(act.by === undefined ? {} : { by: act.by }),
    ...(act.message === undefined ? {} : { reason: act.message }),
    ...(author === undefined ? {} : { author }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(message === undefined ? {} : { message }),
  });
}

type Removed = Pick<OpenedDocument, "digest" | "author" | "createdAt" | "message">;

/** A damaged version can be removed too: by the digest it names itself, under which a whole copy of it can come back. */
function whatIsRemoved(name: PromptName, version: Version, text: string): Removed {
  try {
    return openStored(text, { name, version });
  } catch (error) {
    const named = /^registry\.digest: (sha256:[0-9a-f]{64})\r?$/m.exec(text)?.[1];
    if (!isRegistryError(error, "CORRUPT") || named === undefined) throw error;
    return { digest: parseDigest(named) };
  }
}

/** Brings a removed version back from a sealed copy of it. */
export async function restoreVersion(
  context: Context,
  request: { readonly name: string; readonly version: string; readonly text: string },
  options: ChangeOptions,
): Promise<PointerResult> {
  const name = parseName(request.name);
  const version = parseVersion(request.version);
  const document = takeSealed(name, request);
  const act = actOf(context, options);
  const op = freshOperation(options);
  const status = await commitHead(context, name, act, op, async (committed) => {
    const [state, answer] = await Promise.all([
      readHead(context, name, op),
      readOne(context, name, { kind: "version", version }, op),
    ]);
    // Somebody may have removed it again since.
    if (committed && state?.head.yanked[version]?.removed === true) return undefined;
    if (answer.status === "absent") {
      throw new RegistryError("NOT_FOUND", `${name}@${version} was never stored here; store it instead`, {
        name,
        version,
      });
    }
    if (answer.status === "found") requireSame(name, version, answer.document.text, document);
    if (answer.status === "removed") {
      const stored = openStored(answer.document.text, { name, version });
      if (stored.kind === "tombstone" && stored.removed.digest !== document.digest) {
        throw new RegistryError(
          "CONFLICT",
          `${name}@${version} was removed as ${stored.removed.digest}; this copy is ${show(document.digest)}`,
          { name, version },
        );
      }
    }
    const plan =
      state?.head.yanked[version]?.removed === true
        ? planRestore(state.head, version, act, await lastYank(context, name, version, op))
        : undefined;
    const restore = answer.status === "removed" ? { restore: [document] } : {};
    if (plan === undefined && answer.status === "found") return undefined;
    // The guard: where others restore it and remove it again in between, this one must look again.
    const change = plan === undefined ? { name, guard: state?.revision ?? null } : headChange(name, state, plan);
    return { ...change, ...restore };
  });
  return { name, version, status };
}

async function lastYank(
  context: Context,
  name: PromptName,
  version: Version,
  op: Operation,
): Promise<Yank | undefined> {
  try {
    const entries = await historyOf(context, name, op, 1000).all();
    return yankedBefore(version, entries, context.now().toISOString());
  } catch (error) {
    // Damage elsewhere must not keep a version from coming back.
    if (!isRegistryError(error, "CORRUPT")) throw error;
    return undefined;
  }
}

function requireSame(name: PromptName, version: Version, stored: string, document: SealedDocument): void {
  if (openStored(stored, { name, version }).digest === document.digest) return;
  throw new RegistryError("ALREADY_EXISTS", `${name}@${version} is there with other bytes and was not removed`, {
    name,
    version,
  });
}
