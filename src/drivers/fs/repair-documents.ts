import { canonicalSeal, openStored } from "../../document.ts";
import { isRegistryError, show } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Version } from "../../semver.ts";
import { createOnly, discard, NotCreated, writeTemp } from "./create.ts";
import { readWhole, sameStamp, stampOf, type WholeFile } from "./files.ts";
import { flatVersionOf, sealedAs } from "./flat.ts";
import { closeFolder, ensureFolders, type Folder, openFolder, promptPath, syncFolder, syncParent } from "./folder.ts";
import { entryOf, versionFile } from "./layout.ts";
import { type Inspection, pathOf, wants } from "./repair.ts";
import { at, type Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/** Versions: in the layout of old, without seal, or damaged. */
export function* inspectVersions(inspection: Inspection, files: readonly string[]): Task<void> {
  for (const file of files) {
    const entry = entryOf(file);
    if (entry.kind === "oldVersion") yield* inspectOld(inspection, entry.version, file);
    else if (entry.kind === "version") yield* inspectSeal(inspection, entry.version, file);
  }
}

function* read(inspection: Inspection, version: Version, file: string): Task<WholeFile | undefined> {
  const { store, root, name, folder, report } = inspection;
  try {
    return yield* readWhole(store, root, `${folder.path}/${file}`, at(name as PromptName, file));
  } catch (error) {
    if (!isRegistryError(error, "CORRUPT")) throw error;
    const stats = yield* call("lstat", `${folder.at}/${file}`);
    const kind = stats?.isFile() === true ? "corrupt" : "foreign";
    report({ kind, version, path: pathOf(inspection, file), detail: error.message });
    return undefined;
  }
}

function* inspectSeal(inspection: Inspection, version: Version, file: string): Task<void> {
  const { name, folder, report } = inspection;
  const found = yield* read(inspection, version, file);
  if (found === undefined) return;
  const where = { version, path: pathOf(inspection, file) };
  try {
    const opened = openStored(found.text, { name: name as PromptName, version });
    if (opened.kind === "tombstone" || opened.sealed) return;
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    report({ kind: error.code === "INVALID" ? "unsealed" : "corrupt", ...where, detail: error.message });
    return;
  }
  let repaired = false;
  if (wants(inspection, "unsealed")) {
    const { text } = canonicalSeal({ name: name as PromptName, version, text: found.text });
    const temp = yield* writeTemp(folder, text, false);
    try {
      const now = yield* call("lstat", `${folder.at}/${file}`);
      if (sameStamp(stampOf(found.stats), now)) {
        yield* call("rename", `${folder.at}/${temp.file}`, `${folder.at}/${file}`);
        yield* syncFolder(folder);
        repaired = true;
      }
    } finally {
      yield* discard(folder, temp);
    }
  }
  report(
    { kind: "unsealed", ...where, detail: "dropped in by hand: nothing proves that it is as it was written" },
    repaired,
  );
}

function* inspectOld(inspection: Inspection, version: Version, file: string): Task<void> {
  const { store, root, name, folder, report } = inspection;
  const found = yield* read(inspection, version, file);
  if (found === undefined) return;
  const path = pathOf(inspection, file);
  const place = versionFile(version);
  // What stands there and is no file is reported for itself, and nothing can be moved to its place.
  const there = yield* call("lstat", `${folder.at}/${place}`);
  if (there !== undefined && !there.isFile()) return;
  const other = yield* readWhole(store, root, `${folder.path}/${place}`, at(name as PromptName, place));
  if (other !== undefined && other.text !== found.text) {
    report({
      kind: "foreign",
      version,
      path,
      detail: `${place} stands beside it with another text, and is what is served`,
    });
    return;
  }
  let repaired = false;
  if (wants(inspection, "legacy") && (yield* placeText(store, folder, found.text, place))) {
    yield* call("unlink", `${folder.at}/${file}`);
    yield* syncFolder(folder);
    repaired = true;
  }
  report({ kind: "legacy", version, path, detail: `this belongs into ${place}` }, repaired);
  if (repaired) yield* inspectSeal(inspection, version, place);
}

/** Whether the text stands at its place afterwards. */
function* placeText(store: Store, folder: Folder, text: string, file: string): Task<boolean> {
  const temp = yield* writeTemp(folder, text, store.hardLinks === false);
  try {
    if ((yield* createOnly(store, folder, temp, file)) === "created") {
      yield* syncFolder(folder);
      return true;
    }
    const there = yield* call("lstat", `${folder.at}/${file}`);
    return there?.isFile() === true && there.size === temp.bytes.length;
  } catch (error) {
    throw error instanceof NotCreated ? error.error : error;
  } finally {
    yield* discard(folder, temp);
  }
}

/**
 * `prompts/name.md` and `prompts/name.prompt`.
 *
 * @returns whether it was moved
 */
export function* inspectFlat(
  inspection: Pick<Inspection, "store" | "root" | "plan" | "report"> & { readonly name: PromptName },
  path: string,
): Task<boolean> {
  const { store, root, plan, name, report } = inspection;
  const stats = yield* call("lstat", path);
  if (stats?.isFile() !== true) return false;
  const file = path.slice(root.length + 1);
  let found: WholeFile | undefined;
  try {
    found = yield* readWhole(store, root, path, at(name));
  } catch (error) {
    // One file that can't be read must not keep the others from being looked at.
    if (!isRegistryError(error, "CORRUPT")) throw error;
    report({ kind: "corrupt", path: file, detail: error.message });
  }
  const version = found === undefined ? undefined : flatVersionOf(found.text, name);
  if (found === undefined) return false;
  if (version === undefined) {
    const sealed = sealedAs(found.text);
    // Of the prompt whose folder this is, it stands in the place of a label's link, and those are looked at there.
    if (sealed === undefined || name.slice(0, name.lastIndexOf("/")) === sealed.name) return false;
    report({
      kind: "foreign",
      path: file,
      detail: `this is a copy of a version of ${show(sealed.name)}; move it elsewhere`,
    });
    return false;
  }
  const where = { version, path: file };
  const place = `${promptPath(root, name)}/${versionFile(version)}`;
  const other = yield* readWhole(store, root, place, at(name, versionFile(version)));
  if (other !== undefined && other.text !== found.text) {
    const detail = `${name} has a version ${version} with another text, and that is what is served`;
    report({ kind: "foreign", ...where, detail });
    return false;
  }
  const detail = `this belongs into ${name}/${versionFile(version)}`;
  if (!wants({ plan }, "legacy")) {
    report({ kind: "legacy", ...where, detail });
    return false;
  }
  yield* ensureFolders(store, root, [name]);
  const folder = yield* openFolder(store, root, promptPath(root, name));
  if (folder === undefined) return false;
  let repaired = false;
  try {
    repaired = yield* placeText(store, folder, found.text, versionFile(version));
    if (repaired) {
      yield* call("unlink", path);
      yield* syncParent(store, root, path);
    }
  } finally {
    yield* closeFolder(folder);
  }
  report({ kind: "legacy", ...where, detail }, repaired);
  return repaired;
}
