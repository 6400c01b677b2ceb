import { resolveCommit } from "../access.ts";
import type { Call } from "../http.ts";
import { type CommitObject, type Person, type TreeEntry, typeOfMode } from "../objects.ts";
import { nodeId } from "../shapes.ts";
import type { Repository } from "../world.ts";
import { TypedError } from "./schema.ts";

/** What the resolvers of one request share. */
export class Scope {
  readonly call: Call;
  /** One request sees a ref at one value only. */
  readonly #refs = new Map<string, Promise<string | undefined>>();

  constructor(call: Call) {
    this.call = call;
  }

  commit(repository: Repository, ref: string | undefined): Promise<string | undefined> {
    const key = `${repository.id} ${ref ?? ""}`;
    const known = this.#refs.get(key) ?? resolveCommit(repository, ref, this.call.lag);
    this.#refs.set(key, known);
    return known;
  }
}

const MAX_PAGE = 100;

export interface PageArgs {
  readonly first?: number | null;
  readonly after?: string | null;
}

export function pageOf(connection: string, { first, after }: PageArgs): { skip: number; limit: number } {
  if (first === null || first === undefined) {
    const message = `You must provide a \`first\` or \`last\` value to properly paginate the \`${connection}\` connection.`;
    throw new TypedError("MISSING_PAGINATION_BOUNDARIES", message);
  }
  if (first > MAX_PAGE) {
    const message = `Requesting ${first} records on the \`${connection}\` connection exceeds the \`first\` limit of ${MAX_PAGE} records.`;
    throw new TypedError("EXCESSIVE_PAGINATION", message);
  }
  const skip = after ? Number(Buffer.from(after, "base64").toString("utf8").split(":").at(-1)) : 0;
  return { skip, limit: first };
}

/** A connection of the `skip`-th item and those after it; one more than the page says that there is more. */
export function connection<T>(items: readonly T[], { skip, limit }: { skip: number; limit: number }, total?: number) {
  const nodes = items.slice(0, limit);
  const cursor = (i: number) => Buffer.from(`cursor:${skip + i + 1}`).toString("base64");
  return {
    nodes,
    edges: nodes.map((node, i) => ({ node, cursor: cursor(i) })),
    totalCount: total ?? skip + items.length,
    pageInfo: {
      hasNextPage: items.length > limit,
      hasPreviousPage: skip > 0,
      startCursor: nodes.length === 0 ? null : cursor(0),
      endCursor: nodes.length === 0 ? null : cursor(nodes.length - 1),
    },
  };
}

export async function gitObject(scope: Scope, repository: Repository, oid: string): Promise<object | null> {
  const object = await repository.store.object(oid);
  if (object === undefined) return null;
  if (object.type === "blob") return blob(scope, repository, oid, object.content);
  if (object.type === "tree") return tree(scope, repository, oid, "");
  if (object.type === "tag") return { __typename: "Tag", oid, id: nodeId("Tag", oid) };
  const commit = await repository.store.commit(oid);
  return commit === undefined ? null : commitType(scope, repository, commit);
}

const base = (scope: Scope, repository: Repository, kind: string, oid: string) => ({
  __typename: kind,
  id: nodeId(kind, oid),
  oid,
  abbreviatedOid: oid.slice(0, 7),
  commitResourcePath: `/${repository.owner}/${repository.name}/commit/${oid}`,
  commitUrl: `${scope.call.origin}/${repository.owner}/${repository.name}/commit/${oid}`,
  repository: () => repositoryType(scope, repository),
});

function blob(scope: Scope, repository: Repository, oid: string, content: Buffer) {
  const text = utf8(content);
  const limit = scope.call.world.options.textLimit ?? 512_000;
  const isTruncated = text !== null && content.length > limit;
  return {
    ...base(scope, repository, "Blob", oid),
    byteSize: content.length,
    isBinary: text === null,
    isTruncated,
    // Cut between two characters.
    text: isTruncated ? new TextDecoder().decode(content.subarray(0, limit), { stream: true }) : text,
  };
}

function utf8(content: Buffer): string | null {
  if (content.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return null;
  }
}

function tree(scope: Scope, repository: Repository, oid: string, path: string) {
  return {
    ...base(scope, repository, "Tree", oid),
    entries: async () => {
      const entries = (await repository.store.tree(oid)) ?? [];
      return entries.map((entry) =>
        treeEntry(scope, repository, entry, path === "" ? entry.name : `${path}/${entry.name}`),
      );
    },
  };
}

function treeEntry(scope: Scope, repository: Repository, entry: TreeEntry, path: string) {
  const type = typeOfMode(entry.mode);
  return {
    __typename: "TreeEntry",
    name: entry.name,
    nameRaw: Buffer.from(entry.name).toString("base64"),
    path,
    pathRaw: Buffer.from(path).toString("base64"),
    extension: /\.[^.]+$/.exec(entry.name)?.[0] ?? "",
    // Git's octal digits, read as such.
    mode: Number.parseInt(entry.mode, 8),
    type,
    oid: entry.oid,
    isGenerated: false,
    lineCount: null,
    language: null,
    size: async () => (type === "blob" ? repository.store.size(entry.oid) : 0),
    object: async () => {
      if (type === "tree") return tree(scope, repository, entry.oid, path);
      return type === "commit" ? null : gitObject(scope, repository, entry.oid);
    },
    repository: () => repositoryType(scope, repository),
    submodule: null,
  };
}

function actor(scope: Scope, { name, email, date }: Person) {
  const login = /^(?:\d+\+)?(.+)@users\.noreply\.github\.com$/.exec(email)?.[1];
  return {
    __typename: "GitActor",
    name,
    email,
    date,
    avatarUrl: `${scope.call.origin}/avatars`,
    user: login === undefined ? null : userType(scope, login),
  };
}

export function commitType(scope: Scope, repository: Repository, commit: CommitObject): object {
  const [headline = "", ...rest] = commit.message.split("\n");
  const { store } = repository;
  const load = async (oids: readonly string[]) => {
    const found = await Promise.all(oids.map((oid) => store.commit(oid)));
    return found.filter((it) => it !== undefined).map((it) => commitType(scope, repository, it));
  };
  return {
    ...base(scope, repository, "Commit", commit.oid),
    url: `${scope.call.origin}/${repository.owner}/${repository.name}/commit/${commit.oid}`,
    resourcePath: `/${repository.owner}/${repository.name}/commit/${commit.oid}`,
    message: commit.message,
    messageHeadline: headline,
    messageBody: rest.join("\n").trim(),
    authoredDate: commit.author.date,
    committedDate: commit.committer.date,
    author: actor(scope, commit.author),
    committer: actor(scope, commit.committer),
    tree: () => tree(scope, repository, commit.tree, ""),
    file: async ({ path }: { path: string }) => {
      const entry = await store.entry(commit.tree, path);
      return entry === undefined ? null : treeEntry(scope, repository, entry, path);
    },
    parents: async (args: PageArgs) => {
      const page = pageOf("parents", args);
      return connection(await load(commit.parents.slice(page.skip)), page, commit.parents.length);
    },
    history: async (args: PageArgs & { path?: string | null; since?: string | null; until?: string | null }) => {
      const page = pageOf("history", args);
      const found = await store.log(commit.oid, {
        ...(args.path ? { path: args.path } : {}),
        ...(args.since ? { since: args.since } : {}),
        ...(args.until ? { until: args.until } : {}),
        skip: page.skip,
        limit: page.limit + 1,
      });
      return connection(
        found.map((it) => commitType(scope, repository, it)),
        page,
      );
    },
  };
}

export function userType(scope: Scope, login: string) {
  const id = scope.call.world.userId(login);
  return {
    __typename: "User",
    id: nodeId("User", id),
    databaseId: id,
    login,
    name: login,
    email: "",
    url: `${scope.call.origin}/${login}`,
    resourcePath: `/${login}`,
    avatarUrl: `${scope.call.origin}/avatars/${id}`,
  };
}

export function refType(scope: Scope, repository: Repository, name: string, oid: string) {
  const [, prefix = "", short = ""] = /^(refs\/[^/]+\/)(.*)$/.exec(name) ?? [];
  return {
    __typename: "Ref",
    id: nodeId("Ref", `${repository.id}:${name}`),
    name: short,
    prefix,
    target: () => gitObject(scope, repository, oid),
    repository: () => repositoryType(scope, repository),
  };
}

export function repositoryType(scope: Scope, repository: Repository): object {
  const { store } = repository;
  const { call } = scope;
  const lookUp = async (name: string) => {
    const oid = await scope.commit(repository, name);
    return oid === undefined ? null : refType(scope, repository, name, oid);
  };
  const permission = call.world.permission(call.token, repository);
  return {
    __typename: "Repository",
    id: nodeId("Repository", repository.id),
    databaseId: repository.id,
    name: repository.name,
    nameWithOwner: `${repository.owner}/${repository.name}`,
    description: repository.description,
    url: `${call.origin}/${repository.owner}/${repository.name}`,
    owner: () => ({
      ...userType(scope, repository.owner),
      __typename: call.world.organizations.has(repository.owner) ? "Organization" : "User",
    }),
    isPrivate: repository.private,
    isArchived: false,
    isDisabled: false,
    isFork: false,
    visibility: repository.private ? "PRIVATE" : "PUBLIC",
    isEmpty: async () => (await store.refs("refs/")).length === 0,
    viewerPermission: permission?.toUpperCase() ?? null,
    viewerCanAdminister: permission === "admin",
    createdAt: repository.createdAt,
    pushedAt: call.world.time(),
    updatedAt: call.world.time(),
    defaultBranchRef: () => lookUp(`refs/heads/${repository.defaultBranch}`),
    ref: ({ qualifiedName }: { qualifiedName: string }) => findRef(lookUp, qualifiedName),
    refs: async ({ refPrefix, ...args }: PageArgs & { refPrefix: string }) => {
      const page = pageOf("refs", args);
      const all = await store.refs(refPrefix);
      const rest = all.slice(page.skip).map(({ name, oid }) => refType(scope, repository, name, oid));
      return connection(rest, page, all.length);
    },
    object: async ({ expression, oid }: { expression?: string | null; oid?: string | null }) => {
      if (oid) return gitObject(scope, repository, oid);
      if (!expression) return null;
      const [ref = "", path] = expression.split(/:(.*)/s);
      const commitOid = await scope.commit(repository, ref);
      if (path === undefined) return gitObject(scope, repository, commitOid ?? ref);
      const root = commitOid === undefined ? ref : (await store.commit(commitOid))?.tree;
      if (root === undefined || (await store.tree(root)) === undefined) return null;
      const entry = await store.entry(root, path);
      if (entry === undefined) return null;
      return typeOfMode(entry.mode) === "tree"
        ? tree(scope, repository, entry.oid, path.replace(/\/$/, ""))
        : gitObject(scope, repository, entry.oid);
    },
  };
}

async function findRef(lookUp: (name: string) => Promise<object | null>, name: string): Promise<object | null> {
  if (name.startsWith("refs/")) return lookUp(name);
  return (await lookUp(`refs/heads/${name}`)) ?? lookUp(`refs/tags/${name}`);
}
