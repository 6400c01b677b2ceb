import { completeClaim, discard } from "./create.ts";
import { namesIn } from "./files.ts";
import { closeFolder, openFolder } from "./folder.ts";
import { entryOf, HEADS_DIR } from "./layout.ts";
import { type Inspection, pathOf, wants } from "./repair.ts";
import type { PromptState } from "./state.ts";
import { call, type Task } from "./task.ts";

const LEFT = "a temporary file of a writer that is gone";

/** What writers left that died. Nothing tells a dead writer from a slow one but time. */
export function* inspectTemps(
  inspection: Inspection,
  files: readonly string[],
  state: PromptState | undefined,
): Task<void> {
  const { folder, store, root, name } = inspection;
  // The last generation may have announced a document that is still to be made of its file.
  const announced = state?.loaded.adds.filter((add) => !state.scan.versions.has(add.version));
  const spared = new Set(announced?.map((add) => add.temp));
  yield* inspectNames(inspection, files, "", spared);
  if (name === "" || !files.includes(HEADS_DIR)) return;
  const heads = yield* openFolder(store, root, `${folder.path}/${HEADS_DIR}`, `${folder.at}/${HEADS_DIR}`);
  if (heads === undefined) return;
  try {
    const inside = (yield* namesIn(heads.at, {})) ?? [];
    yield* inspectNames({ ...inspection, folder: heads }, inside, `${HEADS_DIR}/`, new Set());
  } finally {
    yield* closeFolder(heads);
  }
}

function* inspectNames(
  inspection: Inspection,
  files: readonly string[],
  above: string,
  spared: ReadonlySet<string>,
): Task<void> {
  const { folder, minTempAge, report } = inspection;
  const repaired = wants(inspection, "temp");
  for (const file of files) {
    const entry = entryOf(file);
    if ((entry.kind !== "temp" && entry.kind !== "claim") || spared.has(file)) continue;
    const stats = yield* call("lstat", `${folder.at}/${file}`);
    if (stats === undefined || Date.now() - stats.mtimeMs < minTempAge) continue;
    if (repaired) {
      if (entry.kind === "claim") yield* completeClaim(folder, entry.file);
      else yield* discard(folder, { file, boxed: stats.isDirectory() });
    }
    report({ kind: "temp", path: pathOf(inspection, above + file), detail: LEFT }, repaired);
  }
}
