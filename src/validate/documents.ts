import { MAX_STORED_BYTES, type OpenedText, openStored } from "../document.ts";
import { isRegistryError } from "../errors.ts";
import { readOverride } from "../policy/enforce.ts";
import type { PolicyFinding, Publication } from "../policy/types.ts";
import { compareVersions, isPrerelease, type Version } from "../semver.ts";
import { type Base, blobId } from "./git.ts";
import type { PromptFiles, Tree, VersionFile } from "./tree.ts";
import type { Say, ValidateOptions } from "./types.ts";

/** A version as it lies in the folder. */
export interface Document extends VersionFile {
  /** As it is stored. */
  readonly text?: string;
  readonly opened?: OpenedText;
  /** It is not in the base. */
  readonly fresh: boolean;
}

/** Reads every version of a prompt, and says what would not be served. */
export async function readDocuments(
  tree: Tree,
  prompt: PromptFiles,
  base: Base | undefined,
  say: Say,
): Promise<Map<Version, Document>> {
  const documents = new Map<Version, Document>();
  for (const [version, file] of prompt.versions) {
    const read = await tree.read(file.path, MAX_STORED_BYTES);
    const before = base?.files.get(file.path);
    const fresh = before === undefined;
    if (read.elsewhere === true) {
      documents.set(version, { ...file, fresh });
      continue;
    }
    const unchanged = before !== undefined && read.bytes !== undefined && blobId(read.bytes, before.oid) === before.oid;
    if (read.text === undefined) {
      say("document", "block", file.path, `not served: ${read.problem ?? "it can't be read"}`);
      documents.set(version, { ...file, fresh });
      if (before !== undefined && !unchanged) sayChanged(file, say);
      continue;
    }
    const opened = openFile(file, read.text, say);
    documents.set(version, { ...file, text: read.text, fresh, ...(opened === undefined ? {} : { opened }) });
    if (opened?.kind === "document" && !opened.sealed && !file.flat) {
      say("unsealed", "info", file.path, "put there by hand; `prompt-registry doctor --repair unsealed` seals it");
    }
    // A prompt in one file has no versions yet, and so nothing to keep.
    if (base !== undefined && before !== undefined && !unchanged && !file.flat) {
      await judgeChange(base, before, file, { text: read.text, opened }, say);
    }
  }
  return documents;
}

function openFile(file: VersionFile, text: string, say: Say): OpenedText | undefined {
  try {
    return openStored(text, file);
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    const { line, column } = error.context;
    say("document", "block", file.path, error.message, { line, column });
    return undefined;
  }
}

function sayChanged(
  file: VersionFile,
  say: Say,
  why = "a published version never changes: put the text in a new one",
): void {
  say("immutable", "block", file.path, `${file.name}@${file.version} was changed; ${why}`);
}

/** Published bytes may be sealed as they stand, removed with a mark, or brought back: none of it changes what was published. */
async function judgeChange(
  base: Base,
  before: { readonly mode: string; readonly oid: string },
  file: VersionFile,
  now: { readonly text: string; readonly opened: OpenedText | undefined },
  say: Say,
): Promise<void> {
  // What was no regular file was no version.
  if (!before.mode.startsWith("100")) return;
  const bytes = await base.read(before.oid);
  if (bytes.length > MAX_STORED_BYTES) return sayChanged(file, say);
  const then = bytes.toString("utf8");
  let old: OpenedText;
  try {
    old = openStored(then, file);
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    // It was never served.
    return;
  }
  if (now.opened !== undefined) {
    const was = old.kind === "tombstone" ? old.removed.digest : old.digest;
    const is = now.opened.kind === "tombstone" ? now.opened.removed.digest : now.opened.digest;
    if (was === is) return;
  }
  const lineEnds = then.replaceAll("\r\n", "\n") === now.text.replaceAll("\r\n", "\n");
  sayChanged(file, say, lineEnds ? "only its line ends did: write `* -text` into .gitattributes" : undefined);
}

/** Says which published versions are gone. */
export async function judgeRemovals(
  base: Base,
  tree: Tree,
  isVersionPath: (path: string) => boolean,
  say: Say,
): Promise<void> {
  const there = new Set([...tree.prompts.values()].flatMap((p) => [...p.versions.values()].map((v) => v.path)));
  const gone = [...base.files].filter(
    ([path, { mode }]) => mode.startsWith("100") && isVersionPath(path) && !there.has(path),
  );
  if (gone.length === 0) return;
  const forked = await base.forked();
  for (const [path] of gone) {
    // What was published in the base since then comes with the merge.
    if (!forked.has(path)) continue;
    say(
      "immutable",
      "block",
      path,
      "a published version was removed, renamed, or is no file any more; bring it back, and withdraw it by yank or delete",
    );
  }
}

/** Asks the policy about what is about to be published. */
export async function judgeFresh(
  documents: ReadonlyMap<Version, Document>,
  yanked: (version: Version) => boolean,
  options: ValidateOptions,
  say: Say,
): Promise<void> {
  const { policy } = options;
  if (policy === undefined) return;
  const releases = [...documents.values()].filter(
    (d) => d.opened?.kind === "document" && !d.flat && !isPrerelease(d.version) && !yanked(d.version),
  );
  for (const document of documents.values()) {
    const { name, version, text, opened, fresh, path } = document;
    if (!fresh || text === undefined || opened?.kind === "tombstone") continue;
    const previous = releases
      .filter((d) => compareVersions(d.version, version) < 0)
      .sort((a, b) => compareVersions(b.version, a.version))[0];
    // Positions are to be those of the file, so the policy is shown the file; the seal's notes are lines of it.
    const publication: Publication = {
      ...{ name, version, text },
      ...(previous?.text === undefined ? {} : { previous: { version: previous.version, text: previous.text } }),
    };
    const allow = opened?.message === undefined ? undefined : readOverride(opened.message);
    for (const finding of await policy(publication)) sayFinding(finding, path, allow, say);
  }
}

function sayFinding(finding: PolicyFinding, path: string, allow: ReturnType<typeof readOverride>, say: Say): void {
  const { rule, severity, message, shown, line, column } = finding;
  const what = `${message}${shown === "" ? "" : ` [${shown}]`}`;
  const allowed = severity === "block" && allow?.rules.includes(rule) === true;
  if (allowed) say(rule, "warn", path, `allowed by who published it (${allow.reason}): ${what}`, { line, column });
  else say(rule, severity, path, what, { line, column });
}
