import { refusal, setRef } from "../access.ts";
import { wholeSeconds } from "../objects.ts";
import { nodeId } from "../shapes.ts";
import { isRefName, type RefChange } from "../store.ts";
import { changeTree, pathProblem, type TreeChange } from "../trees.ts";
import { RANK, type Repository } from "../world.ts";
import { TypedError } from "./schema.ts";
import { commitType, refType, repositoryType, type Scope } from "./types.ts";

interface CommitInput {
  readonly clientMutationId?: string | null;
  readonly branch: {
    readonly id?: string | null;
    readonly repositoryNameWithOwner?: string | null;
    readonly branchName?: string | null;
  };
  readonly message: { readonly headline: string; readonly body?: string | null };
  readonly expectedHeadOid: string;
  readonly fileChanges?: {
    readonly additions?: readonly { readonly path: string; readonly contents: string }[] | null;
    readonly deletions?: readonly { readonly path: string }[] | null;
  } | null;
}

function writable(scope: Scope, repository: Repository | undefined, shown: string): Repository {
  const { world, token } = scope.call;
  const permission = repository && world.permission(token, repository);
  if (repository === undefined || permission === undefined) {
    throw new TypedError("NOT_FOUND", `Could not resolve to a Repository with the name '${shown}'.`);
  }
  if (RANK[permission] < RANK.write) {
    const by = token?.kind === "installation" ? "integration" : "personal access token";
    throw new TypedError("FORBIDDEN", `Resource not accessible by ${by}`);
  }
  return repository;
}

async function target(scope: Scope, branch: CommitInput["branch"]): Promise<{ repository: Repository; ref: string }> {
  const { world } = scope.call;
  if (branch.id) {
    for (const repository of world.repositories.values()) {
      for (const { name } of await repository.store.refs("refs/heads/")) {
        if (nodeId("Ref", `${repository.id}:${name}`) === branch.id) {
          return { repository: writable(scope, repository, repository.name), ref: name };
        }
      }
    }
    throw new TypedError("NOT_FOUND", `Could not resolve to a node with the global id of '${branch.id}'`);
  }
  const full = branch.repositoryNameWithOwner ?? "";
  const [owner = "", name = ""] = full.split("/");
  const repository = writable(scope, world.find(owner, name), full);
  return { repository, ref: `refs/heads/${(branch.branchName ?? "").replace(/^refs\/heads\//, "")}` };
}

/** One commit on top of a branch that is where it is expected. Every file gets mode 100644. */
export async function createCommitOnBranch(scope: Scope, input: CommitInput): Promise<object> {
  const { repository, ref } = await target(scope, input.branch);
  return repository.store.exclusive(async () => {
    const { store } = repository;
    const head = await store.ref(ref);
    const tip = head === undefined ? undefined : await store.commit(head);
    if (head === undefined || tip === undefined) {
      throw new TypedError("NOT_FOUND", `Could not resolve to a Branch with the name '${ref.slice(11)}'.`);
    }
    const stale = () =>
      new TypedError(
        "STALE_DATA",
        `Expected branch to point to "${input.expectedHeadOid}" but it did not. Pull and try again.`,
      );
    if (head !== input.expectedHeadOid) throw stale();
    const changes = new Map<string, TreeChange>();
    for (const { path } of input.fileChanges?.deletions ?? []) {
      if ((await store.entry(tip.tree, path)) === undefined) {
        const message = `A path was requested for deletion which does not exist as of commit oid \`${head}\`: ${path}`;
        throw new TypedError("UNPROCESSABLE", message);
      }
      changes.set(path, { mode: "100644", oid: null });
    }
    const additions = input.fileChanges?.additions ?? [];
    for (const { path, contents } of additions) {
      if (pathProblem(path) !== undefined) throw new TypedError("UNPROCESSABLE", `A path was invalid: ${path}`);
      if (!isBase64(contents)) throw new TypedError("UNPROCESSABLE", `The contents of ${path} are not valid Base64`);
    }
    const oids = await Promise.all(additions.map(({ contents }) => store.writeBlob(Buffer.from(contents, "base64"))));
    additions.forEach(({ path }, i) => {
      changes.set(path, { mode: "100644", oid: oids[i] as string });
    });
    const tree = await changeTree(store, tip.tree, changes);
    const date = wholeSeconds(scope.call.world.now());
    const login = scope.call.token?.login ?? "ghost";
    const email = `${scope.call.world.userId(login)}+${login}@users.noreply.github.com`;
    const { headline, body } = input.message;
    const oid = await store.writeCommit({
      tree,
      parents: [head],
      author: { name: login, email, date },
      committer: { name: "GitHub", email: "noreply@github.com", date },
      message: body ? `${headline}\n\n${body}` : headline,
    });
    const why = await refusal(repository, ref, head, oid);
    if (why !== undefined) throw new TypedError("UNPROCESSABLE", `Repository rule violations found\n\n${why}\n\n`);
    if (!(await setRef(repository, ref, oid, head))) throw stale();
    const commit = await store.commit(oid);
    return {
      clientMutationId: input.clientMutationId ?? null,
      commit: commit === undefined ? null : commitType(scope, repository, commit),
      ref: refType(scope, repository, ref, oid),
    };
  });
}

const isBase64 = (text: string): boolean =>
  /^[A-Za-z0-9+/\n]*={0,2}\n?$/.test(text) && text.replaceAll("\n", "").length % 4 === 0;

interface RefInput {
  readonly clientMutationId?: string | null;
  readonly repositoryId: string;
  readonly name: string;
  readonly oid: string;
}

function byId(scope: Scope, repositoryId: string): Repository {
  const all = [...scope.call.world.repositories.values()];
  const found = all.find(({ id }) => nodeId("Repository", id) === repositoryId);
  return writable(scope, found, repositoryId);
}

export async function createRef(scope: Scope, input: RefInput): Promise<object> {
  const repository = byId(scope, input.repositoryId);
  return repository.store.exclusive(async () => {
    const { store } = repository;
    if (!isRefName(input.name)) throw new TypedError("UNPROCESSABLE", `${input.name} is not a valid ref name.`);
    if ((await store.commit(input.oid)) === undefined) throw new TypedError("UNPROCESSABLE", "Object does not exist");
    const why = await refusal(repository, input.name, undefined, input.oid);
    if (why !== undefined) throw new TypedError("UNPROCESSABLE", `Repository rule violations found\n\n${why}\n\n`);
    if ((await store.ref(input.name)) !== undefined || !(await setRef(repository, input.name, input.oid, null))) {
      throw new TypedError("UNPROCESSABLE", `A ref named "${input.name}" already exists in the repository.`);
    }
    return {
      clientMutationId: input.clientMutationId ?? null,
      ref: refType(scope, repository, input.name, input.oid),
      repository: () => repositoryType(scope, repository),
    };
  });
}

interface RefsInput {
  readonly clientMutationId?: string | null;
  readonly repositoryId: string;
  readonly refUpdates: readonly {
    readonly name: string;
    readonly beforeOid?: string | null;
    readonly afterOid: string;
    readonly force?: boolean | null;
  }[];
}

/** No ref there: as `beforeOid` there must be none, as `afterOid` it is deleted. */
const NONE = "0".repeat(40);

/**
 * All of them or none. A ref that is elsewhere than `beforeOid` is an error without a type, as github.com answered in
 * September 2026; that it has no more words for what else Git refuses is assumed.
 */
export async function updateRefs(scope: Scope, input: RefsInput): Promise<object> {
  const repository = byId(scope, input.repositoryId);
  const { store } = repository;
  return store.exclusive(async () => {
    const changes: RefChange[] = [];
    for (const { name, beforeOid, afterOid, force } of input.refUpdates) {
      if (!isRefName(name)) throw new TypedError("UNPROCESSABLE", `${name} is not a valid ref name.`);
      const from = await store.ref(name);
      const to = afterOid === NONE ? undefined : afterOid;
      if (typeof beforeOid === "string" && beforeOid !== (from ?? NONE)) throw new Error(`${name} is at ${from}`);
      if (from === undefined && to === undefined) throw new Error(`there is no ${name}`);
      if (to !== undefined && (await store.object(to)) === undefined) throw new Error(`there is no object ${to}`);
      const why = await refusal(repository, name, from, to);
      if (why !== undefined) throw new TypedError("UNPROCESSABLE", `Repository rule violations found\n\n${why}\n\n`);
      const isForced = force === true || from === undefined || to === undefined;
      if (!isForced && !(await store.isAncestor(from, to))) throw new Error(`${name} is no fast-forward`);
      changes.push({ name, to: to ?? null, expect: from ?? null });
    }
    // Somebody pushed with Git in between.
    if (!(await store.updateRefs(changes))) throw new Error("a ref is elsewhere by now");
    return { clientMutationId: input.clientMutationId ?? null };
  });
}
