import type { PromptName } from "../../names.ts";
import { HEADS_DIR } from "../fs/layout.ts";
import type { Blobs } from "./blobs.ts";
import type { Client } from "./client.ts";
import { isObjectId } from "./objects.ts";
import { PromptFiles } from "./snapshot.ts";

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly type: string;
  readonly oid: string;
  readonly object?: { readonly text?: string | null; readonly entries?: readonly Entry[] } | null;
}

interface Found {
  readonly prompts: ReadonlyMap<PromptName, PromptFiles | undefined>;
  readonly head: { readonly branch: string; readonly commit: string; readonly tree: string } | undefined;
}

const FIELDS = "name mode type oid";
/** A folder with its texts, and one level more for what a folder registry keeps in `.heads`. */
const FOLDER = `{ ... on Tree { entries { ${FIELDS} object { ... on Blob { text } ... on Tree { entries { ${FIELDS} } } } } } }`;
const SYMLINK = 0o120000;

/**
 * Prompts with all that lies in their folders, by one query.
 *
 * @param commit where; else at the branch (or the default one), which is then told too
 * @returns `undefined` where GraphQL is off or did not answer all of it
 */
export async function directories(
  client: Client,
  blobs: Blobs,
  names: readonly PromptName[],
  commit: string | undefined,
  branch?: string,
): Promise<Found | undefined> {
  const { owner, repo, root } = client.settings;
  const at = commit ?? (branch === undefined ? "HEAD" : `refs/heads/${branch}`);
  const paths = Object.fromEntries(names.map((name, i) => [`e${i}`, `${at}:${root}${name}`]));
  const declared = names.map((_, i) => `, $e${i}: String!`).join("");
  const folders = names.map((_, i) => `p${i}: object(expression: $e${i}) ${FOLDER}`).join("\n");
  const target = "name target { oid ... on Commit { tree { oid } } }";
  const named =
    branch === undefined ? `head: defaultBranchRef { ${target} }` : `head: ref(qualifiedName: $ref) { ${target} }`;
  // Of a commit that is not known there every expression is null, as if nothing were in it.
  const head = commit === undefined ? named : "at: object(oid: $commit) { oid }";
  const ref = commit !== undefined ? ", $commit: GitObjectID!" : branch !== undefined ? ", $ref: String!" : "";
  const query = `query($owner: String!, $repo: String!${ref}${declared}) { repository(owner: $owner, name: $repo) {\n${head}\n${folders}\n} }`;
  const told = commit !== undefined ? { commit } : branch !== undefined ? { ref: `refs/heads/${branch}` } : {};
  const variables = { owner, repo, ...paths, ...told };
  const reply = await client.tryGraphql(query, variables, "reading prompts");
  const repository = reply?.data.repository as Record<string, unknown> | null | undefined;
  if (reply === undefined || reply.errors.length > 0 || repository === null || repository === undefined)
    return undefined;
  if (commit !== undefined && (repository.at as { oid?: string } | null)?.oid !== commit) return undefined;
  const prompts = new Map<PromptName, PromptFiles | undefined>();
  for (const [i, name] of names.entries()) {
    const folder = repository[`p${i}`] as { entries?: readonly Entry[] } | null | undefined;
    if (folder === undefined) return undefined;
    const files = new Map<string, string>();
    for (const entry of folder?.entries ?? []) take(entry, files, blobs);
    prompts.set(name, files.size === 0 ? undefined : new PromptFiles(name, files));
  }
  if (commit !== undefined) return { prompts, head: undefined };
  const tip = repository.head as { name?: string; target?: { oid?: string; tree?: { oid?: string } } } | null;
  const [oid, tree] = [tip?.target?.oid, tip?.target?.tree?.oid];
  if (!isObjectId(oid) || !isObjectId(tree) || typeof tip?.name !== "string") return undefined;
  return { prompts, head: { branch: branch ?? tip.name, commit: oid, tree } };
}

function take(entry: Entry, files: Map<string, string>, blobs: Blobs): void {
  const { name, mode, type, oid, object } = entry;
  if (type === "blob" && isObjectId(oid)) {
    if (mode === SYMLINK && /^v?\d/.test(name)) return;
    files.set(name, oid);
    if (typeof object?.text === "string" && !blobs.has(oid)) blobs.offer(oid, object.text);
  } else if (type === "tree" && name === HEADS_DIR) {
    for (const file of object?.entries ?? []) {
      if (file.type === "blob" && isObjectId(file.oid)) files.set(`${HEADS_DIR}/${file.name}`, file.oid);
    }
  }
}
