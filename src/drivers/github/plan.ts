import { openStored, type SealedDocument } from "../../document.ts";
import type { Change, Commit, Head, HeadState, Outcome } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { encodeHead } from "../../head.ts";
import type { Label, PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { checkHeadSize } from "../fs/generations.ts";
import { HEAD_FILE, LATEST_FILE, labelFile, removedMark, versionFile } from "../fs/layout.ts";
import { headText, type Writing } from "./digests.ts";
import { blobId } from "./objects.ts";
import type { GithubSettings } from "./options.ts";
import { PromptFiles, type Snapshot } from "./snapshot.ts";
import type { PromptState, States, StoredVersion } from "./state.ts";

/** Bytes of a stored text; what a folder registry reads too. */
export const MAX_DOCUMENT_BYTES = 2 ** 21;
/** Said of a change that is committed although its links or `latest.json` were left as they were. */
export const POINTER_PENDING: readonly string[] = ["pointerPending"];

/** What is to become of a path. */
export interface Edit {
  /** `undefined`: it goes. */
  readonly text: string | undefined;
  readonly id: string | undefined;
  readonly mode: "100644" | "120000";
  /** Shows what others say; may be left out, and is made good later. */
  readonly shown: boolean;
}

/** What commits would do to a snapshot, one after the other. Nothing is written by it. */
export class Work {
  readonly snapshot: Snapshot;
  readonly states: States;
  readonly settings: GithubSettings;
  /** By path. */
  readonly edits = new Map<string, Edit>();
  readonly #prompts = new Map<PromptName, PromptFiles>();
  /** How to take back what was done, last thing last. */
  readonly #undo: (() => void)[] = [];

  constructor(snapshot: Snapshot, states: States, settings: GithubSettings) {
    this.snapshot = snapshot;
    this.states = states;
    this.settings = settings;
  }

  prompt(name: PromptName): PromptFiles {
    return this.#prompts.get(name) ?? this.snapshot.prompt(name) ?? new PromptFiles(name, new Map());
  }

  /** Outcomes as if everything before in this work had been done. */
  async apply(commit: Commit): Promise<Outcome[]> {
    const start = this.#undo.length;
    const outcomes: Outcome[] = [];
    for (const change of commit.changes) {
      const mark = this.#undo.length;
      try {
        outcomes.push(await applyChange(this, change, commit));
      } catch (error) {
        if (!isRegistryError(error)) throw error;
        this.#takeBack(mark);
        outcomes.push({ status: "failed", error });
      }
    }
    if (commit.atomic !== true || outcomes.every((o) => o.status === "done")) return outcomes;
    this.#takeBack(start);
    return outcomes.map((o) => (o.status === "done" ? { status: "skipped" } : o));
  }

  #takeBack(mark: number): void {
    for (let undo = this.#undo.length; undo > mark; undo--) this.#undo.pop()?.();
  }

  #set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
    const put = (what: V | undefined) => (what === undefined ? map.delete(key) : map.set(key, what));
    const before = map.get(key);
    this.#undo.push(() => put(before));
    put(value);
  }

  /** Writes files of a prompt; `undefined` takes one away. */
  write(prompt: PromptFiles, files: Iterable<readonly [file: string, edit: Omit<Edit, "id">]>): PromptFiles {
    const changed = new Map<string, string | undefined>();
    for (const [file, edit] of files) {
      const bytes = edit.text === undefined ? undefined : Buffer.from(edit.text, "utf8");
      const id = bytes === undefined ? undefined : blobId(bytes, this.snapshot.commit);
      if (id !== undefined && edit.text !== undefined) this.states.blobs.put(id, { text: edit.text });
      changed.set(file, id);
      const path = `${this.settings.root}${prompt.name}/${file}`;
      // A file that a change before wrote for good is more than a projection, whoever shows something in it.
      const shown = edit.shown && this.edits.get(path)?.shown !== false;
      // What came and goes again by one commit never was: GitHub refuses to remove what is not there.
      const isNothing = id === undefined && this.snapshot.prompt(prompt.name)?.id(file) === undefined;
      this.#set(this.edits, path, isNothing ? undefined : { ...edit, id, shown });
    }
    const next = prompt.with(changed);
    this.#set(this.#prompts, prompt.name, next);
    return next;
  }

  /** Takes back that a projection is shown. */
  drop(path: string): void {
    this.edits.delete(path);
  }
}

const file = (text: string): Omit<Edit, "id"> => ({ text, mode: "100644", shown: false });
const gone = (shown: boolean): Omit<Edit, "id"> => ({ text: undefined, mode: "100644", shown });

function checkSizes({ name, add = [], remove = [], restore = [] }: Change): void {
  for (const { version, text } of [...add, ...remove, ...restore]) {
    if (text.length * 3 <= MAX_DOCUMENT_BYTES || Buffer.byteLength(text) <= MAX_DOCUMENT_BYTES) continue;
    throw new RegistryError(
      "INVALID",
      `${name}@${version} is too large: at most ${MAX_DOCUMENT_BYTES} bytes can be stored`,
      {
        backend: "github",
        name,
        version,
        field: "text",
      },
    );
  }
}

async function applyChange(work: Work, change: Change, commit: Writing): Promise<Outcome> {
  checkSizes(change);
  const { states } = work;
  const { name, guard, head, add = [], restore = [], remove = [] } = change;
  const prompt = work.prompt(name);
  const taken = await refusal(states, prompt, change);
  if (taken !== undefined) return taken;
  const before = await states.of(prompt);
  const files = new Map<string, Omit<Edit, "id">>();
  for (const document of add) files.set(versionFile(document.version), file(document.text));
  for (const { version, text } of restore) {
    files.set(prompt.scan.versions.get(version) ?? versionFile(version), file(text));
    if (prompt.id(removedMark(version)) !== undefined) files.set(removedMark(version), gone(false));
  }
  for (const document of remove) await entomb(states, prompt, document, change, before, files);
  if (head !== undefined) checkProtected(work.settings, name, before.state.head, head.next);
  if (head !== undefined || guard !== undefined) {
    // Without a head the links are what there is, and from now on the head is.
    const { generation: _, ...kept } = before.loaded.source === "none" ? before.state.head : before.loaded.raw;
    const next = { ...(head?.next ?? kept), generation: before.loaded.generation + 1 };
    // All of it: here this file alone tells the history. What a clone could not read is refused.
    const history = [...(await states.entries(before)), ...(head?.entries ?? [])];
    const text = encodeHead({ name, head: next, history });
    checkHeadSize(text, name, HEAD_FILE, "github");
    files.set(HEAD_FILE, file(text));
  }
  if (files.size === 0) return { status: "done", head: before.state };
  return { status: "done", head: await show(work, before, work.write(prompt, files), commit) };
}

/** @throws RegistryError FORBIDDEN for a label that moves by pull request only */
function checkProtected(
  { protectedLabels, location }: Pick<GithubSettings, "protectedLabels" | "location">,
  name: PromptName,
  before: Pick<Head, "labels">,
  next: Pick<Head, "labels">,
): void {
  for (const label of protectedLabels as ReadonlySet<Label>) {
    if (before.labels[label] === next.labels[label]) continue;
    throw new RegistryError(
      "FORBIDDEN",
      `${location}: the label ${label} of ${name} is protected and moves by pull request; propose it with --propose`,
      { backend: "github", location, name, label, operation: "commit" },
    );
  }
}

/** What stands in the way of a change; touches nothing. */
async function refusal(states: States, prompt: PromptFiles, change: Change): Promise<Outcome | undefined> {
  const { guard, head, add = [], restore = [] } = change;
  const needsHead = guard !== undefined || head !== undefined;
  const revision = needsHead ? (await states.of(prompt)).state.revision : null;
  if (guard !== undefined && guard !== revision) return { status: "conflict", added: false };
  for (const { version } of add) {
    const stored = await states.version(prompt, version);
    if (stored !== undefined) return { status: "exists", existing: stored.document };
  }
  for (const document of restore) {
    const stored = await states.version(prompt, document.version);
    if (stored !== undefined && !marksRemoved(stored, document)) return { status: "exists", existing: stored.document };
  }
  if (head !== undefined && head.expect !== revision) return { status: "conflict", added: false };
  return undefined;
}

function marksRemoved({ document, tombstone }: StoredVersion, { digest }: SealedDocument): boolean {
  if (!tombstone) return false;
  const opened = openStored(document.text, document);
  return opened.kind === "tombstone" && opened.removed.digest === digest;
}

async function entomb(
  states: States,
  prompt: PromptFiles,
  { version, text }: SealedDocument,
  { head }: Change,
  before: PromptState,
  files: Map<string, Omit<Edit, "id">>,
): Promise<void> {
  const slot = prompt.scan.versions.get(version) ?? versionFile(version);
  const pending = files.get(slot);
  // The first removal is the one that happened.
  if (pending === undefined && (await states.version(prompt, version))?.tombstone === true) return;
  files.set(slot, file(text));
  const marked = (head?.next ?? before.loaded.raw).yanked;
  // So that a list that can't tell a tombstone by its name knows where to look. Not empty: that is hard to send.
  if (marked[version]?.removed !== true) files.set(removedMark(version), file("\n"));
}

/** Brings `latest.md`, the links of labels that moved, and the hint in `latest.json` to what is so now. */
async function show(work: Work, before: PromptState, prompt: PromptFiles, commit: Writing): Promise<HeadState> {
  const { states, settings } = work;
  const after = await states.of(prompt);
  const files = new Map<string, Omit<Edit, "id">>();
  if (settings.links !== "none") {
    await link(work, files, before, after, LATEST_FILE, after.state.latest);
    for (const label of movedLabels(before, after)) {
      await link(work, files, before, after, labelFile(label), labelTarget(after.state.head, label));
    }
  }
  const { json } = after.loaded;
  const { latest } = after.state;
  const isNew = prompt.id(HEAD_FILE) !== before.prompt.id(HEAD_FILE);
  if (json !== undefined && (isNew || json.latest !== latest)) {
    const digests = json.digests ?? before.loaded.json?.digests ?? {};
    const text = await headText(states, after, { ...json, digests }, commit);
    files.set(HEAD_FILE, { ...file(text), shown: !isNew });
  }
  if (files.size === 0) return after.state;
  return (await states.of(work.write(prompt, files))).state;
}

function movedLabels(before: PromptState, after: PromptState): Label[] {
  const [old, now] = [before.state.head, after.state.head];
  const labels = [...new Set([...Object.keys(old.labels), ...Object.keys(now.labels)])] as Label[];
  return labels.filter((label) => labelTarget(old, label) !== labelTarget(now, label));
}

function textId(text: string, like: string): string {
  return blobId(Buffer.from(text, "utf8"), like);
}

async function link(
  { states, settings }: Work,
  files: Map<string, Omit<Edit, "id">>,
  before: PromptState,
  after: PromptState,
  path: string,
  target: Version | undefined,
): Promise<void> {
  const there = after.prompt.id(path);
  const wanted = target === undefined ? undefined : after.prompt.scan.versions.get(target);
  // What is right already is not looked at, and what somebody put there by hand is theirs.
  if (there !== undefined && path === LATEST_FILE && before.state.latest === target) return;
  if (there !== undefined && wanted !== undefined && there === textId(wanted, there)) return;
  const old = path === LATEST_FILE ? before.state.latest : labelTarget(before.state.head, path.slice(0, -3) as Label);
  const isOurs = there !== undefined && old !== undefined && there === textId(versionFile(old), there);
  if (there !== undefined && !isOurs && (await states.link(after.prompt, path)) === undefined) return;
  if (wanted !== undefined) {
    const mode = settings.links === "symlink" ? "120000" : "100644";
    files.set(path, { text: wanted, mode, shown: true });
  } else if (there !== undefined) files.set(path, gone(true));
}
