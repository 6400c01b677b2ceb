import { setTimeout as sleep } from "node:timers/promises";
import { isRegistryError, RegistryError, show } from "../../errors.ts";
import { type Client, encodePath, type Send } from "./client.ts";
import { broken, type Reply, refusal, said, type What } from "./failure.ts";
import { isObjectId } from "./objects.ts";

const ATTRIBUTES =
  "# Line ends are part of a prompt's bytes: Git must not change them.\n*.md -text\nlatest.json -text\n";

/** Tries at something that others make too, and how long it may take until what they made is seen. */
const MAX_TRIES = 5;
const PAUSE_MS = 200;

/**
 * Makes the repository, private and with a first commit. Where somebody else makes it at the same time, theirs will do.
 *
 * @returns the repository, as GitHub tells it
 * @throws RegistryError CONFLICT where GitHub does not make it, for another reason
 */
export async function createRepository(client: Client): Promise<Reply> {
  const { repoPath, settings } = client;
  const { owner, repo } = settings;
  const me = await client.send({ method: "GET", path: "/user", operation: "asking who this is" });
  const { login } = me.data as { login?: unknown };
  const isMine = String(login).toLowerCase() === owner.toLowerCase();
  const make: Send = {
    method: "POST",
    path: isMine ? "/user/repos" : `/orgs/${owner}/repos`,
    operation: "creating the repository",
    body: { name: repo, private: true, auto_init: true, description: "Prompts, kept by prompt-registry" },
  };
  return await once(client, make, async () => {
    const send = { method: "GET", path: repoPath, operation: "reading the repository", accept: [404] } as const;
    const there = await client.send(send);
    return there.status === 404 ? undefined : there;
  });
}

/**
 * Makes the branch, and the first commit where there is none. Where somebody else makes it at the same time, theirs will do.
 *
 * @param empty the repository has no commit at all
 * @returns the commit that the branch is at
 */
export async function createBranch(client: Client, branch: string, empty: boolean): Promise<string> {
  const { repoPath, settings } = client;
  if (empty) return await firstCommit(client, branch);
  const info = await client.send({ method: "GET", path: repoPath, operation: "reading the repository" });
  const { default_branch: start } = info.data as { default_branch?: string };
  const from = await startOf(client, String(start));
  if (from === "empty") return await firstCommit(client, branch);
  if (from === undefined) {
    throw new RegistryError(
      "UNAVAILABLE",
      `${settings.location}: the branch ${show(String(start))} is not there yet; try again`,
      { backend: "github", location: settings.location },
    );
  }
  if (start === branch) return from;
  const make: Send = {
    method: "POST",
    path: `${repoPath}/git/refs`,
    operation: "creating the branch",
    body: { ref: `refs/heads/${branch}`, sha: from },
  };
  return refCommit(client, await once(client, make, () => lookForRef(client, branch)));
}

/** Objects can't be written to a repository without a commit; a file can. */
async function firstCommit(client: Client, branch: string): Promise<string> {
  const make: Send = {
    method: "PUT",
    path: `${client.repoPath}/contents/.gitattributes`,
    operation: "making the first commit",
    body: { message: "Start a prompt registry", content: Buffer.from(ATTRIBUTES).toString("base64"), branch },
  };
  const made = await once(client, make, () => lookForRef(client, branch));
  const { commit } = made.data as { commit?: { sha?: unknown } };
  return commit === undefined ? refCommit(client, made) : checked(client, commit.sha);
}

/**
 * Makes what can be made only once. When that is refused or its reply is lost, it is looked for, as somebody else may have
 * been faster, or we were; and tried again while it is only the other one that stands in its way.
 */
async function once(client: Client, make: Send, look: () => Promise<Reply | undefined>): Promise<Reply> {
  const { operation } = make;
  let problem: unknown;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    if (attempt > 0) await sleep(PAUSE_MS * 2 ** (attempt - 1));
    let mayAgain = true;
    try {
      const reply = await client.send({ ...make, mutates: true, accept: [409, 422] });
      if (reply.status < 300) return reply;
      mayAgain = reply.status === 409 || /already exists|wasn't supplied|reference update failed/i.test(said(reply));
      problem = refusalOf(reply, { operation, location: client.settings.location, mutates: false });
    } catch (error) {
      if (!isRegistryError(error) || error.outcome !== "unknown") throw error;
      problem = error;
    }
    const found = await look();
    if (found !== undefined) return found;
    if (!mayAgain) break;
  }
  throw problem;
}

/** What stands in the way for ever is a rule, and no conflict. */
function refusalOf(reply: Reply, what: What): RegistryError {
  const error = refusal(reply, what);
  if (!/rule violation|protected|restricted/i.test(said(reply))) return error;
  return new RegistryError("FORBIDDEN", `${error.message}; let somebody create it who may`, {
    ...error.context,
    outcome: "final",
  });
}

/** Where the default branch is; one that was made a moment ago may not be seen yet. */
async function startOf(client: Client, branch: string): Promise<string | "empty" | undefined> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    if (attempt > 0) await sleep(PAUSE_MS * 2 ** (attempt - 1));
    const reply = await client.send({ ...readRef(client, branch), accept: [404, 409] });
    if (reply.status === 409) return "empty";
    if (reply.status < 300) return refCommit(client, reply);
  }
  return undefined;
}

async function lookForRef(client: Client, branch: string): Promise<Reply | undefined> {
  const reply = await client.send({ ...readRef(client, branch), accept: [404, 409] });
  return reply.status < 300 ? reply : undefined;
}

function readRef({ repoPath }: Client, branch: string): Send {
  return { method: "GET", path: `${repoPath}/git/ref/heads/${encodePath(branch)}`, operation: "reading the branch" };
}

function refCommit(client: Client, { data }: Reply): string {
  return checked(client, (data as { object?: { sha?: unknown } }).object?.sha);
}

function checked(client: Client, sha: unknown): string {
  if (isObjectId(sha)) return sha;
  const what = { operation: "creating the branch", location: client.settings.location, mutates: true };
  throw broken("got an answer that is none of GitHub's", what);
}
