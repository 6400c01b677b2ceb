import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, vi } from "vitest";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { validateExchange } from "./github-openapi/validate.ts";

/** The route of an App's tokens. */
export const INSTALLATION = "/app/installations/{installation_id}/access_tokens";

export interface AccessWorld {
  readonly server: GitHubServer;
  /** A folder that is gone afterwards. */
  readonly root: string;
  /** The server's clock, in milliseconds since the epoch. */
  now: number;
  /** A place for tokens that nothing is in yet. */
  credentials(): { readonly folder: string; readonly keyring: false };
  /** How often a route was asked since the test began. */
  asked(route: string): number;
}

/** A server of which every exchange is checked, for the tests of one file; nothing of the developer's own is found. */
export function accessWorld(): AccessWorld {
  const root = mkdtempSync(join(tmpdir(), "prompt-registry-access-"));
  let server: GitHubServer;
  let folders = 0;
  const world: AccessWorld = {
    get server() {
      return server;
    },
    root,
    now: Date.now(),
    credentials: () => ({ folder: join(root, `c${folders++}`), keyring: false }),
    asked: (route) => server.requests.filter((request) => request.route === route).length,
  };
  beforeAll(async () => {
    server = await startGitHub({ validate: validateExchange, now: () => world.now });
  });
  beforeEach(() => {
    server.reset();
    for (const name of ["GITHUB_TOKEN", "GH_TOKEN"]) vi.stubEnv(name, "");
    // What a driver that was given no token finds must not be the developer's.
    for (const name of ["HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"]) vi.stubEnv(name, join(root, "home"));
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    rmSync(root, { recursive: true, force: true });
    await server.close();
  });
  return world;
}
