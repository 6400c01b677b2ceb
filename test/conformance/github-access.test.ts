import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readCredential, storeCredential } from "../../src/credentials/index.ts";
import { github } from "../../src/drivers/github/index.ts";
import { githubAuth } from "../../src/github/auth.ts";
import { loginByDevice } from "../../src/github/device.ts";
import { hostOf, hostOfApi } from "../../src/github/host.ts";
import { encodeStored } from "../../src/github/stored.ts";
import { githubUser } from "../../src/github/user.ts";
import { createGitHubWebFlow } from "../../src/github/web.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { validateExchange } from "../support/github-openapi/validate.ts";
import { testOptions } from "../support/github-world.ts";

const root = mkdtempSync(join(tmpdir(), "prompt-registry-access-"));
let server: GitHubServer;
let now = Date.now();
let folders = 0;

beforeAll(async () => {
  server = await startGitHub({ validate: validateExchange, now: () => now });
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

const credentials = () => ({ folder: join(root, `c${folders++}`), keyring: false }) as const;
const asked = (route: string) => server.requests.filter((request) => request.route === route).length;
const INSTALLATION = "/app/installations/{installation_id}/access_tokens";

describe("where a token comes from", () => {
  it("knows the hosts of GitHub and of Enterprises", () => {
    expect(hostOf("GitHub.com")).toEqual({
      service: "github.com",
      web: "https://github.com",
      api: "https://api.github.com",
    });
    expect(hostOf("git.example:8443")).toMatchObject({
      service: "git.example:8443",
      api: "https://git.example:8443/api/v3",
    });
    expect(hostOf("acme.ghe.com").api).toBe("https://api.acme.ghe.com");
    for (const api of ["https://api.github.com", "https://git.example/api/v3", "https://api.acme.ghe.com"]) {
      const host = hostOfApi(api);
      expect(hostOf(host.service)).toEqual(host);
    }
    const bad = [
      "http://git.example",
      "git.example/x",
      "https://a:b@git.example",
      "a b",
      "",
      "https://git.example/api/v3",
    ];
    for (const text of bad) expect(() => hostOf(text), text).toThrow(expect.objectContaining({ code: "INVALID" }));
  });

  it("takes the first of option, App, environment and what was stored", async () => {
    const place = credentials();
    const baseUrl = server.url;
    const env = { GITHUB_TOKEN: "from-env", GH_TOKEN: "from-gh" };
    const { privateKey, id } = await server.addApp();
    const app = { id, privateKey };
    const common = { baseUrl, credentials: place, owner: server.owner, repo: server.repo };
    const of = async (options: Parameters<typeof githubAuth>[0]) => {
      const auth = githubAuth({ ...common, env: {}, ...options });
      return [await auth.source(), await auth.token()];
    };
    expect(await of({})).toEqual(["none", undefined]);
    await storeCredential(server.url, "from-store", place);
    expect(await of({})).toEqual(["stored", "from-store"]);
    expect(await of({ env })).toEqual(["environment", "from-env"]);
    expect(await of({ env: { GITHUB_TOKEN: "", GH_TOKEN: "from-gh" } })).toEqual(["environment", "from-gh"]);
    const [source, token] = await of({ env, app });
    expect([source, token]).toEqual(["app", expect.stringMatching(/^ghs_/)]);
    expect(await of({ env, app, token: "given" })).toEqual(["option", "given"]);
  });

  it("lets nobody write without one, and says how to get one, before anything is sent", async () => {
    const open = await server.addRepository({ name: "open", private: false });
    const { token: _, ...rest } = testOptions(server, open);
    const registry = new PromptRegistry(await github(rest));
    await expect(registry.getPrompt("a/b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const before = server.requests.length;
    const problem = await registry.storePrompt({ name: "a/b", text: "x", version: "1.0.0" }).catch((error) => error);
    expect(problem.code).toBe("UNAUTHENTICATED");
    for (const way of ["GITHUB_TOKEN", "login github", "GitHub App"]) expect(problem.message).toContain(way);
    expect(server.requests.slice(before).filter(({ method }) => method !== "GET")).toEqual([]);
    // A private one is not there for nobody.
    const { token: __, ...hidden } = testOptions(server);
    const closed = new PromptRegistry(await github(hidden));
    await expect(closed.getPrompt("a/b")).rejects.toThrow(/without a token.*GITHUB_TOKEN/);
  });
});

describe("a GitHub App", () => {
  it("works as the driver's token, made once for many calls, and again before it ends", async () => {
    const { id, privateKey } = await server.addApp({ permission: "write" });
    const file = join(root, "app.pem");
    writeFileSync(file, privateKey, { mode: 0o600 });
    const { token: _, ...options } = testOptions(server);
    const registry = new PromptRegistry(await github({ ...options, app: { id, privateKeyFile: file } }));
    await Promise.all(
      ["one", "two", "three"].map((name) =>
        registry.storePrompt({ name: `app/${name}`, version: "1.0.0", text: name }),
      ),
    );
    expect(asked(INSTALLATION)).toBe(1);
    expect(asked("/repos/{owner}/{repo}/installation")).toBe(1);
    const body = JSON.parse(String(server.requests.find(({ route }) => route === INSTALLATION)?.body));
    expect(body).toEqual({ repositories: [server.repo] });
  });

  it("is renewed by one call before its hour is over", async () => {
    const { id, installationId, privateKey } = await server.addApp();
    const app = { id, installationId, privateKey: privateKey.replaceAll("\n", "\\n") };
    const auth = githubAuth({ baseUrl: server.url, app, owner: server.owner, repo: server.repo, now: () => now });
    const first = await auth.token();
    now += 54 * 60_000;
    expect(await auth.token()).toBe(first);
    now += 2 * 60_000;
    const later = await Promise.all(Array.from({ length: 8 }, () => auth.token()));
    expect(new Set(later).size).toBe(1);
    expect(later[0]).not.toBe(first);
    expect(asked(INSTALLATION)).toBe(2);
    auth.refused();
    expect(await auth.token()).not.toBe(later[0]);
  });

  it("goes by GitHub's clock where the own one is wrong", async () => {
    const { id, installationId, privateKey } = await server.addApp();
    const app = { id, installationId, privateKey };
    const at = { baseUrl: server.url, app, owner: server.owner, repo: server.repo };
    // The fake's own clock is ahead by an hour by now; what it tells in `date` is the machine's.
    now = Date.now();
    const auth = githubAuth({ ...at, now: () => Date.now() - 3_600_000 });
    expect(await auth.token()).toMatch(/^ghs_/);
    expect(asked(INSTALLATION)).toBe(2);
  });

  it("says what is wrong with its set-up, and never the key", async () => {
    const { id, privateKey } = await server.addApp({ repositories: ["octo-org/other"] });
    const at = { baseUrl: server.url, owner: server.owner, repo: server.repo };
    const problem = (app: object) =>
      githubAuth({ ...at, app: app as never })
        .token()
        .then(
          () => expect.unreachable(),
          (error) => error,
        );
    expect(await problem({ id, privateKey })).toMatchObject({
      code: "CONFIG",
      message: expect.stringMatching(/not installed/),
    });
    expect(await problem({ id: 1, privateKey })).toMatchObject({ code: "UNAUTHENTICATED" });
    const broken = await problem({ id, privateKey: privateKey.slice(0, 400) });
    expect(broken).toMatchObject({ code: "CONFIG", message: expect.stringMatching(/no RSA key/) });
    expect(JSON.stringify(broken) + String(broken.stack)).not.toContain(privateKey.slice(40, 80));
    expect(await problem({ id, privateKeyFile: join(root, "none.pem") })).toMatchObject({ code: "CONFIG" });
    for (const app of [{ id }, { id, privateKey, privateKeyFile: "x" }, { id: "", privateKey }]) {
      expect(() => githubAuth({ ...at, app })).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
  });
});

describe("the device flow", () => {
  beforeEach(() => {
    server.oauth.interval = 5;
    server.oauth.tokenLifetime = undefined;
  });

  /** The person at the browser acts after so many polls; waiting moves the server's clock. */
  async function login(act: (code: string) => void, polls: number, more: object = {}) {
    const waits: number[] = [];
    let shown = "";
    let code = "";
    const grant = await loginByDevice({
      web: server.url,
      clientId: server.oauth.clientId,
      scope: "repo",
      now: () => now,
      onCode: ({ url, userCode }) => {
        shown = url;
        code = userCode;
      },
      sleep: async (ms) => {
        waits.push(ms / 1000);
        now += ms;
        if (waits.length === polls) act(code);
      },
      ...more,
    }).catch((error) => error);
    return { grant, waits, shown };
  }

  it("waits as it is told, and gets a token that works", async () => {
    const { grant, waits, shown } = await login((code) => server.oauth.approve(code), 3);
    expect(shown).toBe(`${server.url}/login/device`);
    expect(waits).toEqual([5, 5, 5]);
    expect(grant).toMatchObject({ token: expect.stringMatching(/^gho_/), scopes: ["repo"] });
    expect(await githubUser(hostOf(server.url), grant.token)).toEqual({ login: "octocat", scopes: ["repo"] });
  });

  it("slows down by five seconds each time it is told to", async () => {
    const seen: number[] = [];
    let userCode = "";
    await loginByDevice({
      web: server.url,
      clientId: server.oauth.clientId,
      now: () => now,
      onCode: (code) => {
        userCode = code.userCode;
      },
      sleep: async (ms) => {
        seen.push(ms / 1000);
        // The first poll counts; the second comes a second too early.
        now += seen.length === 2 ? ms - 1000 : ms;
        if (seen.length === 3) server.oauth.approve(userCode);
      },
    });
    expect(seen).toEqual([5, 5, 10]);
  });

  it("tells apart: denied, run out, aborted, a client id that is none, and a page that is not GitHub's", async () => {
    const denied = await login((code) => server.oauth.deny(code), 2);
    expect(denied.grant).toMatchObject({ code: "FORBIDDEN", outcome: "final" });
    const late = await login((code) => server.oauth.expire(code), 2);
    expect(late.grant).toMatchObject({ code: "TIMEOUT" });
    const never = await login(() => {}, 0);
    expect(never.grant).toMatchObject({ code: "TIMEOUT" });
    expect(never.waits.reduce((sum, s) => sum + s, 0)).toBe(900);
    const controller = new AbortController();
    const aborted = await login(() => controller.abort(), 2, { signal: controller.signal });
    expect(aborted.grant).toMatchObject({ code: "ABORTED" });
    expect(aborted.waits).toHaveLength(2);
    const wrong = await login(() => {}, 0, { clientId: "Iv1.nobody" });
    expect(wrong.grant).toMatchObject({ code: "CONFIG", context: { field: "clientId" } });
    let told = false;
    const evil = await login(() => {}, 0, {
      onCode: () => {
        told = true;
      },
      fetch: async () =>
        Response.json({
          device_code: "d",
          user_code: "ABCD-1234",
          verification_uri: "https://evil.example/login/device",
        }),
    });
    expect(evil.grant).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(told).toBe(false);
  });

  it("asks again when an answer is lost, and slower", async () => {
    let polls = 0;
    const stop = server.fail(({ url }) => url.startsWith("/login/oauth/") && ++polls <= 2, { kind: "drop-before" });
    const { grant, waits } = await login((code) => server.oauth.approve(code), 2);
    stop();
    expect(grant.token).toMatch(/^gho_/);
    expect(waits).toEqual([5, 10, 20]);
  });
});

describe("tokens that end", () => {
  const LIFETIME = 8 * 3_600_000;
  const endpoint = "/login/oauth/access_token";

  async function loggedIn(place: ReturnType<typeof credentials>) {
    now = Date.now();
    server.oauth.interval = 0;
    server.oauth.tokenLifetime = LIFETIME;
    const grant = await loginByDevice({
      web: server.url,
      clientId: server.oauth.clientId,
      sleep: async () => {},
      onCode: ({ userCode }) => server.oauth.approve(userCode),
    });
    expect(grant).toMatchObject({ expiresAt: expect.any(Number), refreshToken: expect.stringMatching(/^ghr_/) });
    await storeCredential(server.url, encodeStored(grant, server.oauth.clientId), place);
    server.reset();
    return grant;
  }

  it("are refreshed before they end, and stored before they are used", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    let skew = 0;
    const auth = githubAuth({ baseUrl: server.url, env: {}, credentials: place, now: () => Date.now() + skew });
    expect(await auth.token()).toBe(grant.token);
    skew = LIFETIME - 4 * 60_000;
    const tokens = await Promise.all(Array.from({ length: 5 }, () => auth.token()));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(grant.token);
    expect(asked(endpoint)).toBe(1);
    const stored = JSON.parse((await readCredential(server.url, place)) ?? "");
    expect(stored).toMatchObject({ token: tokens[0], clientId: server.oauth.clientId });
    expect(stored.refreshToken).not.toBe(grant.refreshToken);
  });

  it("stay in use while GitHub can't be asked, and are UNAUTHENTICATED once they ended for good", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    let skew = LIFETIME - 60_000;
    const auth = () => githubAuth({ baseUrl: server.url, env: {}, credentials: place, now: () => Date.now() + skew });
    const stop = server.fail(({ url }) => url.startsWith(endpoint), { kind: "reply", status: 503 });
    expect(await auth().token()).toBe(grant.token);
    skew = LIFETIME + 60_000;
    await expect(auth().token()).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    stop();
    // Somebody used the refresh token and was killed before it stored the new pair.
    await fetch(`${server.url}${endpoint}`, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({
        client_id: server.oauth.clientId,
        grant_type: "refresh_token",
        refresh_token: grant.refreshToken ?? "",
      }),
    });
    const ended = await auth()
      .token()
      .catch((error) => error);
    expect(ended).toMatchObject({ code: "UNAUTHENTICATED", message: expect.stringMatching(/login github/) });
    expect(ended.message).not.toContain(grant.token);
  });

  it("are refreshed once by eight processes that find them ended at the same time", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    await storeCredential(server.url, encodeStored({ ...grant, expiresAt: Date.now() }, server.oauth.clientId), place);
    const outfile = join(root, "refresh.cjs");
    const entry = fileURLToPath(new URL("../support/github-refresh-worker.ts", import.meta.url));
    const packages = { packages: "external", platform: "node", format: "cjs", target: "node20" } as const;
    await build({ entryPoints: [entry], outfile, bundle: true, ...packages, logLevel: "error" });
    const children = Array.from({ length: 8 }, () => fork(outfile, { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    try {
      const next = async (child: ChildProcess) => (await once(child, "message"))[0];
      await Promise.all(children.map(next));
      const answers = Promise.all(children.map(next));
      for (const child of children) child.send({ baseUrl: server.url, folder: place.folder });
      const found = (await answers) as { token?: string; error?: string }[];
      expect(found.map(({ error }) => error)).toEqual(Array(8).fill(undefined));
      expect(new Set(found.map(({ token }) => token)).size).toBe(1);
      expect(found[0]?.token).not.toBe(grant.token);
      expect((await githubUser(hostOf(server.url), found[0]?.token ?? "")).login).toBe("octocat");
      expect(asked(endpoint)).toBe(1);
    } finally {
      for (const child of children) child.kill();
    }
    // Nothing is left but the one file, which is its owner's alone.
    const left = readdirSync(place.folder);
    expect(left).toHaveLength(1);
    expect(statSync(join(place.folder, left[0] as string)).mode & 0o777).toBe(0o600);
  });

  it("are found in the store by who lost the race, and a lock that a dead process left is taken over", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    await storeCredential(server.url, encodeStored({ ...grant, expiresAt: Date.now() }, server.oauth.clientId), place);
    const lock = join(place.folder, `${encodeURIComponent(server.url)}.lock`);
    writeFileSync(lock, "1 another-host x\n");
    utimesSync(lock, new Date(0), new Date(0));
    // Without any lock: the winner stores while the loser is refused.
    const winner = encodeStored({ ...grant, token: "ghu_winner", refreshToken: "ghr_next" }, server.oauth.clientId);
    const refused = {
      status: 200,
      headers: { "content-type": "application/json" },
      body: '{"error":"bad_refresh_token"}',
    };
    server.fail(({ url }) => url.startsWith(endpoint), { kind: "reply", ...refused });
    const asking = githubAuth({ baseUrl: server.url, env: {}, credentials: place }).token();
    await vi.waitFor(() => expect(asked(endpoint)).toBe(1), { timeout: 20_000 });
    await storeCredential(server.url, winner, place);
    expect(await asking).toBe("ghu_winner");
    expect(readdirSync(place.folder).filter((file) => file.includes("lock"))).toEqual([]);
  });
});

describe("the web flow", () => {
  const redirectUri = "http://127.0.0.1:1/login/done";
  const session = "a-session-of-one-browser";
  const flow = (more: object = {}) => {
    const { clientId, clientSecret } = server.oauth;
    return createGitHubWebFlow({ clientId, clientSecret, redirectUri, host: server.url, now: () => now, ...more });
  };
  /** What the browser does. */
  const visit = async (url: string) =>
    (await fetch(url, { redirect: "manual" })).headers.get("location") ?? expect.unreachable();

  beforeEach(() => {
    server.oauth.consent = "approve";
    server.oauth.tokenLifetime = undefined;
  });

  it("gives a token, with PKCE and a state", async () => {
    const login = flow({ scopes: ["repo"] });
    const { url, state } = await login.start(session);
    const query = Object.fromEntries(new URL(url).searchParams);
    expect(query).toMatchObject({ state, code_challenge_method: "S256", redirect_uri: redirectUri, scope: "repo" });
    expect(url).not.toContain(server.oauth.clientSecret);
    const grant = await login.finish(session, await visit(url));
    expect((await githubUser(hostOf(server.url), grant.token)).login).toBe("octocat");
  });

  it("refuses what is not the answer to a login of this session, and everything a second time", async () => {
    const login = flow();
    const refused = (promise: Promise<unknown>) => expect(promise).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    const first = await visit((await login.start(session)).url);
    // Another session: the login of an attacker, say. The state is used up by it.
    await refused(login.finish("a-session-of-another-one", first));
    await refused(login.finish(session, first));
    const second = await visit((await login.start(session)).url);
    await login.finish(session, second);
    await refused(login.finish(session, second));
    const third = new URL(await visit((await login.start(session)).url));
    for (const change of [
      (url: URL) => url.searchParams.set("state", "x"),
      (url: URL) => url.searchParams.delete("state"),
      (url: URL) => url.searchParams.append("code", "y"),
      (url: URL) => {
        url.pathname = "/login/done/";
      },
      (url: URL) => {
        url.host = "127.0.0.1:2";
      },
    ]) {
      const url = new URL(third);
      change(url);
      await refused(login.finish(session, url.href));
    }
    await login.finish(session, third.href);
    // A code of another login, under a state of one's own: the verifier does not fit.
    const [mine, theirs] = [
      await visit((await login.start(session)).url),
      await visit((await login.start(session)).url),
    ];
    const mixed = new URL(mine);
    mixed.searchParams.set("code", new URL(theirs).searchParams.get("code") ?? "");
    await refused(login.finish(session, mixed.href));
    const late = await visit((await login.start(session)).url);
    now += 600_001;
    await refused(login.finish(session, late));
  });

  it("tells a person who says no from a set-up that is wrong", async () => {
    server.oauth.consent = "deny";
    const login = flow();
    const back = await visit((await login.start(session)).url);
    await expect(login.finish(session, back)).rejects.toMatchObject({ code: "FORBIDDEN" });
    server.oauth.consent = "approve";
    const wrong = flow({ clientSecret: "wrong" });
    const problem = await wrong.finish(session, await visit((await wrong.start(session)).url)).catch((error) => error);
    expect(problem.code).toBe("CONFIG");
    for (const redirect of ["http://prompts.example/x", "https://prompts.example/x?y", "x"]) {
      expect(() => flow({ redirectUri: redirect })).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
    await expect(flow().start("short")).rejects.toMatchObject({ code: "INVALID" });
  });
});
