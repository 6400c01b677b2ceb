import { RegistryError, show } from "../../errors.ts";
import { type Client, encodePath, type Send } from "./client.ts";
import type { Reply } from "./failure.ts";

const ATTRIBUTES =
  "# Line ends are part of a prompt's bytes: Git must not change them.\n*.md -text\nlatest.json -text\n";

/**
 * Makes what is missing: the repository, its first commit, the branch.
 *
 * @param branch `undefined`: the repository itself is missing
 * @param empty the repository has no commit at all
 * @returns the commit that the branch is at
 */
export async function createBranch(client: Client, branch: string | undefined, empty: boolean): Promise<string> {
  const { repoPath, settings } = client;
  const { owner, repo } = settings;
  if (branch === undefined) {
    const me = await client.send({ method: "GET", path: "/user", operation: "asking who this is" });
    const { login } = me.data as { login?: unknown };
    const isMine = String(login).toLowerCase() === owner.toLowerCase();
    await client.send({
      method: "POST",
      path: isMine ? "/user/repos" : `/orgs/${owner}/repos`,
      operation: "creating the repository",
      body: { name: repo, private: true, auto_init: true, description: "Prompts, kept by prompt-registry" },
      mutates: true,
    });
    return "";
  }
  if (empty) {
    // Objects can't be written to a repository without a commit; a file can.
    const reply = await client.send({
      method: "PUT",
      path: `${repoPath}/contents/.gitattributes`,
      operation: "making the first commit",
      body: { message: "Start a prompt registry", content: Buffer.from(ATTRIBUTES).toString("base64"), branch },
      mutates: true,
    });
    const { commit } = reply.data as { commit?: { sha?: unknown } };
    return String(commit?.sha);
  }
  const info = await client.send({ method: "GET", path: repoPath, operation: "reading the repository" });
  const { default_branch: start } = info.data as { default_branch?: string };
  if (start === branch) {
    // The repository was made a moment ago, or a replica lags.
    const now = await client.send({ ...readRef(client, branch), accept: [404] });
    if (now.status !== 404) return refCommit(now);
    throw new RegistryError(
      "UNAVAILABLE",
      `${settings.location}: the branch ${show(branch)} is not there yet; try again`,
      { backend: "github", location: settings.location },
    );
  }
  const sha = refCommit(await client.send(readRef(client, String(start))));
  const made = await client.send({
    method: "POST",
    path: `${repoPath}/git/refs`,
    operation: "creating the branch",
    body: { ref: `refs/heads/${branch}`, sha },
    mutates: true,
    accept: [422],
  });
  if (made.status !== 422) return sha;
  // Somebody else made it first.
  return refCommit(await client.send(readRef(client, branch)));
}

function readRef({ repoPath }: Client, branch: string): Send {
  return { method: "GET", path: `${repoPath}/git/ref/heads/${encodePath(branch)}`, operation: "reading the branch" };
}

function refCommit({ data }: Reply): string {
  return String((data as { object?: { sha?: unknown } }).object?.sha);
}
