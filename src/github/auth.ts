import type { CredentialOptions } from "../credentials/index.ts";
import { RegistryError } from "../errors.ts";
import type { GithubAppOptions } from "./app.ts";
import { hostOfApi } from "./host.ts";

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

/** The ways to give one, for messages. */
export const HOW_TO_AUTHENTICATE = "set GITHUB_TOKEN, run `prompt-registry login github`, or configure a GitHub App";

/**
 * Who the calls to GitHub are made as. The first of: the option `token`, a GitHub App, `GITHUB_TOKEN` or `GH_TOKEN`, what
 * `prompt-registry login github` stored for this host. Nothing is looked up before the first call.
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
  const named = [env.GITHUB_TOKEN, env.GH_TOKEN].find((one) => one !== undefined && one !== "");
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
