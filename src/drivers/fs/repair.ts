import type { Finding, FindingKind, RepairPlan, RepairReport } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { isName, type PromptName } from "../../names.ts";
import { namesIn } from "./files.ts";
import { closeFolder, type Folder, openFolder, promptPath } from "./folder.ts";
import { entryOf } from "./layout.ts";
import { touchChanged } from "./names.ts";
import { isCopyOfLabel } from "./repair-copies.ts";
import { inspectFlat, inspectVersions } from "./repair-documents.ts";
import { inspectPointers } from "./repair-pointers.ts";
import { inspectTemps } from "./repair-temps.ts";
import { freshRootOf } from "./root.ts";
import { loadState, type PromptState } from "./state.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** What the inspections of one folder share. */
export interface Inspection {
  readonly store: Store;
  readonly root: string;
  readonly plan: RepairPlan;
  readonly minTempAge: number;
  /** `""` for the root. */
  readonly name: PromptName | "";
  readonly folder: Folder;
  readonly report: (finding: Omit<Finding, "repaired" | "name">, repaired?: boolean) => void;
}

export function wants({ plan }: Pick<Inspection, "plan">, kind: FindingKind): boolean {
  return plan.repair.includes(kind);
}

/** `support/triage/latest.md` */
export function pathOf({ name }: Pick<Inspection, "name">, file: string): string {
  return name === "" ? file : `${name}/${file}`;
}

/** Looks at everything there is, and puts right what the plan says, folder by folder. */
export function* repair(store: Store, plan: RepairPlan): Task<RepairReport> {
  const findings: Finding[] = [];
  const root = yield* freshRootOf(store);
  if (root === undefined) return { findings };
  const only = plan.name;
  const waiting: (PromptName | "")[] = [only ?? ""];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const child of (yield* inspectFolder(store, root, plan, name, findings)).reverse()) waiting.push(child);
  }
  if (only !== undefined) yield* inspectFolderFlat(store, root, plan, only, findings);
  store.documents.clear();
  store.states.clear();
  yield* touchChanged(
    root,
    findings.some((finding) => finding.repaired),
  );
  return { findings };
}

function reporter(findings: Finding[], name: PromptName | ""): Inspection["report"] {
  return (finding, repaired = false) => {
    findings.push({ ...(name === "" ? {} : { name }), ...finding, repaired });
  };
}

/** @returns names of the folders below, where they are to be looked at too */
function* inspectFolder(
  store: Store,
  root: string,
  plan: RepairPlan,
  name: PromptName | "",
  findings: Finding[],
): Task<PromptName[]> {
  const report = reporter(findings, name);
  let folder: Folder | undefined;
  try {
    folder = yield* openFolder(store, root, name === "" ? root : promptPath(root, name));
    if (folder === undefined) return [];
    const minTempAge = plan.minTempAge ?? DAY_MS;
    const inspection: Inspection = { store, root, plan, minTempAge, name, folder, report };
    const files = (yield* namesIn(folder.at, {})) ?? [];
    const state = name === "" ? undefined : yield* stateFor(inspection);
    yield* inspectTemps(inspection, files, state);
    const below = yield* inspectOthers(inspection, files, findings, state);
    if (name !== "" && state !== undefined) {
      yield* inspectVersions(inspection, files);
      yield* inspectPointers(inspection);
    }
    return plan.name === undefined ? below : [];
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    report({ kind: error.code === "CORRUPT" ? "corrupt" : "foreign", path: name, detail: error.message });
    return [];
  } finally {
    if (folder !== undefined) yield* closeFolder(folder);
  }
}

function* stateFor(inspection: Inspection): ReturnType<typeof loadState> {
  const { store, root, name, folder, report } = inspection;
  try {
    return yield* loadState(store, root, name as PromptName, folder.at);
  } catch (error) {
    if (!isRegistryError(error, "CORRUPT")) throw error;
    const path = error.context.path;
    report({
      kind: "head",
      ...(path === undefined ? {} : { path }),
      detail: `${error.message}; restore it from a copy`,
    });
    return undefined;
  }
}

/** What is neither version nor pointer: folders below, flat files, and what nobody knows. */
function* inspectOthers(
  inspection: Inspection,
  files: readonly string[],
  findings: Finding[],
  state: PromptState | undefined,
): Task<PromptName[]> {
  const { name, folder, report, plan, store, root } = inspection;
  const below: PromptName[] = [];
  const foreign = (file: string, detail: string) => report({ kind: "foreign", path: pathOf(inspection, file), detail });
  for (const file of files) {
    const entry = entryOf(file);
    if (entry.kind === "foreign")
      foreign(file, "this is not a file of the registry; move it elsewhere if it is not yours");
    if (entry.kind !== "folder" && entry.kind !== "page") continue;
    const stats = yield* call("lstat", `${folder.at}/${file}`);
    if (stats === undefined) continue;
    const segment = entry.kind === "folder" ? (stats.isFile() ? entry.flat : undefined) : entry.segment;
    const flat = segment === undefined ? undefined : pathOf(inspection, segment);
    if (stats.isDirectory()) {
      const child = pathOf(inspection, file);
      if (entry.kind === "folder" && isName(child)) below.push(child);
      else foreign(file, "this folder can't be a prompt: its name is not allowed");
    } else if (flat !== undefined && stats.isFile() && isName(flat)) {
      // The pointers are looked at for themselves, and what was a link is no prompt, also where it is not sealed.
      if (entry.kind === "page" && (yield* isCopyOfLabel(inspection, state, entry.label, file))) continue;
      const flatFile = { store, root, plan, name: flat, report: reporter(findings, flat) };
      const moved = yield* inspectFlat(flatFile, `${folder.path}/${file}`);
      if (moved && !files.includes(segment as string)) below.push(flat);
    } else if (stats.isSymbolicLink() && entry.kind === "folder") {
      foreign(file, "a symbolic link is not followed; put the folder itself here");
    } else if (entry.kind === "folder") foreign(file, "this is no folder, and no file of the registry");
  }
  return name === "" || plan.name === undefined ? below : [];
}

/** The flat file of the one prompt that is asked about lies in the folder above. */
function* inspectFolderFlat(
  store: Store,
  root: string,
  plan: RepairPlan,
  name: PromptName,
  findings: Finding[],
): Task<void> {
  const path = promptPath(root, name);
  for (const ending of [".md", ".prompt"]) {
    yield* inspectFlat({ store, root, plan, name, report: reporter(findings, name) }, path + ending);
  }
}
