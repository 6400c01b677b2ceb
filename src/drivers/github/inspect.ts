import { canonicalSeal, type Digest, openStored } from "../../document.ts";
import type { Finding, FindingKind, HistoryEntry, RepairPlan, RepairReport } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { encodeHead } from "../../head.ts";
import type { Label, PromptName } from "../../names.ts";
import { notBefore } from "../../rules/clocks.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import { entryOf, HEAD_FILE, LATEST_FILE, labelFile, versionFile } from "../fs/layout.ts";
import { digestOf, headText } from "./digests.ts";
import type { Edit, Work } from "./plan.ts";
import type { Session } from "./session.ts";
import type { PromptFiles, Snapshot } from "./snapshot.ts";
import type { PromptState, States } from "./state.ts";

/** What is wrong, and what would put it right. */
interface Found {
  readonly finding: Omit<Finding, "repaired" | "name">;
  readonly edits?: ReadonlyMap<string, Omit<Edit, "id">>;
}

const write = (text: string, mode: Edit["mode"] = "100644"): Omit<Edit, "id"> => ({ text, mode, shown: false });
const GONE: Omit<Edit, "id"> = { text: undefined, mode: "100644", shown: false };

/** Looks at the prompts of a snapshot; what the plan repairs is written into the work. */
export async function inspect(
  states: States,
  session: Session,
  snapshot: Snapshot,
  plan: RepairPlan,
  work: Work,
): Promise<RepairReport> {
  const findings: Finding[] = [];
  const prompts = [...snapshot.prompts.values()].filter((prompt): prompt is PromptFiles => prompt !== undefined);
  const wanted = prompts
    .filter(({ name }) => plan.name === undefined || name === plan.name)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const ids = wanted.flatMap((prompt) => [...prompt.files.values()]);
  await session.blobs.load(ids, snapshot.commit);
  for (const prompt of wanted) {
    let current = prompt;
    for await (const { finding, edits } of inspectPrompt(states, prompt, plan, work)) {
      const repaired = edits !== undefined && edits.size > 0 && plan.repair.includes(finding.kind);
      if (repaired) current = work.write(work.prompt(current.name), edits);
      findings.push({ name: prompt.name, ...finding, repaired });
    }
  }
  return { findings };
}

async function* inspectPrompt(
  states: States,
  prompt: PromptFiles,
  plan: RepairPlan,
  work: Work,
): AsyncGenerator<Found> {
  yield* inspectFiles(prompt);
  yield* inspectDocuments(states, prompt);
  if (!prompt.isPrompt) return;
  let state: PromptState;
  try {
    state = await states.of(prompt);
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    yield {
      finding: {
        kind: "head",
        path: pathOf(prompt, HEAD_FILE),
        detail: `${error.message}; restore it from an earlier commit`,
      },
    };
    return;
  }
  yield* inspectHead(state);
  yield* inspectLinks(states, state, plan, work);
  // Adopting a link writes the hint too.
  if (work.prompt(prompt.name).id(HEAD_FILE) === prompt.id(HEAD_FILE)) yield* inspectHint(states, state, plan);
}

function pathOf({ name }: { readonly name: PromptName }, file: string): string {
  return `${name}/${file}`;
}

function* inspectFiles(prompt: PromptFiles): Generator<Found> {
  for (const [file, id] of prompt.files) {
    const entry = entryOf(file.split("/", 1)[0] as string);
    const path = pathOf(prompt, file);
    if (entry.kind === "temp") {
      const detail = "a temporary file of a folder registry, committed by accident";
      yield { finding: { kind: "temp", path, detail }, edits: new Map([[file, GONE]]) };
    } else if (entry.kind === "foreign" || (entry.kind === "folder" && id !== undefined)) {
      yield { finding: { kind: "foreign", path, detail: "this is not a file of the registry; move it elsewhere" } };
    }
  }
}

async function* inspectDocuments(states: States, prompt: PromptFiles): AsyncGenerator<Found> {
  const { name, scan, files } = prompt;
  for (const file of files.keys()) {
    const entry = entryOf(file);
    if (entry.kind === "oldVersion" && scan.versions.get(entry.version) !== file) {
      const detail = `${versionFile(entry.version)} stands beside it, and is what is served`;
      yield { finding: { kind: "foreign", version: entry.version, path: pathOf(prompt, file), detail } };
    }
  }
  for (const [version, file] of scan.versions) {
    const path = pathOf(prompt, file);
    const place = versionFile(version);
    let text: string;
    let sealed: string | undefined;
    try {
      const stored = await states.version(prompt, version);
      if (stored === undefined) continue;
      text = stored.document.text;
      const opened = openStored(text, { name, version });
      if (opened.kind === "document" && !opened.sealed) sealed = canonicalSeal({ name, version, text }).text;
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      const kind: FindingKind = error.code === "INVALID" ? "unsealed" : "corrupt";
      yield { finding: { kind, version, path, detail: error.message } };
      continue;
    }
    if (file !== place) {
      const edits = new Map([
        [file, GONE],
        [place, write(text)],
      ]);
      yield { finding: { kind: "legacy", version, path, detail: `this belongs into ${place}` }, edits };
    }
    if (sealed !== undefined) {
      const detail = "dropped in by hand: nothing proves that it is as it was written";
      yield { finding: { kind: "unsealed", version, path, detail }, edits: new Map([[place, write(sealed)]]) };
    }
  }
}

function* inspectHead({ loaded, versions, prompt }: PromptState): Generator<Found> {
  const { labels, pin } = loaded.raw;
  const dangling = "points to a version that is not there; move it, or restore the version from an earlier commit";
  for (const [label, version] of Object.entries(labels) as [Label, Version][]) {
    if (!versions.has(version)) yield { finding: { kind: "head", label, version, detail: `${label} ${dangling}` } };
  }
  if (pin !== undefined && !versions.has(pin)) {
    yield { finding: { kind: "head", version: pin, detail: `the pin ${dangling}` } };
  }
  const { json, source } = loaded;
  if (source !== "chain" || json?.head.generation !== loaded.generation) return;
  const text = (head: typeof loaded.raw) => encodeHead({ name: prompt.name, head, history: [] });
  if (text(json.head) !== text(loaded.raw)) {
    const detail = `it has the generation ${loaded.generation}, as .heads has, but says something else; keep one of them`;
    yield { finding: { kind: "head", path: pathOf(prompt, HEAD_FILE), detail } };
  }
}

async function* inspectLinks(states: States, state: PromptState, plan: RepairPlan, work: Work): AsyncGenerator<Found> {
  const { prompt, loaded } = state;
  const { head, latest } = state.state;
  const { links } = work.settings;
  const mode = links === "symlink" ? "120000" : "100644";
  const labels = [...new Set([...(Object.keys(head.labels) as Label[]), ...prompt.scan.links])].sort();
  for (const label of labels) {
    const file = labelFile(label);
    const where = { label, path: pathOf(prompt, file) };
    const wanted = labelTarget(head, label);
    const shown = await states.link(prompt, file);
    const isThere = prompt.id(file) !== undefined;
    if (isThere && shown === undefined) {
      if (wanted === undefined) continue;
      yield { finding: { kind: "foreign", ...where, detail: `this stands where the link of ${label} belongs` } };
    } else if (loaded.source === "none") {
      if (shown !== undefined && !state.versions.has(shown)) {
        const detail = `${label} points to a version that is not there; set it again or remove the link`;
        yield { finding: { kind: "head", ...where, version: shown, detail } };
      }
    } else if (shown !== wanted && shown !== undefined && state.versions.has(shown)) {
      const said = wanted === undefined ? "is not set" : `is on ${wanted}`;
      const detail = `the link of ${label} was moved to ${shown}, and the registry says it ${said}`;
      const finding = { kind: "moved-link", ...where, version: shown } as const;
      if (work.settings.protectedLabels.has(label)) {
        yield {
          finding: { ...finding, detail: `${detail}; it is protected: propose where it is to be, with --propose` },
        };
        continue;
      }
      const edits = await adopt(states, state, work, label, shown, plan);
      yield { finding: { ...finding, detail }, edits };
    } else if (shown !== wanted && (links !== "none" || isThere)) {
      const detail = `the link of ${label} does not show ${wanted ?? "that the label is not set"}`;
      const edits = new Map([[file, wanted === undefined ? GONE : write(versionFile(wanted), mode)]]);
      yield { finding: { kind: "projection", ...where, detail }, edits };
    }
  }
  const shown = await states.link(prompt, LATEST_FILE);
  const isThere = prompt.id(LATEST_FILE) !== undefined;
  const path = pathOf(prompt, LATEST_FILE);
  if (isThere && shown === undefined) {
    yield { finding: { kind: "foreign", path, detail: "this is no link; it is never read" } };
  } else if (shown !== latest && (links !== "none" || isThere)) {
    const edits = new Map([[LATEST_FILE, latest === undefined ? GONE : write(versionFile(latest), mode)]]);
    yield {
      finding: { kind: "projection", path, detail: `it does not show ${latest ?? "that there is no latest"}` },
      edits,
    };
  }
}

/** A link that was moved by hand becomes what the head says, with an entry of its own. */
async function adopt(
  states: States,
  found: PromptState,
  work: Work,
  label: Label,
  to: Version,
  plan: RepairPlan,
): Promise<ReadonlyMap<string, Omit<Edit, "id">>> {
  // Several labels may be adopted one after the other.
  const state = await states.of(work.prompt(found.prompt.name));
  const { generation, ...head } = { ...state.loaded.raw, generation: state.loaded.generation };
  const from = labelTarget(head, label);
  const updatedAt = notBefore(head, plan.at);
  const entry: HistoryEntry = {
    at: updatedAt,
    ...(plan.by === undefined ? {} : { by: plan.by }),
    action: "label",
    label,
    ...(from === undefined ? {} : { from }),
    to,
  };
  const next = { ...head, labels: { ...head.labels, [label]: to }, updatedAt, generation: generation + 1 };
  const history = [...(await states.entries(state)), entry];
  const { digests = {} } = state.loaded.json ?? {};
  const text = await headText(states, state, { name: found.prompt.name, head: next, history, digests }, plan);
  return new Map([[HEAD_FILE, write(text)]]);
}

async function* inspectHint(states: States, found: PromptState, plan: RepairPlan): AsyncGenerator<Found> {
  const { loaded, state, prompt, versions } = found;
  const { json, source } = loaded;
  if (json === undefined || source === "chain") return;
  const wrong: string[] = [];
  for (const [version, digest] of Object.entries(json.digests ?? {}) as [Version, Digest][]) {
    const real = versions.has(version) ? await digestOf(states, prompt, version) : undefined;
    if (real !== undefined && real !== digest) wrong.push(`the digest of ${version} is not that of its file`);
  }
  if (json.latest !== state.latest)
    wrong.push(`its latest is ${json.latest ?? "missing"}, and not ${state.latest ?? "none"}`);
  if (wrong.length === 0) return;
  const text = await headText(states, found, { ...json, digests: {} }, plan);
  yield {
    finding: { kind: "projection", path: pathOf(prompt, HEAD_FILE), detail: wrong.join("; ") },
    edits: new Map([[HEAD_FILE, write(text)]]),
  };
}
