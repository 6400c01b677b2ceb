import { basename } from "node:path";
import type { Finding, StorageDriver } from "../driver.ts";
import { entryOf } from "../drivers/fs/layout.ts";
import type { PromptName } from "../names.ts";
import { parseName } from "../names.ts";
import { operationOf } from "./copy.ts";
import { hashManifest, type ManifestCounts, manifestOf } from "./manifest.ts";

export interface MigrateOptions {
  /** Look and report, write nothing. Default `false`. */
  readonly dryRun?: boolean | undefined;
  /** Only this prompt. */
  readonly name?: string | undefined;
  /** Also seal what has no seal. Default `false`: sealing vouches for bytes that nobody vouched for. */
  readonly seal?: boolean | undefined;
  /** Read everything at the end and count it. Default `true`; never in a dry run. */
  readonly verify?: boolean | undefined;
  readonly author?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The clock; for tests. */
  readonly now?: (() => Date) | undefined;
}

export interface MigrateReport {
  readonly dryRun: boolean;
  /** Nothing of an old layout is left, and nothing is damaged. */
  readonly ok: boolean;
  /** What was in an old layout, moved or not. */
  readonly findings: readonly Finding[];
  readonly migrated: number;
  readonly left: number;
  readonly verify?: ManifestCounts;
}

/**
 * Brings what lies in a layout of old into that of today, in place: `name/1.0.0.md`, `name.md`, `name.prompt`, a
 * `latest.md` that is a copy. Running it again does nothing. To change the storage as well, copy afterwards.
 *
 * @throws RegistryError what the storage has to say
 * @example
 * const { migrated, left } = await migrateStorage(fs({ path: "." }), { dryRun: true });
 */
export async function migrateStorage(driver: StorageDriver, options: MigrateOptions = {}): Promise<MigrateReport> {
  const { dryRun = false, seal = false, author, now = () => new Date() } = options;
  const op = operationOf(options);
  const name: PromptName | undefined = options.name === undefined ? undefined : parseName(options.name);
  const kinds = seal ? (["legacy", "unsealed"] as const) : (["legacy"] as const);
  const plan = {
    at: now().toISOString(),
    ...(name === undefined ? {} : { name }),
    ...(author === undefined ? {} : { by: author }),
  };
  const { findings } = await driver.repair({ ...plan, repair: dryRun ? [] : kinds }, op);
  const relevant = findings.filter((f) => kinds.some((kind) => kind === f.kind) || isOfOldLayout(f));
  const migrated = relevant.filter((f) => f.repaired).length;
  const left = relevant.length - migrated;
  const report = { dryRun, findings: relevant, migrated, left };
  if (dryRun || options.verify === false) return { ...report, ok: left === 0 };
  const manifest = manifestOf(driver, { ...op, ...(name === undefined ? {} : { names: [name] }) });
  const { sha256: _, ...verify } = await hashManifest(manifest);
  return { ...report, ok: left === 0 && verify.damaged === 0, verify };
}

/** What lies in a layout of old and is told as something else: it can't be moved, or a copy stands for a link. */
function isOfOldLayout({ kind, path, label, version }: Finding): boolean {
  // Other links that are out of date are for `doctor`; of a copy it is said what it is a copy of.
  if (kind === "projection") return version !== undefined;
  if ((kind !== "corrupt" && kind !== "foreign") || path === undefined || label !== undefined) return false;
  const entry = entryOf(basename(path));
  if (entry.kind === "oldVersion") return true;
  const isFlat = entry.kind === "page" || (entry.kind === "folder" && entry.flat !== undefined);
  return isFlat && (kind === "corrupt" || version !== undefined);
}
