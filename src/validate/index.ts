import { lstat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { entryOf } from "../drivers/fs/layout.ts";
import { isRegistryError, RegistryError, show, throwIfAborted } from "../errors.ts";
import type { HeadRecord } from "../head.ts";
import { readText } from "./content.ts";
import { judgeFresh, judgeRemovals, readDocuments } from "./documents.ts";
import { type Base, blobId, readBase, readIndex, readOids } from "./git.ts";
import { isCommittedHead, judgeCommitted, judgeLostHeads } from "./heads.ts";
import { judgePointers } from "./pointers.ts";
import { type PromptFiles, readTree, type Tree } from "./tree.ts";
import type { Say, ValidateFinding, ValidateOptions, ValidateReport } from "./types.ts";

export type { ValidateFinding, ValidateOptions, ValidateReport, ValidateRule } from "./types.ts";

/**
 * Checks a folder of prompts as a pull request needs it: names, versions, digests, pointers and front matter of everything;
 * the policy for what is new; and, against a commit, that nothing published was changed. Only reads, follows no link, and
 * runs nothing but `git` on objects.
 *
 * @param folder a folder that holds `prompts/`, or the folder of the prompts itself; absolute
 * @throws RegistryError INVALID for a folder that can't be read, or a base that is no commit; CONFIG without Git
 * @example
 * const report = await validateFolder("/repo", { base: "origin/main", policy: createPolicy() });
 * if (!report.ok) process.exitCode = 1;
 */
export async function validateFolder(folder: string, options: ValidateOptions = {}): Promise<ValidateReport> {
  const { root, below } = await rootOf(folder, options.dir ?? "prompts");
  const findings: ValidateFinding[] = [];
  const say: Say = (rule, severity, path, message, at = {}) => {
    const where = below === "" ? path : path === "" ? below : `${below}/${path}`;
    findings.push({ rule, severity, path: where, line: at.line ?? 1, column: at.column ?? 1, message });
  };
  const base = options.base === undefined ? undefined : await readBase(root, options.base, options.signal);
  const index = await readIndex(root, isCommittedHead, options.signal);
  const tree = await readTree(root, index, say, options);
  const heads = new Map<string, HeadRecord | undefined>();
  let versions = 0;
  let prompts = 0;
  let fresh = 0;
  for (const prompt of tree.prompts.values()) {
    throwIfAborted(options.signal, "validate");
    if (isLeftOut(tree, prompt, base)) {
      if (prompt.versions.size > 0) prompts++;
      versions += prompt.versions.size;
      continue;
    }
    const documents = await readDocuments(tree, prompt, base, say);
    const record = await judgePointers(tree, prompt, documents, base, say);
    heads.set(prompt.path, record);
    const yanked = record?.head.yanked ?? {};
    await judgeFresh(documents, (version) => Object.hasOwn(yanked, version), options, say);
    if (documents.size > 0) prompts++;
    versions += documents.size;
    fresh += [...documents.values()].filter((d) => d.fresh).length;
  }
  await judgeCommitted(tree, index, heads, say);
  if (base !== undefined) {
    await judgeLostHeads(base, tree, say);
    await judgeRemovals(base, tree, isVersionPath, say);
    findings.push(...(await judgeWatched(base, folder, options)));
  }
  const order = (a: ValidateFinding, b: ValidateFinding) =>
    a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line || a.column - b.column;
  return {
    ok: findings.every((f) => f.severity !== "block"),
    ...(base === undefined ? {} : { base: base.commit }),
    ...{ prompts, versions, fresh },
    findings: findings.sort(order),
  };
}

/** Nothing of it is checked out, and all of it is as in the base: there is nothing new to be judged. */
function isLeftOut({ skipped }: Tree, { versions, pointers, head }: PromptFiles, base: Base | undefined): boolean {
  if (base === undefined || skipped.size === 0) return false;
  const paths = [...versions.values(), ...pointers].map(({ path }) => path);
  if (head !== undefined) paths.push(head);
  return paths.every((path) => {
    const file = skipped.get(path);
    return file !== undefined && base.files.get(path)?.oid === file.oid;
  });
}

async function rootOf(folder: string, dir: string): Promise<{ readonly root: string; readonly below: string }> {
  const bad = (problem: string) =>
    new RegistryError("INVALID", `can't check ${show(folder)}: ${problem}`, { field: "path", path: folder });
  const stats = await lstat(folder).catch(() => undefined);
  if (stats === undefined) throw bad("there is no such folder");
  if (!stats.isDirectory()) throw bad("it is no folder");
  const prompts = join(folder, dir);
  const inner = await lstat(prompts).catch(() => undefined);
  if (inner?.isSymbolicLink() === true) throw bad(`${dir} is a link; a registry follows no links`);
  return inner?.isDirectory() === true ? { root: prompts, below: dir } : { root: folder, below: "" };
}

function isVersionPath(path: string): boolean {
  const { kind } = entryOf(basename(path));
  return (kind === "version" || kind === "oldVersion") && path.includes("/");
}

/** A change that also changes the rules is read with other eyes. */
async function judgeWatched(
  base: Base,
  folder: string,
  { watched = [], signal }: ValidateOptions,
): Promise<ValidateFinding[]> {
  const findings: ValidateFinding[] = [];
  for (const at of new Set(watched.map((file) => dirname(file)))) {
    const names = watched.filter((file) => dirname(file) === at).map((file) => basename(file));
    let before: ReadonlyMap<string, string>;
    try {
      before = await readOids(at, base.commit, names, signal);
    } catch (error) {
      // The configuration need not be in this repository.
      if (isRegistryError(error, "INVALID")) continue;
      throw error;
    }
    for (const name of names) {
      const old = before.get(name);
      const { bytes } = await readText(at, name, 2 ** 20);
      if (bytes === undefined ? old === undefined : old !== undefined && blobId(bytes, old) === old) continue;
      const path = relative(folder, join(at, name)).split(sep).join("/");
      const message = "the configuration is changed, too, and with it perhaps the policy that is asked here";
      findings.push({ rule: "configuration", severity: "warn", path, line: 1, column: 1, message });
    }
  }
  return findings;
}
