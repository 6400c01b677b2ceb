import { type Call, notFound, Problem } from "./http.ts";
import { GitFailure } from "./process.ts";
import type { Permission } from "./types.ts";
import { RANK, type Repository, rulesOf } from "./world.ts";

/** The repository of a request, as far as its token may: what it can't see is not there. */
export function repositoryOf(call: Call, need: Permission = "read"): Repository {
  const { owner = "", repo = "" } = call.params;
  const repository = call.world.find(owner, repo);
  const have = repository && call.world.permission(call.token, repository);
  if (repository === undefined || have === undefined) throw notFound();
  if (RANK[have] < RANK[need]) throw forbidden(call);
  return repository;
}

export function forbidden(call: Call): Problem {
  if (call.token === undefined) return notFound();
  const by = call.token.kind === "installation" ? "integration" : "personal access token";
  return new Problem(403, `Resource not accessible by ${by}`);
}

/** A repository without a commit has no Git data at all: 409, also for what would write some. */
export async function withCommits(call: Call, need: Permission = "read"): Promise<Repository> {
  const repository = repositoryOf(call, need);
  if (await isEmpty(repository)) throw new Problem(409, "Git Repository is empty.");
  return repository;
}

export async function isEmpty(repository: Repository): Promise<boolean> {
  if ((await repository.store.ref(`refs/heads/${repository.defaultBranch}`)) !== undefined) return false;
  return (await repository.store.refs("refs/")).length === 0;
}

/** A full or short name of a branch or tag, or the id of a commit; the default branch without one. */
export async function resolveCommit(
  repository: Repository,
  ref: string | null | undefined,
  lag: number,
): Promise<string | undefined> {
  const { store } = repository;
  if (ref === null || ref === undefined || ref === "" || ref === "HEAD") {
    return store.ref(`refs/heads/${repository.defaultBranch}`, lag);
  }
  for (const name of [ref, `refs/${ref}`, `refs/heads/${ref}`, `refs/tags/${ref}`]) {
    if (!name.startsWith("refs/")) continue;
    const oid = await store.ref(name, lag);
    if (oid !== undefined) return (await store.commit(oid)) === undefined ? undefined : oid;
  }
  return (await store.commit(ref)) === undefined ? undefined : ref;
}

/** What the rules of a branch forbid, in the words of the refusal. */
export async function refusal(
  repository: Repository,
  ref: string,
  from: string | undefined,
  to: string | undefined,
  byPull = false,
): Promise<string | undefined> {
  const types = new Set(rulesOf(repository, ref).map((rule) => rule.type));
  if (types.has("deletion") && to === undefined) return "Cannot delete this branch";
  if (types.has("creation") && from === undefined) return "Cannot create ref due to creations being restricted.";
  if (types.has("update") && from !== undefined && to !== undefined) return "Cannot update this protected ref.";
  if (types.has("pull_request") && !byPull && to !== undefined) return "Changes must be made through a pull request.";
  if (types.has("non_fast_forward") && from !== undefined && to !== undefined) {
    if (!(await repository.store.isAncestor(from, to))) return "Cannot force-push to this branch";
  }
  return undefined;
}

export async function refuse(repository: Repository, ref: string, from: string | undefined, to: string | undefined) {
  const why = await refusal(repository, ref, from, to);
  if (why !== undefined) throw new Problem(422, `Repository rule violations found\n\n${why}\n\n`);
}

/** Git's refusals of names in conflict (`a` beside `a/b`) are 422 at GitHub. */
export async function setRef(repository: Repository, ref: string, to: string | null, from: string | null) {
  try {
    return await repository.store.updateRef(ref, to, from);
  } catch (error) {
    if (error instanceof GitFailure) throw new Problem(422, "Reference update failed");
    throw error;
  }
}
