import { type Client, encodePath } from "../drivers/github/client.ts";
import { moveBranch } from "../drivers/github/refs.ts";
import { isRegistryError } from "../errors.ts";

/** An open pull request that was made by proposing. */
export interface Proposal {
  readonly number: number;
  /** For people. */
  readonly url: string;
  readonly title: string;
  /** Its branch; deterministic, so that proposing again updates it. */
  readonly branch: string;
  /** The commit that it proposes. */
  readonly sha: string;
  readonly author: string;
  readonly draft: boolean;
  /** ISO 8601. */
  readonly updatedAt: string;
}

/** Where it is still what was merged or closed; what somebody pushed meanwhile stays. */
export async function removeBranch(client: Client, branch: string, sha: string): Promise<void> {
  const ref = `heads/${encodePath(branch)}`;
  const operation = "removing the branch of the proposal";
  try {
    const { status } = await moveBranch(client, { branch, from: sha, to: undefined, operation });
    if (status !== "unsupported") return;
    // Without GraphQL what is pushed between these two is lost.
    const there = await client.send({
      method: "GET",
      path: `${client.repoPath}/git/ref/${ref}`,
      operation,
      accept: [404],
    });
    if (there.status === 404 || (there.data as { object?: { sha?: unknown } }).object?.sha !== sha) return;
    const path = `${client.repoPath}/git/refs/${ref}`;
    await client.send({ method: "DELETE", path, operation, accept: [404, 422], mutates: true });
  } catch (error) {
    // It is merged or closed, which is what counts: a branch that is left is used again by the next proposal.
    if (!isRegistryError(error)) throw error;
  }
}

/** What of GitHub's answer is looked at. */
export interface Pull {
  readonly number: number;
  readonly html_url: string;
  readonly title: string;
  readonly state: string;
  readonly draft?: boolean;
  readonly merged?: boolean;
  /** `null`: not known yet. */
  readonly mergeable?: boolean | null;
  readonly merge_commit_sha?: string | null;
  readonly updated_at: string;
  readonly user: { readonly login: string } | null;
  readonly head: { readonly ref: string; readonly sha: string; readonly repo: { readonly full_name: string } | null };
  readonly base: { readonly ref: string };
}

export function shown(pull: Pull): Proposal {
  return {
    number: pull.number,
    url: pull.html_url,
    title: pull.title,
    branch: pull.head.ref,
    sha: pull.head.sha,
    author: pull.user?.login ?? "ghost",
    draft: pull.draft === true,
    updatedAt: pull.updated_at,
  };
}
