import { randomBytes } from "node:crypto";
import { ObjectDatabase } from "./database.ts";
import { wholeSeconds } from "./objects.ts";
import { GitStore } from "./store.ts";
import type { GitHubOptions, GitHubRepositoryOptions, GitHubRule, GitHubTokenOptions, Permission } from "./types.ts";

export interface Token {
  readonly value: string;
  readonly kind: "user" | "installation" | "app";
  readonly login: string;
  readonly permission: Permission;
  readonly scopes: readonly string[];
  readonly expiresAt: number;
  readonly repositories: readonly string[] | undefined;
}

export interface PullRequest {
  readonly number: number;
  title: string;
  body: string | null;
  state: "open" | "closed";
  /** Branches of the same repository. */
  readonly head: string;
  base: string;
  readonly author: string;
  readonly draft: boolean;
  readonly createdAt: string;
  updatedAt: string;
  merged: { readonly sha: string; readonly at: string; readonly by: string } | undefined;
  /** As they were when it was closed. */
  closed: { readonly head: string; readonly base: string; readonly at: string } | undefined;
  labels: string[];
}

export interface Ruleset {
  readonly id: number;
  readonly name: string;
  readonly enforcement: "active" | "disabled" | "evaluate";
  readonly include: readonly string[];
  readonly rules: readonly { readonly type: string; readonly parameters?: unknown }[];
}

export interface Repository {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  readonly private: boolean;
  readonly defaultBranch: string;
  readonly description: string | null;
  readonly createdAt: string;
  readonly store: GitStore;
  readonly pulls: PullRequest[];
  readonly rulesets: Ruleset[];
  readonly people: Map<string, Permission>;
}

/** All that a server knows. */
export class World {
  readonly options: GitHubOptions;
  readonly now: () => number;
  readonly repositories = new Map<string, Repository>();
  readonly tokens = new Map<string, Token>();
  readonly organizations = new Set<string>();
  readonly database = new ObjectDatabase();
  readonly #users: string[] = [];
  readonly #claimed = new Set<string>();
  #stores = 0;
  #ids = 1000;

  constructor(options: GitHubOptions) {
    this.options = options;
    this.now = options.now ?? Date.now;
  }

  id(): number {
    return this.#ids++;
  }

  /** GitHub tells times in whole seconds. */
  time(): string {
    return wholeSeconds(this.now());
  }

  userId(login: string): number {
    if (!this.#users.includes(login)) this.#users.push(login);
    return this.#users.indexOf(login) + 1;
  }

  find(owner: string, name: string): Repository | undefined {
    return this.repositories.get(`${owner}/${name}`.toLowerCase());
  }

  addToken(options: GitHubTokenOptions & { kind?: Token["kind"] }, login: string, value?: string): string {
    const kind = options.kind ?? "user";
    const prefix = kind === "installation" ? "ghs_" : "ghp_";
    const token = value ?? prefix + randomBytes(18).toString("hex");
    this.tokens.set(token, {
      value: token,
      kind,
      login: options.login ?? login,
      permission: options.permission ?? "admin",
      scopes: options.scopes ?? [],
      expiresAt: options.expiresAt ?? Number.POSITIVE_INFINITY,
      repositories: options.repositories?.map((name) => name.toLowerCase()),
    });
    return token;
  }

  /** Whether it is the first time that somebody wants to make it: of several at once one does. */
  claim(owner: string, name: string): boolean {
    const key = `${owner}/${name}`.toLowerCase();
    const isFirst = !this.#claimed.has(key);
    this.#claimed.add(key);
    return isFirst;
  }

  async addRepository(options: GitHubRepositoryOptions & { owner: string; description?: string }): Promise<Repository> {
    const defaultBranch = options.defaultBranch ?? "main";
    const store = new GitStore(this.database, { number: ++this.#stores, defaultBranch, now: this.now });
    const repository: Repository = {
      id: this.id(),
      owner: options.owner,
      name: options.name,
      private: options.private ?? true,
      defaultBranch,
      description: options.description ?? null,
      createdAt: this.time(),
      store,
      pulls: [],
      rulesets: [],
      people: new Map(),
    };
    if (options.init ?? true) {
      const oid = await store.writeBlob(Buffer.from(`# ${options.name}\n`));
      const tree = await store.writeTree([{ mode: "100644", name: "README.md", oid }]);
      const author = { name: options.owner, email: `${options.owner}@users.noreply.github.com`, date: this.time() };
      const commit = { tree, parents: [], author, committer: author, message: "Initial commit" };
      await store.updateRef(`refs/heads/${defaultBranch}`, await store.writeCommit(commit), null);
    }
    this.repositories.set(`${options.owner}/${options.name}`.toLowerCase(), repository);
    return repository;
  }

  /** What a token may do with a repository; `undefined`: it does not even see it. */
  permission(token: Token | undefined, repository: Repository): Permission | undefined {
    const full = `${repository.owner}/${repository.name}`.toLowerCase();
    const open = repository.private ? undefined : "read";
    if (token === undefined || token.kind === "app") return open;
    if (token.repositories !== undefined && !token.repositories.includes(full)) return open;
    const own = token.kind === "installation" || token.login === repository.owner ? "admin" : undefined;
    const member = this.organizations.has(repository.owner) && token.login === "octocat" ? "admin" : undefined;
    const user = repository.people.get(token.login) ?? own ?? member;
    if (user === undefined) return open;
    return RANK[user] < RANK[token.permission] ? user : token.permission;
  }

  async close(): Promise<void> {
    await Promise.all([...this.repositories.values()].map(({ store }) => store.close()));
    await this.database.close();
  }

  addRule(repository: Repository, rule: GitHubRule): void {
    repository.rulesets.push({
      id: this.id(),
      name: rule.type,
      enforcement: "active",
      include: rule.refs ?? ["~DEFAULT_BRANCH"],
      rules: [{ type: rule.type }],
    });
  }
}

export const RANK: Readonly<Record<Permission, number>> = { read: 1, write: 2, admin: 3 };

export function rulesOf(repository: Repository, ref: string) {
  const holds = (pattern: string) =>
    pattern === "~ALL" ||
    pattern === ref ||
    (pattern === "~DEFAULT_BRANCH" && ref === `refs/heads/${repository.defaultBranch}`) ||
    (pattern.endsWith("*") && ref.startsWith(pattern.replace(/\*+$/, "")));
  return repository.rulesets
    .filter(({ enforcement, include }) => enforcement === "active" && include.some(holds))
    .flatMap((ruleset) => ruleset.rules.map((rule) => ({ ...rule, ruleset })));
}
