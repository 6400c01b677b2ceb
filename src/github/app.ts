import { createPrivateKey, createSign, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { RegistryError, show } from "../errors.ts";
import { type Answer, type Ask, ask, saying } from "./request.ts";

/** A GitHub App, as which the driver works. */
export interface GithubAppOptions {
  /** App id, or the client id. */
  readonly id: number | string;
  /** PEM, as GitHub made it (PKCS#1) or PKCS#8. Line breaks may be written as `\n`. */
  readonly privateKey?: string;
  /** A file with it, in place of it. */
  readonly privateKeyFile?: string;
  /** Default: the one of the repository's owner, asked once. */
  readonly installationId?: number | string;
}

interface Place {
  readonly api: string;
  readonly owner: string;
  readonly repo: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly now?: (() => number) | undefined;
}

/** Installation tokens live an hour; a new one is made when less than this is left. */
const MARGIN_MS = 5 * 60_000;

/** Installation tokens of one App for one repository. Several may be valid at once, so processes need not agree. */
export class AppToken {
  readonly #app: GithubAppOptions;
  readonly #place: Place;
  #key: KeyObject | undefined;
  #installation: string | undefined;
  #known: { readonly token: string; readonly expiresAt: number } | undefined;
  #running: Promise<string> | undefined;
  /** What has to be added to this clock to get GitHub's. */
  #skew = 0;

  constructor(app: GithubAppOptions, place: Place) {
    this.#app = app;
    this.#place = place;
    this.#installation = app.installationId === undefined ? undefined : String(app.installationId);
  }

  /** @throws RegistryError CONFIG for a key or an installation that is not there, UNAUTHENTICATED for one GitHub refuses */
  async token(): Promise<string> {
    if (this.#known !== undefined && this.#known.expiresAt - MARGIN_MS > this.#now()) return this.#known.token;
    this.#running ??= this.#create().finally(() => {
      this.#running = undefined;
    });
    return await this.#running;
  }

  forget(): void {
    this.#known = undefined;
  }

  #now(): number {
    return (this.#place.now ?? Date.now)();
  }

  async #create(): Promise<string> {
    const { api, owner, repo } = this.#place;
    this.#installation ??= await this.#find();
    const operation = "asking for an installation token";
    const path = `${api}/app/installations/${encodeURIComponent(this.#installation)}/access_tokens`;
    // Good for this one repository, whatever else the App may see.
    const answer = await this.#ask(path, { operation, method: "POST", json: { repositories: [repo] } });
    const { token, expires_at: end } = answer.body;
    if (answer.status >= 400) throw refused(answer, `the GitHub App has no access to ${owner}/${repo}`);
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
      throw new RegistryError("UNAVAILABLE", `${api}: ${operation} got an answer that is none of GitHub's`, {
        backend: "github",
        operation,
      });
    }
    const until = Date.parse(String(end)) - this.#skew;
    this.#known = { token, expiresAt: Number.isFinite(until) ? until : this.#now() + 50 * 60_000 };
    return token;
  }

  async #find(): Promise<string> {
    const { api, owner, repo } = this.#place;
    const answer = await this.#ask(`${api}/repos/${owner}/${repo}/installation`, {
      operation: "looking for the installation of the App",
    });
    const { id } = answer.body;
    if (answer.status < 300 && typeof id === "number") return String(id);
    throw refused(answer, `the GitHub App is not installed on ${owner}/${repo}`);
  }

  async #ask(url: string, options: Ask): Promise<Answer> {
    const answer = await this.#asApp(url, options);
    const theirs = Date.parse(answer.headers.get("date") ?? "");
    const skew = theirs - this.#now();
    if (answer.status !== 401 || !(Math.abs(skew - this.#skew) > 30_000)) return answer;
    // Refused for the time in it: once more, by their clock.
    this.#skew = skew;
    return await this.#asApp(url, options);
  }

  async #asApp(url: string, options: Ask): Promise<Answer> {
    this.#key ??= await keyOf(this.#app);
    const authorization = `Bearer ${signed(this.#app.id, this.#key, this.#now() + this.#skew)}`;
    const headers = { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28", authorization };
    return await ask(url, { ...options, headers, fetch: this.#place.fetch });
  }
}

/**
 * https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app:
 * at most 10 minutes, and from a minute ago, as clocks differ.
 */
function signed(id: number | string, key: KeyObject, now: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const seconds = Math.floor(now / 1000);
  const text = `${part({ alg: "RS256", typ: "JWT" })}.${part({ iat: seconds - 60, exp: seconds + 540, iss: String(id) })}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key).toString("base64url")}`;
}

async function keyOf({ privateKey, privateKeyFile }: GithubAppOptions): Promise<KeyObject> {
  const bad = (problem: string) =>
    new RegistryError("CONFIG", `github: the private key of the App ${problem}`, { field: "app", backend: "github" });
  let pem = privateKey;
  if (pem === undefined) {
    if (privateKeyFile === undefined) throw bad("is missing; set privateKeyFile");
    pem = await readFile(privateKeyFile, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw bad(`can't be read from ${show(privateKeyFile)} (${error.code})`);
    });
  }
  try {
    const key = createPrivateKey(pem.includes("\n") ? pem : pem.replaceAll("\\n", "\n"));
    if (key.asymmetricKeyType === "rsa") return key;
  } catch {
    // What it says could repeat the key.
  }
  throw bad("is no RSA key in PEM");
}

function refused(answer: Answer, missing: string): RegistryError {
  const code = answer.status === 404 ? "CONFIG" : answer.status === 401 ? "UNAUTHENTICATED" : "FORBIDDEN";
  const problem = answer.status === 401 ? "GitHub does not take the key of the App" : missing;
  return new RegistryError(code, `${problem}${saying(answer)}; see docs/github-access.md`, {
    backend: "github",
    field: "app",
  });
}
