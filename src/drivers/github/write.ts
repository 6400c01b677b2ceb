import { RegistryError } from "../../errors.ts";
import { type Client, encodePath, type GraphqlError } from "./client.ts";
import { broken, messageOf, type Reply, refusal } from "./failure.ts";
import { attemptLine, type CommitText } from "./message.ts";
import { isObjectId } from "./objects.ts";
import type { Edit } from "./plan.ts";
import type { Mark } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";

/** More in one tree and GitHub answers with time-outs. */
export const MAX_TREE_FILES = 150;
const MAX_TREE_BYTES = 2_000_000;
/** A mutation may be larger (about 40 MB); above this the Git objects are written in parts. */
const MAX_MUTATION_BYTES = 20_000_000;

/**
 * - `written`: the branch is at this commit
 * - `moved`: somebody else was faster; nothing happened
 */
export type Written =
  | { readonly status: "written"; readonly commit: string; readonly tree: string | undefined }
  | { readonly status: "moved" };

/** Called right before the one call that can change the branch; what it throws keeps that from being made. */
export type Sending = (mark: Mark) => void;

/**
 * One commit on top of the snapshot, or none.
 *
 * @throws RegistryError with the outcome `unknown` when the branch may have moved all the same
 */
export async function writeCommit(
  client: Client,
  snapshot: Snapshot,
  branch: string,
  edits: ReadonlyMap<string, Edit>,
  text: CommitText,
  sending: Sending,
): Promise<Written> {
  if (client.settings.writes === "graphql" && sizeOf(edits.values()) <= MAX_MUTATION_BYTES) {
    return await byMutation(client, snapshot, branch, edits, text, sending);
  }
  return await byObjects(client, snapshot, branch, edits, text, sending);
}

function sizeOf(edits: Iterable<Edit>): number {
  let size = 0;
  for (const { text } of edits) size += Buffer.byteLength(text ?? "") + 100;
  return size;
}

async function byObjects(
  client: Client,
  snapshot: Snapshot,
  branch: string,
  edits: ReadonlyMap<string, Edit>,
  { subject, body, author }: CommitText,
  sending: Sending,
): Promise<Written> {
  const { repoPath, settings } = client;
  let tree = snapshot.tree ?? (await treeOf(client, snapshot.commit));
  for (const part of parts(edits)) {
    const entries = part.map(([path, { text, mode }]) => {
      const content = text === undefined ? { sha: null } : { content: text };
      return { path, mode, type: "blob", ...content };
    });
    tree = idOf(
      client,
      "writing the tree",
      await post(client, "trees", "writing the tree", { base_tree: tree, tree: entries }),
    );
  }
  const { committer } = settings;
  const made = await post(client, "commits", "writing the commit", {
    message: `${subject}\n\n${body}\n`,
    tree,
    parents: [snapshot.commit],
    ...(author === undefined ? {} : { author }),
    ...(committer === undefined ? {} : { committer }),
  });
  const commit = idOf(client, "writing the commit", made);
  sending({ id: commit });
  const operation = "moving the branch";
  const reply = await client.send({
    method: "PATCH",
    path: `${repoPath}/git/refs/heads/${encodePath(branch)}`,
    operation,
    body: { sha: commit, force: false },
    mutates: true,
    accept: [409, 422],
  });
  if (reply.status < 300) {
    const { object } = reply.data as { object?: { sha?: unknown } };
    if (object?.sha === commit) return { status: "written", commit, tree };
    throw broken("got an answer that is none of GitHub's", { operation, location: settings.location, mutates: true });
  }
  return refused(client, reply);
}

function refused(client: Client, reply: Reply): Written {
  const what = { operation: "moving the branch", location: client.settings.location, mutates: true };
  const said = messageOf(reply.data);
  if (said === undefined) throw broken(`got status ${reply.status} from something that is not GitHub`, what);
  // It was made a moment ago: a replica that lags.
  if (/object does not exist/i.test(said)) return { status: "moved" };
  const isRule = /rule violation|protected branch|through a pull request/i.test(said);
  if (
    !isRule &&
    (reply.status === 409 || /fast.?forward|reference (?:does not|cannot be)|is at .* but expected/i.test(said))
  ) {
    return { status: "moved" };
  }
  // Rules of the branch: the same will be refused again.
  const error = refusal(reply, what);
  throw new RegistryError("FORBIDDEN", `${error.message}; rules of the branch may keep it from being pushed to`, {
    ...error.context,
    outcome: "final",
  });
}

function* parts(edits: ReadonlyMap<string, Edit>): Generator<[string, Edit][]> {
  let part: [string, Edit][] = [];
  let bytes = 0;
  for (const [path, edit] of edits) {
    const size = sizeOf([edit]);
    if (part.length >= MAX_TREE_FILES || (part.length > 0 && bytes + size > MAX_TREE_BYTES)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push([path, edit]);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/** Objects that nothing points at yet: whatever becomes of the call, nothing happened to the branch. */
async function post(client: Client, what: string, operation: string, body: Record<string, unknown>): Promise<Reply> {
  const { repoPath, settings } = client;
  const reply = await client.send({
    method: "POST",
    path: `${repoPath}/git/${what}`,
    operation,
    body,
    accept: [404, 409, 422],
  });
  if (reply.status < 300) return reply;
  const context = { operation, location: settings.location, mutates: false };
  if (messageOf(reply.data) === undefined)
    throw broken(`got status ${reply.status} from something that is not GitHub`, context);
  // Without the right to write GitHub says that there is nothing.
  if (reply.status === 404) throw refusal(reply, { ...context, mutates: true });
  // A replica that does not know the last commit yet.
  const error = refusal(reply, context);
  throw new RegistryError("UNAVAILABLE", error.message, { ...error.context, outcome: "temporary" });
}

function idOf(client: Client, operation: string, { data }: Reply): string {
  const { sha } = data as { sha?: unknown };
  if (isObjectId(sha)) return sha;
  throw broken("got an answer that is none of GitHub's", {
    operation,
    location: client.settings.location,
    mutates: false,
  });
}

async function treeOf(client: Client, commit: string): Promise<string> {
  const operation = "reading the commit";
  const reply = await client.send({ method: "GET", path: `${client.repoPath}/git/commits/${commit}`, operation });
  const { tree } = reply.data as { tree?: { sha?: unknown } };
  if (isObjectId(tree?.sha)) return tree.sha;
  throw broken("got an answer that is none of GitHub's", {
    operation,
    location: client.settings.location,
    mutates: false,
  });
}

const MUTATION = `mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid tree { oid } } }
}`;

async function byMutation(
  client: Client,
  snapshot: Snapshot,
  branch: string,
  edits: ReadonlyMap<string, Edit>,
  { subject, body, author }: CommitText,
  sending: Sending,
): Promise<Written> {
  const { owner, repo, location } = client.settings;
  const operation = "committing";
  const additions: { path: string; contents: string }[] = [];
  const deletions: { path: string }[] = [];
  for (const [path, { text }] of edits) {
    if (text === undefined) deletions.push({ path });
    else additions.push({ path, contents: Buffer.from(text, "utf8").toString("base64") });
  }
  // The author is whoever the token belongs to; who wrote it stands in a line of its own.
  const credit = author === undefined ? "" : `Prompt-Registry-Author: ${author.name}\n`;
  // Beside the trailers, which are the last paragraph.
  const last = body.lastIndexOf("\n\n");
  const trailers = last < 0 ? 0 : last + 2;
  const line = attemptLine();
  const input = {
    branch: { repositoryNameWithOwner: `${owner}/${repo}`, branchName: branch },
    expectedHeadOid: snapshot.commit,
    message: {
      headline: subject,
      body: `${body.slice(0, trailers)}${credit}${body.slice(trailers)}\n${line}`,
    },
    fileChanges: { additions, deletions },
  };
  sending({ line });
  const reply = await client.graphql(MUTATION, { input }, { operation, mutates: true });
  const made = reply.data.createCommitOnBranch as
    | { commit?: { oid?: unknown; tree?: { oid?: unknown } } }
    | null
    | undefined;
  const oid = made?.commit?.oid;
  if (isObjectId(oid)) {
    const tree = made?.commit?.tree?.oid;
    return { status: "written", commit: oid, tree: isObjectId(tree) ? tree : undefined };
  }
  const [error] = reply.errors;
  if (error === undefined)
    throw broken("got an answer that is none of GitHub's", { operation, location, mutates: true });
  return mutationRefused(error, location);
}

/** Errors come with status 200, and not each with a type of its own. */
function mutationRefused({ type, message }: GraphqlError, location: string): Written {
  if (type === "STALE_DATA" || /expected branch to point to|expectedHeadOid/i.test(message ?? ""))
    return { status: "moved" };
  const what = { operation: "committing", location, mutates: true };
  const data = { message: message ?? String(type) };
  if (type === "FORBIDDEN" || type === "NOT_FOUND")
    throw refusal({ status: 403, headers: {}, data }, { ...what, mutates: false });
  if (type === "UNPROCESSABLE" || type === "UNPROCESSABLE_ENTITY" || type === "INVALID_INPUT") {
    const error = refusal({ status: 422, headers: {}, data }, { ...what, mutates: false });
    throw new RegistryError("FORBIDDEN", `${error.message}; rules of the branch may keep it from being pushed to`, {
      ...error.context,
      outcome: "final",
    });
  }
  throw broken(`failed: ${JSON.stringify(data.message).slice(0, 200)}`, what);
}
