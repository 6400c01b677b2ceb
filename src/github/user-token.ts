import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { folderOf } from "../credentials/files.ts";
import { type CredentialOptions, readCredential, storeCredential } from "../credentials/index.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import { askGrant, isRefusal } from "./grant.ts";
import type { GithubHost } from "./host.ts";
import { withLock } from "./lock.ts";
import { decodeStored, encodeStored, type StoredGithubToken } from "./stored.ts";

/** A token that ends sooner than this is refreshed. */
export const MARGIN_MS = 5 * 60_000;
/** How long a process that lost a race waits for the winner to store the new pair. */
const LOST_MS = 2000;
/** How long nothing is looked for again where nothing was stored. */
const ABSENT_MS = 30_000;

export interface UserTokenOptions {
  readonly host: GithubHost;
  /** Where the stored pair does not tell it. */
  readonly clientId?: string | undefined;
  readonly credentials?: CredentialOptions | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly now?: (() => number) | undefined;
}

/** The token that `login github` stored, refreshed when it is about to end. */
export class UserToken {
  readonly #options: UserTokenOptions;
  #known: StoredGithubToken | undefined;
  #absentUntil = 0;
  #running: Promise<StoredGithubToken | undefined> | undefined;

  constructor(options: UserTokenOptions) {
    this.#options = options;
  }

  /** @throws RegistryError UNAUTHENTICATED where it has ended and can't be refreshed */
  async token(): Promise<string | undefined> {
    if (this.#known === undefined && performance.now() < this.#absentUntil) return undefined;
    if (this.#known !== undefined && !this.#endsSoon(this.#known)) return this.#known.token;
    this.#running ??= this.#find().finally(() => {
      this.#running = undefined;
    });
    this.#known = await this.#running;
    if (this.#known === undefined) this.#absentUntil = performance.now() + ABSENT_MS;
    return this.#known?.token;
  }

  /** The server did not take it: what is stored is looked at again. */
  forget(): void {
    this.#known = undefined;
    this.#absentUntil = 0;
  }

  async #read(): Promise<StoredGithubToken | undefined> {
    const { host, credentials } = this.#options;
    const secret = await readCredential(host.service, credentials);
    return secret === undefined ? undefined : decodeStored(secret);
  }

  #endsSoon({ expiresAt }: StoredGithubToken, margin = MARGIN_MS): boolean {
    return expiresAt !== undefined && expiresAt - margin <= (this.#options.now ?? Date.now)();
  }

  async #find(): Promise<StoredGithubToken | undefined> {
    const stored = await this.#read();
    if (stored === undefined || !this.#endsSoon(stored)) return stored;
    try {
      return await this.#refresh();
    } catch (error) {
      // It is still good for some minutes.
      if (isRegistryError(error) && error.outcome === "temporary" && !this.#endsSoon(stored, 0)) return stored;
      throw error;
    }
  }

  /** A refresh token is good for one use, so one process uses it, and the others read what that stored. */
  async #refresh(): Promise<StoredGithubToken | undefined> {
    const { host, credentials = {} } = this.#options;
    const lock = join(folderOf(credentials), `${encodeURIComponent(host.service)}.lock`);
    return await withLock(lock, async () => {
      const stored = await this.#read();
      if (stored === undefined || !this.#endsSoon(stored)) return stored;
      const { refreshToken, clientId = this.#options.clientId } = stored;
      if (refreshToken === undefined || clientId === undefined) throw this.#ended();
      const { fetch, now } = this.#options;
      const form = { client_id: clientId, grant_type: "refresh_token", refresh_token: refreshToken };
      const url = `${host.web}/login/oauth/access_token`;
      const found = await askGrant(url, form, { fetch, now, operation: "refreshing the token" });
      if (isRefusal(found)) return await this.#afterLostRace(refreshToken);
      // Stored before anybody uses it: were this process killed now, the pair would be lost.
      const secret = encodeStored(found, clientId);
      await storeCredential(host.service, secret, credentials);
      return decodeStored(secret);
    });
  }

  /** Somebody else used the refresh token: theirs is, or in a moment will be, what is stored. */
  async #afterLostRace(used: string): Promise<StoredGithubToken | undefined> {
    for (const end = performance.now() + LOST_MS; performance.now() < end; ) {
      const stored = await this.#read();
      if (stored === undefined) return undefined;
      if (stored.refreshToken !== used && !this.#endsSoon(stored, 0)) return stored;
      await sleep(100);
    }
    throw this.#ended();
  }

  #ended(): RegistryError {
    const { service } = this.#options.host;
    const flag = service === "github.com" ? "" : ` --host ${service}`;
    return new RegistryError(
      "UNAUTHENTICATED",
      `the login at ${service} has ended and can't be refreshed; run prompt-registry login github${flag}`,
      { backend: "github", operation: "refreshing the token" },
    );
  }
}
