import type { CredentialOptions } from "../credentials/index.ts";
import { RegistryError } from "../errors.ts";
import type { GithubAppOptions } from "./app.ts";
import { type GithubHost, hostOfApi, isLocal } from "./host.ts";

export type { GithubAppOptions } from "./app.ts";

/** Where a token comes from: an option, a GitHub App, the environment, what `login github` stored, or nowhere. */
export type GithubAuthSource = "option" | "app" | "environment" | "stored" | "none";

export interface GithubAuthOptions {
  /** Base of the REST API. Default `https://api.github.com`. */
  readonly baseUrl?: string;
  readonly token?: string | undefined;
  readonly app?: GithubAppOptions | undefined;
  /** The repository that an App's tokens are for. */
  readonly owner?: string;
  readonly repo?: string;
  /** Client id of the app that a person logged in with, where what is stored does not tell it. */
  readonly clientId?: string | undefined;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly credentials?: CredentialOptions | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly now?: () => number;
}

export interface GithubAuth {
  /** The token for the next call, made or refreshed where that is needed; `undefined` for a call without one. */
  token(): Promise<string | undefined>;
  /** Where `token()` gets it from. */
  source(): Promise<GithubAuthSource>;
  /** GitHub did not take it: the next call looks again. */
  refused(): void;
}

type Env = Readonly<Record<string, string | undefined>>;

const PUBLIC = ["GITHUB_TOKEN", "GH_TOKEN"] as const;
const ENTERPRISE = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"] as const;

/**
 * Variables that may hold a token for a host; the first that is set counts. `GITHUB_TOKEN` and `GH_TOKEN` are for github.com,
 * for a host below ghe.com and for this machine. Another host gets a token of the environment only where the environment names
 * it too, by `GH_HOST` or `GITHUB_API_URL` (which Actions set), first that of an Enterprise: a configuration that names a server
 * does not get any secret sent there. The names are those of `gh` (https://cli.github.com/manual/gh_help_environment).
 */
export function tokenVariables({ service, web }: GithubHost, env: Env = process.env): readonly string[] {
  const isPublic = service === "github.com" || service.endsWith(".ghe.com");
  if (isPublic || isLocal(new URL(web))) return PUBLIC;
  const { GITHUB_API_URL: api = "", GH_HOST: named } = env;
  const isNamed = service === named?.toLowerCase() || (URL.canParse(api) && hostOfApi(api).service === service);
  return isNamed ? [...ENTERPRISE, ...PUBLIC] : [];
}

/** The ways to give one, for messages. */
export function howToAuthenticate(host: GithubHost, env?: Env): string {
  const [variable = `GH_HOST=${host.service} and ${ENTERPRISE[0]}`] = tokenVariables(host, env);
  const flag = host.service === "github.com" ? "" : ` --host ${host.service}`;
  return `set ${variable}, run \`prompt-registry login github${flag}\`, or configure a GitHub App`;
}

/**
 * Who the calls to GitHub are made as. The first of: the option `token`, a GitHub App, the environment
 * ({@link tokenVariables}), what `prompt-registry login github` stored for this host. Nothing is looked up before the first call.
 *
 * @throws RegistryError CONFIG for an App without an id, or for both a key and a file
 * @example
 * const token = await githubAuth({ app: { id: 12345, privateKeyFile: "app.pem" }, owner: "acme", repo: "prompts" }).token();
 */
export function githubAuth(options: GithubAuthOptions = {}): GithubAuth {
  const { baseUrl = "https://api.github.com", token, app, env = process.env, fetch, now } = options;
  const given = token !== undefined && token !== "" ? token : undefined;
  if (given !== undefined) return fixed(given, "option");
  const host = hostOfApi(baseUrl);
  if (app !== undefined) {
    checkApp(app, options);
    const { owner = "", repo = "" } = options;
    return lazy("app", async () => {
      const { AppToken } = await import("./app.ts");
      return new AppToken(app, { api: host.api, owner, repo, fetch, now });
    });
  }
  const named = tokenVariables(host, env)
    .map((name) => env[name])
    .find((one) => one !== undefined && one !== "");
  if (named !== undefined) return fixed(named, "environment");
  return lazy("stored", async () => {
    const { UserToken } = await import("./user-token.ts");
    return new UserToken({ host, clientId: options.clientId, credentials: options.credentials, fetch, now });
  });
}

function checkApp({ id, privateKey, privateKeyFile }: GithubAppOptions, { owner, repo }: GithubAuthOptions): void {
  const bad = (problem: string) =>
    new RegistryError("CONFIG", `github: app ${problem}`, { field: "app", backend: "github" });
  if (id === undefined || String(id) === "") throw bad("needs the id of the GitHub App");
  if ((privateKey === undefined) === (privateKeyFile === undefined)) throw bad("needs privateKey or privateKeyFile");
  if (owner === undefined || repo === undefined) throw bad("needs a repository");
}

function fixed(token: string, source: GithubAuthSource): GithubAuth {
  return { token: async () => token, source: async () => source, refused() {} };
}

interface Tokens {
  token(): Promise<string | undefined>;
  forget(): void;
}

/** What it needs is loaded with the first call. */
function lazy(source: "app" | "stored", load: () => Promise<Tokens>): GithubAuth {
  let loading: Promise<Tokens> | undefined;
  let loaded: Tokens | undefined;
  const token = async () => {
    loading ??= load();
    loaded ??= await loading;
    return await loaded.token();
  };
  return {
    token,
    source: async () => ((await token()) === undefined ? "none" : source),
    refused: () => loaded?.forget(),
  };
}
