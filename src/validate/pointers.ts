import { isDigest } from "../document.ts";
import { EMPTY_HEAD, type Head } from "../driver.ts";
import { MAX_HEAD_BYTES } from "../drivers/fs/files.ts";
import { isRegistryError, show } from "../errors.ts";
import { decodeHead, type HeadRecord } from "../head.ts";
import type { Label } from "../names.ts";
import { locator } from "../policy/position.ts";
import { highestStable, labelTarget, resolveLatest } from "../rules/latest.ts";
import type { Version } from "../semver.ts";
import type { Document } from "./documents.ts";
import type { Base } from "./git.ts";
import { CONFLICT_MARKER, judgeHeadChange, MOVE_AGAIN } from "./heads.ts";
import type { PromptFiles, Tree } from "./tree.ts";
import type { Say } from "./types.ts";

/** Checks `latest.json` and the links of a prompt. @returns the file, as far as there is a valid one */
export async function judgePointers(
  tree: Tree,
  prompt: PromptFiles,
  documents: ReadonlyMap<Version, Document>,
  base: Base | undefined,
  say: Say,
): Promise<HeadRecord | undefined> {
  const record =
    prompt.head === undefined ? undefined : await readHead(tree, prompt, prompt.head, documents, base, say);
  const head = record?.head ?? EMPTY_HEAD;
  const live = liveVersions(documents);
  const latest = record === undefined ? highestStable(live, {}) : resolveLatest(head, live);
  for (const { label, path, target, text } of prompt.pointers) {
    const problem = targetProblem(target, documents);
    if (target === undefined || problem !== undefined) {
      const what = target === undefined ? `${show(text)} is no version beside it` : `${target} ${problem}`;
      say("pointer", "block", path, `${label} points at what is not there: ${what}`);
      continue;
    }
    const wanted = label === "latest" ? latest : record === undefined ? target : labelTarget(head, label);
    if (wanted === target) continue;
    const should = wanted === undefined ? "is no label there" : `is ${wanted} there`;
    const where = record === undefined ? "by the files" : "latest.json";
    const advice =
      label === "latest"
        ? "`prompt-registry doctor --fix` redraws it"
        : "`prompt-registry doctor --repair moved-link` adopts it";
    say(
      "pointer",
      "warn",
      path,
      record === undefined
        ? `${label} shows ${target}, and ${where} it is ${wanted ?? "nothing"}; ${advice}`
        : `${label} shows ${target}, and ${should} (${where}); ${advice}`,
    );
  }
  return record;
}

function liveVersions(documents: ReadonlyMap<Version, Document>): Version[] {
  return [...documents.values()].filter((d) => d.opened?.kind !== "tombstone").map((d) => d.version);
}

function targetProblem(target: Version | undefined, documents: ReadonlyMap<Version, Document>): string | undefined {
  if (target === undefined) return undefined;
  const document = documents.get(target);
  if (document === undefined) return "has no file";
  return document.opened?.kind === "tombstone" ? "was removed" : undefined;
}

async function readHead(
  tree: Tree,
  prompt: PromptFiles,
  path: string,
  documents: ReadonlyMap<Version, Document>,
  base: Base | undefined,
  say: Say,
): Promise<HeadRecord | undefined> {
  const { text, bytes, problem, elsewhere } = await tree.read(path, MAX_HEAD_BYTES);
  if (elsewhere === true) return undefined;
  if (text === undefined || bytes === undefined) {
    say("head", "block", path, problem ?? "it can't be read");
    return undefined;
  }
  let record: HeadRecord;
  try {
    record = decodeHead(text, prompt.name, "it");
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    const marker = CONFLICT_MARKER.exec(text);
    if (marker === null) say("head", "block", path, error.message);
    else say("head", "block", path, `it has a merge conflict; ${MOVE_AGAIN}`, locator(text)(marker.index));
    return undefined;
  }
  const locate = locator(text);
  const at = (key: string) => {
    const found = text.indexOf(`${JSON.stringify(key)}:`);
    return locate(Math.max(0, found));
  };
  const { head, latest } = record;
  for (const [label, target] of Object.entries(head.labels) as [Label, Version][]) {
    const wrong = targetProblem(target, documents);
    if (wrong !== undefined) say("pointer", "block", path, `label ${label} is on ${target}, which ${wrong}`, at(label));
  }
  if (head.pin !== undefined) {
    const wrong = targetProblem(head.pin, documents) ?? (isYanked(head, head.pin) ? "is yanked" : undefined);
    if (wrong !== undefined)
      say("pointer", "block", path, `latest is pinned to ${head.pin}, which ${wrong}`, at("pin"));
  }
  for (const [version, yank] of Object.entries(head.yanked) as [Version, Head["yanked"][Version]][]) {
    if (!documents.has(version) && yank.removed !== true) {
      say("head", "warn", path, `it yanks ${version}, which has no file`, at(version));
    }
  }
  const selects = resolveLatest(head, liveVersions(documents));
  if (latest !== selects) {
    const missing = latest !== undefined && targetProblem(latest, documents) !== undefined;
    say(
      missing ? "pointer" : "head",
      missing ? "block" : "warn",
      path,
      `its latest is ${latest ?? "nothing"}, and the files say ${selects ?? "nothing"}; \`prompt-registry doctor --fix\` writes it anew`,
      at("latest"),
    );
  }
  judgeDigests(text, path, documents, say);
  if (base !== undefined) await judgeHeadChange(base, prompt, path, { bytes, record, at }, say);
  return record;
}

/** Readers of this file alone, over raw HTTP, check by these digests what they come to; a registry does not. */
function judgeDigests(text: string, path: string, documents: ReadonlyMap<Version, Document>, say: Say): void {
  const { digests } = JSON.parse(text) as { digests?: unknown };
  if (digests === undefined) return;
  const locate = locator(text);
  const start = Math.max(0, text.indexOf('"digests":'));
  if (typeof digests !== "object" || digests === null || Array.isArray(digests)) {
    say("head", "warn", path, `its digests are no object; take them out`, locate(start));
    return;
  }
  for (const [version, digest] of Object.entries(digests)) {
    const found = text.indexOf(`${JSON.stringify(version)}:`, start);
    const at = locate(found < 0 ? start : found);
    const document = documents.get(version as Version);
    const opened = document?.opened;
    if (typeof digest !== "string" || !isDigest(digest)) {
      say("head", "block", path, `its digest of ${show(version)} is none; take it out`, at);
    } else if (document === undefined) {
      say("head", "warn", path, `it tells a digest of ${show(version)}, which has no file; take it out`, at);
    } else if (opened !== undefined) {
      const is = opened.kind === "tombstone" ? opened.removed.digest : opened.digest;
      if (is === digest) continue;
      say(
        "head",
        "block",
        path,
        `its digest of ${version} is ${digest}, and the file has ${is}; correct it, or take it out`,
        at,
      );
    }
  }
}

function isYanked(head: Head, version: Version): boolean {
  return Object.hasOwn(head.yanked, version);
}
