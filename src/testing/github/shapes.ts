/** What replies are made of. The official description says which fields there have to be. */
import type { CommitObject, TreeEntry } from "./objects.ts";
import { typeOfMode } from "./objects.ts";
import type { Permission } from "./types.ts";
import type { Repository, World } from "./world.ts";
import { RANK } from "./world.ts";

export const nodeId = (kind: string, id: string | number): string =>
  Buffer.from(`0:${kind}:${id}`).toString("base64url");

export function user(world: World, origin: string, login: string) {
  const url = `${origin}/users/${login}`;
  const id = world.userId(login);
  return {
    login,
    id,
    node_id: nodeId("User", id),
    avatar_url: `${origin}/avatars/${id}`,
    gravatar_id: "",
    url,
    html_url: `${origin}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: world.organizations.has(login) ? "Organization" : login.endsWith("[bot]") ? "Bot" : "User",
    user_view_type: "public",
    site_admin: false,
  };
}

export const repoUrl = (origin: string, { owner, name }: Repository): string => `${origin}/repos/${owner}/${name}`;

/** Templates that every repository has, below its own address. */
const LINKS: Readonly<Record<string, string>> = {
  archive: "/{archive_format}{/ref}",
  assignees: "/assignees{/user}",
  blobs: "/git/blobs{/sha}",
  branches: "/branches{/branch}",
  collaborators: "/collaborators{/collaborator}",
  comments: "/comments{/number}",
  commits: "/commits{/sha}",
  compare: "/compare/{base}...{head}",
  contents: "/contents/{+path}",
  contributors: "/contributors",
  deployments: "/deployments",
  downloads: "/downloads",
  events: "/events",
  forks: "/forks",
  git_commits: "/git/commits{/sha}",
  git_refs: "/git/refs{/sha}",
  git_tags: "/git/tags{/sha}",
  hooks: "/hooks",
  issue_comment: "/issues/comments{/number}",
  issue_events: "/issues/events{/number}",
  issues: "/issues{/number}",
  keys: "/keys{/key_id}",
  labels: "/labels{/name}",
  languages: "/languages",
  merges: "/merges",
  milestones: "/milestones{/number}",
  notifications: "/notifications{?since,all,participating}",
  pulls: "/pulls{/number}",
  releases: "/releases{/id}",
  stargazers: "/stargazers",
  statuses: "/statuses/{sha}",
  subscribers: "/subscribers",
  subscription: "/subscription",
  tags: "/tags",
  teams: "/teams",
  trees: "/git/trees{/sha}",
};

export function repository(world: World, origin: string, repo: Repository, permission?: Permission) {
  const url = repoUrl(origin, repo);
  const html = `${origin}/${repo.owner}/${repo.name}`;
  const rank = permission === undefined ? 1 : RANK[permission];
  const links = Object.entries(LINKS).map(([key, path]) => [`${key}_url`, url + path]);
  return {
    id: repo.id,
    node_id: nodeId("Repository", repo.id),
    name: repo.name,
    full_name: `${repo.owner}/${repo.name}`,
    private: repo.private,
    owner: user(world, origin, repo.owner),
    html_url: html,
    description: repo.description,
    fork: false,
    url,
    ...Object.fromEntries(links),
    git_url: `git://127.0.0.1/${repo.owner}/${repo.name}.git`,
    ssh_url: `git@127.0.0.1:${repo.owner}/${repo.name}.git`,
    clone_url: `${html}.git`,
    svn_url: html,
    mirror_url: null,
    homepage: null,
    language: null,
    size: 1,
    stargazers_count: 0,
    watchers_count: 0,
    forks_count: 0,
    network_count: 0,
    subscribers_count: 1,
    open_issues_count: 0,
    forks: 0,
    watchers: 0,
    open_issues: 0,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    archived: false,
    disabled: false,
    license: null,
    visibility: repo.private ? "private" : "public",
    is_template: false,
    topics: [],
    default_branch: repo.defaultBranch,
    pushed_at: world.time(),
    created_at: repo.createdAt,
    updated_at: repo.createdAt,
    ...(permission === undefined
      ? {}
      : { permissions: { admin: rank >= 3, maintain: rank >= 3, push: rank >= 2, triage: rank >= 2, pull: true } }),
  };
}

const UNSIGNED = { verified: false, reason: "unsigned", signature: null, payload: null, verified_at: null };

export function gitRef(origin: string, repo: Repository, name: string, oid: string, type = "commit") {
  const url = repoUrl(origin, repo);
  return {
    ref: name,
    node_id: nodeId("Ref", `${repo.id}:${name}`),
    url: `${url}/git/${name}`,
    object: { sha: oid, type, url: `${url}/git/${type}s/${oid}` },
  };
}

export function gitCommit(origin: string, repo: Repository, commit: CommitObject) {
  const url = repoUrl(origin, repo);
  const html = `${origin}/${repo.owner}/${repo.name}/commit`;
  return {
    sha: commit.oid,
    node_id: nodeId("Commit", commit.oid),
    url: `${url}/git/commits/${commit.oid}`,
    html_url: `${html}/${commit.oid}`,
    author: commit.author,
    committer: commit.committer,
    tree: { sha: commit.tree, url: `${url}/git/trees/${commit.tree}` },
    message: commit.message,
    parents: commit.parents.map((sha) => ({ sha, url: `${url}/git/commits/${sha}`, html_url: `${html}/${sha}` })),
    verification: UNSIGNED,
  };
}

export function commit(world: World, origin: string, repo: Repository, it: CommitObject) {
  const url = repoUrl(origin, repo);
  const html = `${origin}/${repo.owner}/${repo.name}/commit`;
  const login = (email: string) => /^(?:\d+\+)?(.+)@users\.noreply\.github\.com$/.exec(email)?.[1];
  const person = (email: string) => {
    const name = login(email);
    return name === undefined ? null : user(world, origin, name);
  };
  return {
    sha: it.oid,
    node_id: nodeId("Commit", it.oid),
    commit: {
      author: it.author,
      committer: it.committer,
      message: it.message,
      tree: { sha: it.tree, url: `${url}/git/trees/${it.tree}` },
      url: `${url}/git/commits/${it.oid}`,
      comment_count: 0,
      verification: UNSIGNED,
    },
    url: `${url}/commits/${it.oid}`,
    html_url: `${html}/${it.oid}`,
    comments_url: `${url}/commits/${it.oid}/comments`,
    author: person(it.author.email),
    committer: person(it.committer.email),
    parents: it.parents.map((sha) => ({ sha, url: `${url}/commits/${sha}`, html_url: `${html}/${sha}` })),
  };
}

export function treeItem(origin: string, repo: Repository, entry: TreeEntry, path: string, size?: number) {
  const type = typeOfMode(entry.mode);
  const common = { path, mode: entry.mode, type, sha: entry.oid };
  if (type === "commit") return common;
  const url = `${repoUrl(origin, repo)}/git/${type}s/${entry.oid}`;
  return size === undefined ? { ...common, url } : { ...common, size, url };
}

/** The part that files, folders, links and submodules have in common. */
export function contentItem(
  origin: string,
  repo: Repository,
  ref: string,
  path: string,
  entry: TreeEntry,
  size: number,
) {
  const type =
    entry.mode === "120000" ? "symlink" : { blob: "file", tree: "dir", commit: "submodule" }[typeOfMode(entry.mode)];
  const url = `${repoUrl(origin, repo)}/contents/${encodeURI(path)}?ref=${encodeURIComponent(ref)}`;
  const folder = type === "dir" ? "tree" : "blob";
  const html = `${origin}/${repo.owner}/${repo.name}/${folder}/${encodeURI(ref)}/${encodeURI(path)}`;
  const git = `${repoUrl(origin, repo)}/git/${folder}s/${entry.oid}`;
  const raw = `${origin}/raw/${repo.owner}/${repo.name}/${encodeURI(ref)}/${encodeURI(path)}`;
  return {
    name: path.split("/").at(-1) ?? "",
    path,
    sha: entry.oid,
    size,
    url,
    html_url: html,
    git_url: git,
    download_url: type === "dir" || type === "submodule" ? null : raw,
    type,
    _links: { self: url, git, html },
  };
}
