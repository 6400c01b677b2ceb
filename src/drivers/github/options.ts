import { RegistryError, show } from "../../errors.ts";
import type { GithubAppOptions } from "../../github/auth.ts";
import { isLabel } from "../../names.ts";

/** How commits are written; see docs/github.md for what each costs. */
export type GithubWrites = "git" | "graphql";

export interface GithubOptions {
  readonly owner: string;
  readonly repo: string;
  /** Folder in the repository below which `dir` lies. Default: its root. */
  readonly path?: string | undefined;
  /** Folder of the prompts below `path`. Default `prompts`, as in a folder registry. */
  readonly dir?: string | undefined;
  /** Default: the repository's default branch, asked once. */
  readonly branch?: string | undefined;
  /**
   * Default: `app`, else `GITHUB_TOKEN` or `GH_TOKEN` (docs/github-access.md for other hosts), else what `prompt-registry login github` stored; without any, only
   * public repositories can be read.
   */
  readonly token?: string | undefined;
  /** A GitHub App to work as: installation tokens for this repository, made and renewed when they are needed. */
  readonly app?: GithubAppOptions | undefined;
  /** Client id of the app that a person logged in with; only for tokens that were stored without it. */
  readonly clientId?: string | undefined;
  /** For GitHub Enterprise: `https://github.example/api/v3`. Default `https://api.github.com`. */
  readonly baseUrl?: string | undefined;
  /** Octokit's own `authStrategy`, in place of all that; `auth` are its options. */
  readonly authStrategy?: unknown | undefined;
  readonly auth?: unknown | undefined;
  /** Whether GraphQL is used: `auto` until the server says that it has none. Default `auto`. */
  readonly graphql?: "auto" | "on" | "off" | undefined;
  /**
   * `git`: tree, commit and reference by three calls, with author, date and real links. `graphql`: one call, signed by
   * GitHub, of which the author is whoever the token belongs to. Default `git`.
   */
  readonly writes?: GithubWrites | undefined;
  /** What `latest.md` and the labels are shown as. Default `symlink` with `git` writes, else `text`. */
  readonly links?: "symlink" | "text" | "none" | undefined;
  /** Makes what is missing: an empty repository's first commit, the branch, and (when you may) the repository. Default false. */
  readonly create?: boolean | undefined;
  /** Named as committer of `git` writes. Default: whoever the token belongs to. */
  readonly committer?: { readonly name: string; readonly email: string } | undefined;
  /** Milliseconds between two commits to one branch from this process. Default 1,000, as GitHub asks for. */
  readonly spacing?: number | undefined;
  /** Of texts that are kept in memory. Default 64 MiB. */
  readonly cacheBytes?: number | undefined;
  /** A folder in which texts are kept between runs, by their Git object id. */
  readonly disk?: string | undefined;
  /**
   * Milliseconds for which a version that was read is given again without asking whether it was removed meanwhile.
   * Default 60,000.
   */
  readonly documentMaxAge?: number | undefined;
  /** Milliseconds for which an older state of the branch is taken for a lagging replica. Default 60,000. */
  readonly maxLag?: number | undefined;
  /** Milliseconds for one call. Default 30,000. */
  readonly timeout?: number | undefined;
  /** Labels that move by pull request only: to set or remove one directly is FORBIDDEN. Default: none. */
  readonly protectedLabels?: readonly string[] | undefined;
  /** In place of `globalThis.fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface GithubSettings {
  readonly owner: string;
  readonly repo: string;
  /** Where prompts lie: `""` or a path that ends with `/`. */
  readonly root: string;
  readonly branch: string | undefined;
  readonly token: string | undefined;
  readonly app: GithubAppOptions | undefined;
  readonly clientId: string | undefined;
  readonly protectedLabels: ReadonlySet<string>;
  readonly baseUrl: string;
  readonly authStrategy: unknown;
  readonly auth: unknown;
  readonly graphql: "auto" | "on" | "off";
  readonly writes: GithubWrites;
  readonly links: "symlink" | "text" | "none";
  readonly create: boolean;
  readonly committer: { readonly name: string; readonly email: string } | undefined;
  readonly spacing: number;
  readonly cacheBytes: number;
  readonly disk: string | undefined;
  readonly documentMaxAge: number;
  readonly maxLag: number;
  readonly timeout: number;
  readonly fetch: typeof globalThis.fetch | undefined;
  readonly location: string;
}

// https://docs.github.com/rest: owners are letters, digits and hyphens (and one underscore for managed users).
const OWNER = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?$/;
const REPO = /^[A-Za-z0-9._-]{1,100}$/;

/**
 * @throws RegistryError CONFIG for the first option that can't be
 */
export function resolveOptions(options: GithubOptions): GithubSettings {
  const bad = (field: string, problem: string) =>
    new RegistryError("CONFIG", `github: ${field} ${problem}`, { field, backend: "github" });
  const { owner, repo, branch, links, writes = "git", graphql = "auto" } = options;
  if (typeof owner !== "string" || !OWNER.test(owner)) {
    throw bad("owner", `${show(withoutToken(owner))} is no user or organisation${tokenHint(owner)}`);
  }
  if (typeof repo !== "string" || !REPO.test(repo) || repo === "." || repo === "..") {
    throw bad("repo", `${show(withoutToken(repo))} is no name of a repository${tokenHint(repo)}`);
  }
  if (branch !== undefined && !isBranch(branch)) throw bad("branch", `${show(branch)} is no name of a branch`);
  const path = folder("path", options.path ?? "", bad);
  const dir = folder("dir", options.dir ?? "prompts", bad);
  if (writes !== "git" && writes !== "graphql") throw bad("writes", `${show(writes)} is neither git nor graphql`);
  if (graphql !== "auto" && graphql !== "on" && graphql !== "off") throw bad("graphql", "is auto, on or off");
  if (writes === "graphql" && graphql === "off") throw bad("writes", "can't be graphql while graphql is off");
  if (writes === "graphql" && links === "symlink") {
    throw bad("links", "can't be symlink with writes: graphql, which writes plain files only; use writes: git");
  }
  const baseUrl = checkUrl(options.baseUrl ?? "https://api.github.com", bad);
  const { token, app, clientId } = options;
  if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) throw bad("token", "has characters that no token has");
  const where = `github:${owner}/${repo}${path === "" ? "" : `/${path.slice(0, -1)}`}`;
  return {
    owner,
    repo,
    root: path + dir,
    branch,
    token: token === "" ? undefined : token,
    app,
    clientId,
    protectedLabels: labelSet(options.protectedLabels ?? [], bad),
    baseUrl,
    authStrategy: options.authStrategy,
    auth: options.auth,
    graphql,
    writes,
    links: links ?? (writes === "git" ? "symlink" : "text"),
    create: options.create ?? false,
    committer: options.committer,
    spacing: milliseconds("spacing", options.spacing ?? 1000, bad),
    cacheBytes: milliseconds("cacheBytes", options.cacheBytes ?? 64 * 2 ** 20, bad),
    disk: options.disk,
    documentMaxAge: milliseconds("documentMaxAge", options.documentMaxAge ?? 60_000, bad),
    maxLag: milliseconds("maxLag", options.maxLag ?? 60_000, bad),
    timeout: Math.max(1, milliseconds("timeout", options.timeout ?? 30_000, bad)),
    fetch: options.fetch,
    location: branch === undefined ? where : `${where}#${branch}`,
  };
}

/** `TOKEN@owner`, as in the URL of a clone: what stands before an @ is not repeated. */
function withoutToken(value: unknown): unknown {
  return typeof value === "string" ? value.replace(/^.*@/s, "…@") : value;
}

function tokenHint(value: unknown): string {
  return typeof value === "string" && value.includes("@") ? "; a token does not belong here, set GITHUB_TOKEN" : "";
}

function labelSet(labels: readonly string[], bad: Bad): ReadonlySet<string> {
  for (const label of labels) {
    if (!isLabel(label)) throw bad("protectedLabels", `${show(label)} is no label`);
  }
  return new Set(labels);
}

type Bad = (field: string, problem: string) => RegistryError;

function folder(field: string, value: string, bad: Bad): string {
  const parts = value.split("/").filter((part) => part !== "" && part !== ".");
  const isOdd = (part: string) => part === ".." || part === ".git" || /[\0\\]/.test(part);
  if (parts.some(isOdd)) throw bad(field, `${show(value)} is no folder of a repository`);
  return parts.length === 0 ? "" : `${parts.join("/")}/`;
}

/** What `git check-ref-format` allows (https://git-scm.com/docs/git-check-ref-format). */
export function isBranch(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= 240 &&
    !/[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|^[/-]|\/$|\.$|\.lock(?:\/|$)|(?:^|\/)\./.test(name) &&
    name !== "@"
  );
}

function checkUrl(value: string, bad: Bad): string {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw bad("baseUrl", "is no URL");
  }
  const isLocal = url.hostname === "127.0.0.1" || url.hostname === "localhost" || url.hostname === "[::1]";
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) throw bad("baseUrl", "must be https");
  if (url.username !== "" || url.password !== "") throw bad("baseUrl", "must hold no credentials");
  return value.replace(/\/+$/, "");
}

function milliseconds(field: string, value: number, bad: Bad): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw bad(field, `${show(value)} is no number from 0 up`);
}
