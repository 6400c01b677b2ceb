import { encodePath } from "./client.ts";
import { type PathEdit, placeOf } from "./snapshot.ts";

/** Most files that a comparison tells (https://docs.github.com/rest/commits/commits#compare-two-commits). */
const MAX_FILES = 300;
const MAX_COMMITS = 250;

export interface Comparison {
  readonly status?: string;
  readonly total_commits?: number;
  readonly commits?: readonly {
    readonly sha: string;
    readonly commit: { readonly message: string; readonly tree?: { readonly sha: string } };
  }[];
  readonly files?: readonly ComparedFile[];
}

interface ComparedFile {
  readonly filename: string;
  readonly status: string;
  readonly sha: string | null;
  readonly additions?: number;
  readonly previous_filename?: string;
}

export function comparePath(repoPath: string, from: string, to: string): string {
  return `${repoPath}/compare/${encodePath(`${from}...${to}`)}`;
}

/** What was done to each path; `undefined` where that is not all, or does not tell what a file is. */
export function editsOf({ files, total_commits: total = 0 }: Comparison, root: string): PathEdit[] | undefined {
  if (files === undefined || files.length >= MAX_FILES || total > MAX_COMMITS) return undefined;
  const edits: PathEdit[] = [];
  for (const { status, previous_filename: previous } of files) {
    if (status === "renamed" && previous !== undefined) edits.push({ path: previous, id: undefined });
  }
  for (const { filename, status, sha, additions = 0 } of files) {
    const isGone = status === "removed" || sha === null;
    // Modes are not told. A link, or a submodule, is one line; a sealed document is more.
    if (!isGone && additions <= 1 && /^v?\d/.test(placeOf(filename, root)?.file ?? "")) return undefined;
    edits.push({ path: filename, id: isGone ? undefined : sha });
  }
  return edits;
}
