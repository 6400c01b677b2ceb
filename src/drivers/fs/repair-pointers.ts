import { randomUUID } from "node:crypto";
import type { HistoryEntry } from "../../driver.ts";
import type { Label, PromptName } from "../../names.ts";
import { notBefore } from "../../rules/clocks.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { appendGeneration, settledState } from "./chain.ts";
import { NotCreated } from "./create.ts";
import { errno } from "./failure.ts";
import { generationNumbers, readGeneration } from "./generations.ts";
import { headFileProblem } from "./head-file.ts";
import { generationFile, HEAD_FILE, HEADS_DIR, LATEST_FILE, labelFile } from "./layout.ts";
import { showHead, showLink } from "./projections.ts";
import { type Inspection, pathOf, wants } from "./repair.ts";
import { copyOf } from "./repair-copies.ts";
import { loadState, type Projection, type PromptState, readProjection } from "./state.ts";
import { call, type Task } from "./task.ts";

/** Whether links and `latest.json` show what the head says, and whether the head itself is sound. */
export function* inspectPointers(inspection: Inspection): Task<void> {
  let state = yield* now(inspection);
  if (state === undefined) return;
  inspectHead(inspection, state);
  for (const label of labelsOf(state)) {
    if (yield* inspectLabel(inspection, state, label)) state = (yield* now(inspection)) ?? state;
  }
  yield* inspectLatest(inspection, state);
  yield* inspectHeadFile(inspection, (yield* now(inspection)) ?? state);
}

function* now({ store, root, name, folder }: Inspection): ReturnType<typeof loadState> {
  return yield* loadState(store, root, name as PromptName, folder.at);
}

function labelsOf(state: PromptState): Label[] {
  return [...new Set([...(Object.keys(state.state.head.labels) as Label[]), ...state.scan.links])].sort();
}

function inspectHead(inspection: Inspection, { loaded, files }: PromptState): void {
  // What a clone's file says of versions that are not here was left out of the state already.
  const { labels, pin } = (loaded.source === "json" ? loaded.json?.record.head : undefined) ?? loaded.head;
  const dangling = "points to a version that is not there; move it, or restore the version from a copy";
  for (const [label, version] of Object.entries(labels) as [Label, Version][]) {
    if (!files.has(version)) inspection.report({ kind: "head", label, version, detail: `${label} ${dangling}` });
  }
  if (pin !== undefined && !files.has(pin))
    inspection.report({ kind: "head", version: pin, detail: `the pin ${dangling}` });
}

function targetOf(shown: Projection): Version | undefined {
  return shown.kind === "symlink" || shown.kind === "text" ? shown.target : undefined;
}

/** @returns whether the head was changed */
function* inspectLabel(inspection: Inspection, state: PromptState, label: Label): Task<boolean> {
  const { store, root, folder, report } = inspection;
  const file = labelFile(label);
  const where = { label, path: pathOf(inspection, file) };
  const wanted = labelTarget(state.state.head, label);
  const shown = yield* readProjection(store, root, `${folder.path}/${file}`, `${folder.at}/${file}`);
  const target = targetOf(shown);
  if (shown.kind === "other") return yield* inspectCopy(inspection, state, label, wanted);
  if (state.loaded.source === "none") {
    if (target === undefined || !state.files.has(target)) {
      const detail = `${label} points to a version that is not there; set it again or remove the link`;
      report({ kind: "head", ...where, ...(target === undefined ? {} : { version: target }), detail });
    }
    return false;
  }
  if (target === wanted) return false;
  const moved =
    target !== undefined && state.files.has(target) && !(yield* isOutdated(inspection, state, label, shown));
  if (!moved) {
    const repaired = wants(inspection, "projection") && (yield* reveal(inspection, state, file, wanted));
    const shouldBe = wanted === undefined ? "is not set" : `is on ${wanted}`;
    report(
      { kind: "projection", ...where, detail: `the link of ${label} shows something else; it ${shouldBe}` },
      repaired,
    );
    return false;
  }
  const repaired = wants(inspection, "moved-link") && (yield* adopt(inspection, label, target));
  const said = wanted === undefined ? "is not set" : `is on ${wanted}`;
  const detail = `the link of ${label} was moved to ${target}, and the registry says it ${said}`;
  report({ kind: "moved-link", ...where, version: target, detail }, repaired);
  return repaired;
}

/**
 * A file in the place of a label's link. A copy of the version that the label is on only lost that it was a link; a copy of
 * another one says of the label what the head does not, as a link moved by hand does.
 *
 * @returns whether the head was changed
 */
function* inspectCopy(
  inspection: Inspection,
  state: PromptState,
  label: Label,
  wanted: Version | undefined,
): Task<boolean> {
  const { report } = inspection;
  const file = labelFile(label);
  const where = { label, path: pathOf(inspection, file) };
  const { version, sealed } = yield* copyOf(inspection, state, file);
  const said = wanted === undefined ? "is not set" : `is on ${wanted}`;
  if (version !== undefined && version === wanted) {
    const repaired = wantsLinks(inspection) && (yield* reveal(inspection, state, file, wanted));
    report({ kind: "projection", ...where, version, detail: `a copy of ${version}, where a link belongs` }, repaired);
    return false;
  }
  if (version !== undefined && sealed) {
    const repaired = wants(inspection, "moved-link") && (yield* adopt(inspection, label, version));
    if (repaired) yield* reveal(inspection, state, file, version);
    const detail = `a copy of ${version} in the place of the link of ${label}, and the registry says it ${said}`;
    report({ kind: "moved-link", ...where, version, detail }, repaired);
    return repaired;
  }
  // Anything else may be the flat file of a prompt below, where the label is not known.
  if (wanted !== undefined || sealed) {
    report({ kind: "foreign", ...where, detail: `this stands where the link of ${label} belongs; it ${said}` });
  }
  return false;
}

/** Old layouts had copies, so who asks for those to be brought up to date means these too. */
function wantsLinks(inspection: Inspection): boolean {
  return wants(inspection, "projection") || wants(inspection, "legacy");
}

/** A link that is older than what the head says of its label was not moved by anybody: it was left behind. */
function* isOutdated(
  { store, root, folder, name }: Inspection,
  { loaded }: PromptState,
  label: Label,
  shown: Projection,
): Task<boolean> {
  if (loaded.source !== "chain" || !("mtimeMs" in shown)) return false;
  const wanted = labelTarget(loaded.head, label);
  let since = loaded.generation;
  for (const number of (yield* generationNumbers(name as PromptName, folder.path)).reverse()) {
    const { record } = yield* readGeneration(store, root, name as PromptName, folder.path, number);
    if (labelTarget(record.head, label) !== wanted) break;
    since = number;
  }
  const stats = yield* call("lstat", `${folder.path}/${HEADS_DIR}/${generationFile(since)}`);
  return stats !== undefined && shown.mtimeMs <= stats.mtimeMs;
}

function* adopt({ store, root, folder, name, plan }: Inspection, label: Label, to: Version): Task<boolean> {
  const state = yield* settledState(store, root, name as PromptName, folder);
  if (state === undefined || !state.files.has(to)) return false;
  // What contradicts this generation may look like one that was left behind once there is the next.
  if ((yield* headFileProblem(store, root, folder.path, state)) !== undefined) return false;
  const { generation: _, ...head } = state.state.head;
  const from = labelTarget(head, label);
  if (from === to) return false;
  const commit = `repair-${randomUUID()}`;
  const updatedAt = notBefore(head, plan.at);
  const entry: HistoryEntry = {
    at: updatedAt,
    ...(plan.by === undefined ? {} : { by: plan.by }),
    action: "label",
    label,
    ...(from === undefined ? {} : { from }),
    to,
    commit,
  };
  const next = { ...head, labels: { ...head.labels, [label]: to }, updatedAt, generation: state.loaded.generation + 1 };
  const record = { name: name as PromptName, head: next, history: [entry] };
  try {
    return (yield* appendGeneration(store, root, folder, state, { record, commit, adds: [] })) === "created";
  } catch (error) {
    throw error instanceof NotCreated ? error.error : error;
  }
}

/** Shows a version under a name, or takes the name away. */
function* reveal({ store, folder }: Inspection, state: PromptState, file: string, to?: Version): Task<boolean> {
  const path = to === undefined ? undefined : state.files.get(to);
  if (path?.startsWith(`${folder.path}/`)) {
    yield* showLink(store, folder, file, path.slice(folder.path.length + 1));
    return true;
  }
  try {
    yield* call("unlink", `${folder.at}/${file}`);
  } catch (error) {
    if (errno(error) !== "ENOENT") throw error;
  }
  return true;
}

function* inspectLatest(inspection: Inspection, state: PromptState): Task<void> {
  const { store, root, folder, report } = inspection;
  const { latest } = state.state;
  const path = pathOf(inspection, LATEST_FILE);
  const shown = yield* readProjection(store, root, `${folder.path}/${LATEST_FILE}`, `${folder.at}/${LATEST_FILE}`);
  if (shown.kind === "other") {
    const { version } = yield* copyOf(inspection, state, LATEST_FILE);
    if (version === undefined) {
      report({ kind: "foreign", path, detail: "this is no link and no copy of a version; it is never read" });
      return;
    }
    const repaired = wantsLinks(inspection) && (yield* reveal(inspection, state, LATEST_FILE, latest));
    report({ kind: "projection", version, path, detail: `a copy of ${version}, where a link belongs` }, repaired);
    return;
  }
  // All versions may lie elsewhere, in the layout of old.
  const shows = latest !== undefined && state.scan.versions.has(latest) ? latest : undefined;
  if (targetOf(shown) === shows && (shows !== undefined || shown.kind === "none")) return;
  const repaired = wants(inspection, "projection") && (yield* reveal(inspection, state, LATEST_FILE, shows));
  report({ kind: "projection", path, detail: `it does not show ${shows ?? "that there is no latest"}` }, repaired);
}

function* inspectHeadFile(inspection: Inspection, state: PromptState): Task<void> {
  const { store, root, folder, report } = inspection;
  const { loaded, scan } = state;
  const path = pathOf(inspection, HEAD_FILE);
  if (loaded.source === "none") return;
  const against = yield* headFileProblem(store, root, folder.path, state);
  if (against !== undefined) {
    const repaired = wants(inspection, "head") && (yield* showHead(store, root, folder, withoutFile(state)));
    report({ kind: "head", path, detail: against }, repaired);
    return;
  }
  const shown = loaded.json?.record;
  if (shown?.head.generation === state.state.head.generation && shown.latest === state.state.latest) return;
  const repaired = wants(inspection, "projection") && (yield* showHead(store, root, folder, state));
  const what = shown !== undefined ? "is out of date" : scan.headFile ? "can't be read" : "is missing";
  report({ kind: "projection", path, detail: `${HEAD_FILE} ${what}` }, repaired);
}

function withoutFile(state: PromptState): PromptState {
  const { json: _, ...loaded } = state.loaded;
  return { ...state, loaded, scan: { ...state.scan, headFile: false } };
}
