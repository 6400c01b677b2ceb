import { hash } from "node:crypto";
import type { HeadState, ReadAnswer, ReadAsk } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { HEAD_FILE } from "../fs/layout.ts";
import type { BlobText } from "./blobs.ts";
import type { Session } from "./session.ts";
import type { PromptFiles, Snapshot } from "./snapshot.ts";
import { type PromptState, type States, storedVersion } from "./state.ts";

const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });
type Held = Extract<ReadAnswer, { readonly status: "found" | "removed" }>;

/** Frozen answers of exact versions, so that equal ones are the same object; kept as long as the text is in the cache. */
const answers = new WeakMap<BlobText, Map<string, Held>>();

/** All asks at one commit. Ids of what is needed are gathered first, so that each kind is loaded together. */
export async function answerAll(
  session: Session,
  states: States,
  snapshot: Snapshot,
  asks: readonly ReadAsk[],
): Promise<ReadAnswer[]> {
  const prompts = new Map<PromptName, PromptFiles | undefined>();
  for (const { name } of asks) prompts.set(name, snapshot.prompt(name));
  const withHead: PromptFiles[] = [];
  for (const { name, selector } of asks) {
    const prompt = prompts.get(name);
    if (prompt !== undefined && selector.kind !== "version") withHead.push(prompt);
  }
  await states.prefetch(withHead, snapshot.commit);
  const texts: string[] = [];
  for (const ask of asks) {
    const prompt = prompts.get(ask.name);
    if (prompt === undefined || ask.selector.kind === "head") continue;
    const id = await textId(states, prompt, ask);
    if (id !== undefined) texts.push(id);
  }
  await session.blobs.load(texts, snapshot.commit);
  const found: ReadAnswer[] = [];
  for (const ask of asks) {
    const prompt = prompts.get(ask.name);
    const fresh = prompt?.isPrompt === true ? await answer(states, prompt, ask) : ABSENT;
    const isKnown = ask.known !== undefined && "revision" in fresh && fresh.revision === ask.known;
    found.push(isKnown ? { status: "unchanged", revision: ask.known as string } : fresh);
  }
  return found;
}

async function textId(states: States, prompt: PromptFiles, { selector }: ReadAsk): Promise<string | undefined> {
  if (selector.kind === "version") return prompt.id(prompt.scan.versions.get(selector.version) ?? "");
  const { state, versions } = await states.of(prompt);
  const target = selector.kind === "label" ? labelTarget(state.head, selector.label) : state.latest;
  return target === undefined ? undefined : versions.get(target);
}

async function answer(states: States, prompt: PromptFiles, { selector }: ReadAsk): Promise<ReadAnswer> {
  if (selector.kind === "version") return await exact(states, prompt, selector.version);
  const state = await states.of(prompt);
  if (selector.kind === "head") return headAnswer(state);
  return await pointed(states, state, selector);
}

async function exact(states: States, prompt: PromptFiles, version: Version): Promise<ReadAnswer> {
  const file = prompt.scan.versions.get(version);
  const id = file === undefined ? undefined : prompt.id(file);
  if (file === undefined || id === undefined) {
    const head = await headOr(states, prompt);
    return head === undefined ? ABSENT : { status: "absent", head };
  }
  return held(prompt.name, version, file, id, await states.blobs.one(id));
}

function held(name: PromptName, version: Version, file: string, id: string, blob: BlobText): Held {
  const key = `${name}@${version}`;
  const known = answers.get(blob)?.get(key);
  if (known !== undefined) return known;
  const { document, tombstone } = storedVersion(name, version, file, id, blob);
  const fresh: Held = Object.freeze({ status: tombstone ? "removed" : "found", document, revision: id });
  answers.set(blob, (answers.get(blob) ?? new Map<string, Held>()).set(key, fresh));
  return fresh;
}

/** A head that can't be read is no reason to hide that a version is not there. */
async function headOr(states: States, prompt: PromptFiles): Promise<HeadState | undefined> {
  try {
    return (await states.of(prompt)).state;
  } catch {
    return undefined;
  }
}

function headAnswer({ state, prompt, hidden }: PromptState): ReadAnswer {
  // Whatever changes in the folder, without a head the links included.
  const files = [...prompt.files].filter(([file]) => file !== HEAD_FILE).sort();
  const rest = hash("sha256", JSON.stringify([files, [...hidden].sort()])).slice(0, 12);
  return { status: "head", head: state, revision: `${state.revision ?? ""}/${state.latest ?? ""}/${rest}` };
}

async function pointed(
  states: States,
  found: PromptState,
  selector: Extract<ReadAsk["selector"], { readonly kind: "label" | "latest" }>,
): Promise<ReadAnswer> {
  let state = found;
  for (;;) {
    const { head, latest } = state.state;
    const target = selector.kind === "label" ? labelTarget(head, selector.label) : latest;
    const stored = target === undefined ? undefined : await states.version(state.prompt, target);
    if (target === undefined || stored === undefined) return { status: "absent", head: state.state };
    if (stored.tombstone && selector.kind === "latest" && head.pin === undefined) {
      state = states.withHidden(state, target);
      continue;
    }
    const { document, tombstone, id } = stored;
    return {
      status: tombstone ? "removed" : "found",
      document,
      head: state.state,
      revision: `${state.state.revision ?? ""}/${document.version}/${id}`,
    };
  }
}

/** The answer to an exact version, from memory alone. */
export function rememberedAnswer(session: Session, { name, selector }: ReadAsk): ReadAnswer | undefined {
  const prompt = session.snapshot?.prompt(name);
  if (prompt === undefined || selector.kind !== "version") return undefined;
  const file = prompt.scan.versions.get(selector.version);
  const id = file === undefined ? undefined : prompt.id(file);
  const blob = id === undefined ? undefined : session.blobs.peek(id);
  if (file === undefined || id === undefined || blob?.text === undefined) return undefined;
  return held(name, selector.version, file, id, blob);
}
