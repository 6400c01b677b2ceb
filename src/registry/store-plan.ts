import { type Digest, openStored, type SealedDocument, sameText, sealChecked, sealDocument } from "../document.ts";
import {
  type Change,
  EMPTY_HEAD,
  type Head,
  type HeadState,
  type Outcome,
  type ReadAnswer,
  type StoredDocument,
} from "../driver.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { withOverride } from "../policy/enforce.ts";
import type { PolicyFinding } from "../policy/types.ts";
import { type Act, type HeadPlan, planLabels, refuseYanked } from "../rules/plan.ts";
import { bumpVersion, compareVersions, type Version } from "../semver.ts";
import type { Context } from "./context.ts";
import type { Wanted } from "./request.ts";

/** A request on its way. A class: a batch has thousands of them, and what they become is set one after the other. */
export class Item {
  readonly wanted: Wanted;
  version: Version | undefined;
  document: SealedDocument | undefined;
  /** This call created it. */
  created = false;
  /** A commit with it was sent and its outcome is not known. */
  sent = false;
  /** Labels and pin were moved by this call, though its reply was lost. */
  pointed = false;
  /** Digest of what stands at its slot with the same text. */
  there: Digest | undefined;
  /** An earlier request of the same call that stores this very version and text. */
  twin: Item | undefined;
  /** What the policy was asked about, and what it said. */
  judged: SealedDocument | undefined;
  warnings: readonly string[] | undefined;
  overridden: readonly PolicyFinding[] | undefined;
  error: RegistryError | undefined;

  /** @param document where it was sealed already */
  constructor(wanted: Wanted, document?: SealedDocument) {
    this.wanted = wanted;
    this.version = wanted.wantedVersion;
    this.document = document;
  }
}

/** All requests about one prompt. */
export interface Group {
  readonly name: PromptName;
  readonly items: Item[];
  /** Its slots must be looked at before the next plan. */
  look: boolean;
  /** An outcome that was unknown, and how often that was so; thrown if it can't be found out. */
  unknown?: RegistryError;
  unknowns: number;
  outcome?: Extract<Outcome, { status: "done" }>;
  settled: boolean;
}

/** Ends a group: what is not done in it yet has failed. An outcome that was never found out stays unknown. */
export function failGroup(group: Group, cause: RegistryError): void {
  const error = group.unknown ?? cause;
  group.settled = true;
  for (const item of group.items) {
    const stored = item.created || item.there !== undefined;
    const hasPointers = !item.pointed && (item.wanted.labels.length > 0 || item.wanted.unpin);
    if (!stored || hasPointers) item.error ??= error;
  }
}

/** What was read of a prompt before its change is planned. */
export interface GroupState {
  readonly head: HeadState | undefined;
  readonly slots: ReadonlyMap<Version, ReadAnswer>;
  /** Descending, removed ones included; only where a version is to be chosen. */
  readonly versions: readonly Version[];
}

/** Decides versions, finds out what is there already, and plans one change; `undefined` when nothing is left to do. */
export function planGroup(context: Context, act: Act, group: Group, state: GroupState | undefined): Change | undefined {
  let head: Head = state?.head?.head ?? EMPTY_HEAD;
  let highest = state?.versions[0];
  let previous: { readonly version: Version; readonly text: string } | undefined;
  if (highest !== undefined) previous = textAt(group.name, highest, state?.slots.get(highest));
  const entries: HeadPlan["entries"][number][] = [];
  const add: SealedDocument[] = [];
  let next: HeadPlan["next"] | undefined;
  let guard: Change["guard"];
  for (const item of group.items) {
    if (item.error !== undefined) continue;
    try {
      chooseVersion(item, highest, previous, state);
      const version = item.version as Version;
      findExisting(item, state?.slots.get(version));
      if (item.there === undefined && !item.created) findTwin(item, group);
      const isThere = item.created || item.there !== undefined || item.twin !== undefined;
      if (!isThere) {
        if (item.wanted.expect !== undefined) {
          checkLatest(item, state?.head?.latest);
          guard = state?.head?.revision ?? null;
        }
        item.document ??= sealWanted(item.wanted, version, act, context);
        add.push(item.document);
      } else if (item.wanted.labels.length > 0) refuseYanked(item.wanted.name, head, version, "can't be labelled");
      // Only now: what was refused is no version to go on from.
      if (highest === undefined || compareVersions(version, highest) >= 0) {
        highest = version;
        previous = { version, text: item.wanted.text };
      }
      const { labels, unpin } = item.wanted;
      if (item.pointed || (labels.length === 0 && !unpin)) continue;
      const plan = planLabels(head, version, labels, { ...act, ...saidOf(item.wanted, act) }, { unpin });
      if (plan !== undefined) {
        if (item.there !== undefined && state?.head?.latest !== version) checkLatest(item, state?.head?.latest);
        next = plan.next;
        entries.push(...plan.entries);
        head = { ...plan.next, generation: head.generation };
      }
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      item.error = error;
    }
  }
  if (add.length === 0 && next === undefined) return undefined;
  return {
    name: group.name,
    ...(add.length === 0 ? {} : { add }),
    ...(guard === undefined ? {} : { guard }),
    ...(next === undefined ? {} : { head: { expect: state?.head?.revision ?? null, next, entries } }),
  };
}

/** Who stores it, and why. */
export function saidOf({ author, message, allow }: Wanted, act: Act): Pick<Act, "by" | "message"> {
  return { by: author ?? act.by, message: withOverride(message ?? act.message, allow) };
}

function chooseVersion(
  item: Item,
  highest: Version | undefined,
  previous: { readonly version: Version; readonly text: string } | undefined,
  state: GroupState | undefined,
): void {
  if (item.wanted.bump === undefined || item.created) return;
  if (
    item.sent &&
    item.document !== undefined &&
    item.version !== undefined &&
    isOurs(item, state?.slots.get(item.version))
  ) {
    item.created = true;
    return;
  }
  const unchanged = previous !== undefined && sameText(previous.text, item.wanted.text);
  const version = unchanged ? previous.version : highest === undefined ? FIRST : bumpVersion(highest, item.wanted.bump);
  if (version !== item.version) item.document = undefined;
  item.version = version;
}

const FIRST = "1.0.0" as Version;

function isOurs(item: Item, answer: ReadAnswer | undefined): boolean {
  if (answer?.status !== "found" || item.document === undefined) return false;
  return answer.document.text === item.document.text;
}

function textAt(
  name: PromptName,
  version: Version,
  answer: ReadAnswer | undefined,
): { version: Version; digest: Digest; text: string } | undefined {
  if (answer?.status !== "found") return undefined;
  const opened = openStored(answer.document.text, { name, version });
  return opened.kind === "tombstone" ? undefined : { version, digest: opened.digest, text: opened.text };
}

/** Sets `there` when the slot holds the same text; throws when it holds anything else. */
function findExisting(item: Item, answer: ReadAnswer | undefined): void {
  if (item.created || answer === undefined || answer.status === "absent") return;
  const { name } = item.wanted;
  const version = item.version as Version;
  if (answer.status === "removed") throw taken(name, version, "was removed");
  if (answer.status !== "found") return;
  if (item.sent && isOurs(item, answer)) {
    item.created = true;
    return;
  }
  const existing = textAt(name, version, answer);
  if (existing === undefined) throw taken(name, version, "was removed");
  if (!sameText(existing.text, item.wanted.text)) throw taken(name, version, "exists with another text");
  item.there = existing.digest;
}

/**
 * Takes what an outcome says of the slot as if it had been looked at.
 *
 * @returns `false` where it has to be looked at all the same
 */
export function takeExisting(item: Item, document: StoredDocument): boolean {
  // What was sent before without a reply may be what stands there, and another version may be wanted.
  if (item.sent || item.wanted.bump !== undefined) return false;
  try {
    findExisting(item, { status: "found", document, revision: "" });
  } catch (error) {
    if (!isRegistryError(error, "ALREADY_EXISTS")) return false;
    item.error = error;
  }
  return true;
}

/** The same version twice in one call: the same text is one document, another text is refused like any other. */
function findTwin(item: Item, group: Group): void {
  item.twin = undefined;
  const earlier = group.items.find(
    (i) => i === item || (i.version === item.version && i.error === undefined && i.twin === undefined),
  );
  if (earlier === undefined || earlier === item) return;
  if (!sameText(earlier.wanted.text, item.wanted.text))
    throw taken(item.wanted.name, item.version as Version, "is stored by the same call with another text");
  item.twin = earlier;
}

function taken(name: PromptName, version: Version, why: string): RegistryError {
  return new RegistryError(
    "ALREADY_EXISTS",
    `${name}@${version} ${why}; a version is written once: store the text under a new version`,
    { name, version },
  );
}

function checkLatest(item: Item, latest: Version | undefined): void {
  const now = latest ?? null;
  if (item.wanted.expect === undefined || now === item.wanted.expect) return;
  throw new RegistryError(
    "CONFLICT",
    `${item.wanted.name}: latest is ${now ?? "not there"}, not ${item.wanted.expect ?? "absent"} as expected; look at what changed and repeat`,
    { name: item.wanted.name, ...(now === null ? {} : { version: now }) },
  );
}

export function sealWanted(wanted: Wanted, version: Version, act: Act, context: Context): SealedDocument {
  const { name, text } = wanted;
  if (wanted.sealed !== undefined) return wanted.sealed;
  const { by: author, message } = saidOf(wanted, act);
  const input = {
    name,
    version,
    text,
    createdAt: act.at,
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { message }),
  };
  const document = wanted.split === undefined ? sealDocument(input) : sealChecked(input, wanted.split);
  const { maxDocumentBytes } = context.driver.capabilities;
  if (document.text.length * 3 > maxDocumentBytes && Buffer.byteLength(document.text) > maxDocumentBytes) {
    throw new RegistryError(
      "INVALID",
      `${name}@${version} is too large for this storage; at most ${maxDocumentBytes} bytes`,
      {
        field: "text",
        name,
        version,
      },
    );
  }
  return document;
}
