import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { storeCredential } from "../../src/credentials/index.ts";
import { github } from "../../src/drivers/github/index.ts";
import { githubAuth, howToAuthenticate } from "../../src/github/auth.ts";
import { hostOf, hostOfApi } from "../../src/github/host.ts";
import { githubUser } from "../../src/github/user.ts";
import { createGitHubWebFlow } from "../../src/github/web.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { accessWorld, INSTALLATION } from "../support/github-access.ts";
import { testOptions } from "../support/github-world.ts";

const world = accessWorld();
const { credentials, asked } = world;

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
    const baseUrl = world.server.url;
    const env = { GITHUB_TOKEN: "from-env", GH_TOKEN: "from-gh" };
    const { privateKey, id } = await world.server.addApp();
    const app = { id, privateKey };
    const common = { baseUrl, credentials: place, owner: world.server.owner, repo: world.server.repo };
    const of = async (options: Parameters<typeof githubAuth>[0]) => {
      const auth = githubAuth({ ...common, env: {}, ...options });
      return [await auth.source(), await auth.token()];
    };
    expect(await of({})).toEqual(["none", undefined]);
    await storeCredential(world.server.url, "from-store", place);
    expect(await of({})).toEqual(["stored", "from-store"]);
    expect(await of({ env })).toEqual(["environment", "from-env"]);
    expect(await of({ env: { GITHUB_TOKEN: "", GH_TOKEN: "from-gh" } })).toEqual(["environment", "from-gh"]);
    const [source, token] = await of({ env, app });
    expect([source, token]).toEqual(["app", expect.stringMatching(/^ghs_/)]);
    expect(await of({ env, app, token: "given" })).toEqual(["option", "given"]);
  });

  it("sends a token of the environment to the host that it is for, and to no other", async () => {
    const env = { GITHUB_TOKEN: "public", GH_ENTERPRISE_TOKEN: "own", GITHUB_ENTERPRISE_TOKEN: "own too" };
    const at = (baseUrl: string, more: object = {}) =>
      githubAuth({ baseUrl, env: { ...env, ...more }, credentials: credentials() }).token();
    expect(await at("https://api.github.com")).toBe("public");
    expect(await at("https://api.acme.ghe.com")).toBe("public");
    const own = "https://git.example/api/v3";
    for (const named of [{ GH_HOST: "git.example" }, { GITHUB_API_URL: own }]) {
      expect(await at(own, named)).toBe("own");
      expect(await at(own, { ...named, GH_ENTERPRISE_TOKEN: "" })).toBe("own too");
      // As in Actions of an Enterprise.
      expect(await at(own, { ...named, GH_ENTERPRISE_TOKEN: "", GITHUB_ENTERPRISE_TOKEN: "" })).toBe("public");
      expect(await at("https://evil.example/api/v3", named)).toBeUndefined();
    }
    // A configuration alone names it.
    expect(await at(own)).toBeUndefined();
    expect(await at(own, { GITHUB_API_URL: "https://api.github.com", GH_HOST: "github.com" })).toBeUndefined();
    for (const here of ["http://127.0.0.1:1", "https://localhost:8443/api/v3"]) expect(await at(here)).toBe("public");
    expect(await at("http://evil.example")).toBeUndefined();
    for (const odd of [
      "https://github.com.evil.example",
      "https://evil.example/api.github.com",
      "https://ghe.com.evil",
    ]) {
      expect(await at(odd), odd).toBeUndefined();
    }
    expect(howToAuthenticate(hostOfApi(own), {})).toMatch(
      /set GH_HOST=git\.example and GH_ENTERPRISE_TOKEN.*--host git\.example/,
    );
    expect(howToAuthenticate(hostOfApi(own), { GH_HOST: "git.example" })).toMatch(/set GH_ENTERPRISE_TOKEN, /);
    vi.stubEnv("GITHUB_TOKEN", "public");
    const sent: (string | null)[] = [];
    const fetch: typeof globalThis.fetch = async (_, init) => {
      sent.push(new Headers(init?.headers).get("authorization"));
      throw new TypeError("fetch failed");
    };
    const elsewhere = await github({ owner: "o", repo: "r", branch: "main", baseUrl: own, fetch });
    await expect(elsewhere.listPrompts({ limit: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(sent).toEqual([null]);
    await elsewhere.close();
  });

  it("lets nobody write without one, and says how to get one, before anything is sent", async () => {
    const open = await world.server.addRepository({ name: "open", private: false });
    const { token: _, ...rest } = testOptions(world.server, open);
    const registry = new PromptRegistry(await github(rest));
    await expect(registry.getPrompt("a/b")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const before = world.server.requests.length;
    const problem = await registry.storePrompt({ name: "a/b", text: "x", version: "1.0.0" }).catch((error) => error);
    expect(problem.code).toBe("UNAUTHENTICATED");
    for (const way of ["GITHUB_TOKEN", "login github", "GitHub App"]) expect(problem.message).toContain(way);
    expect(world.server.requests.slice(before).filter(({ method }) => method !== "GET")).toEqual([]);
    // A private one is not there for nobody.
    const { token: __, ...hidden } = testOptions(world.server);
    const closed = new PromptRegistry(await github(hidden));
    await expect(closed.getPrompt("a/b")).rejects.toThrow(/without a token.*GITHUB_TOKEN/);
  });
});

describe("a GitHub App", () => {
  it("works as the driver's token, made once for many calls, and again before it ends", async () => {
    const { id, privateKey } = await world.server.addApp({ permission: "write" });
    const file = join(world.root, "app.pem");
    writeFileSync(file, privateKey, { mode: 0o600 });
    const { token: _, ...options } = testOptions(world.server);
    const registry = new PromptRegistry(await github({ ...options, app: { id, privateKeyFile: file } }));
    await Promise.all(
      ["one", "two", "three"].map((name) =>
        registry.storePrompt({ name: `app/${name}`, version: "1.0.0", text: name }),
      ),
    );
    expect(asked(INSTALLATION)).toBe(1);
    expect(asked("/repos/{owner}/{repo}/installation")).toBe(1);
    const body = JSON.parse(String(world.server.requests.find(({ route }) => route === INSTALLATION)?.body));
    expect(body).toEqual({ repositories: [world.server.repo] });
  });

  it("is renewed by one call before its hour is over", async () => {
    const { id, installationId, privateKey } = await world.server.addApp();
    const app = { id, installationId, privateKey: privateKey.replaceAll("\n", "\\n") };
    const auth = githubAuth({
      baseUrl: world.server.url,
      app,
      owner: world.server.owner,
      repo: world.server.repo,
      now: () => world.now,
    });
    const first = await auth.token();
    world.now += 54 * 60_000;
    expect(await auth.token()).toBe(first);
    world.now += 2 * 60_000;
    const later = await Promise.all(Array.from({ length: 8 }, () => auth.token()));
    expect(new Set(later).size).toBe(1);
    expect(later[0]).not.toBe(first);
    expect(asked(INSTALLATION)).toBe(2);
    auth.refused();
    expect(await auth.token()).not.toBe(later[0]);
  });

  it("goes by GitHub's clock where the own one is wrong", async () => {
    const { id, installationId, privateKey } = await world.server.addApp();
    const app = { id, installationId, privateKey };
    const at = { baseUrl: world.server.url, app, owner: world.server.owner, repo: world.server.repo };
    // The fake's own clock is ahead by an hour by now; what it tells in `date` is the machine's.
    world.now = Date.now();
    const auth = githubAuth({ ...at, now: () => Date.now() - 3_600_000 });
    expect(await auth.token()).toMatch(/^ghs_/);
    expect(asked(INSTALLATION)).toBe(2);
  });

  it("says what is wrong with its set-up, and never the key", async () => {
    const { id, privateKey } = await world.server.addApp({ repositories: ["octo-org/other"] });
    const at = { baseUrl: world.server.url, owner: world.server.owner, repo: world.server.repo };
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
    expect(await problem({ id, privateKeyFile: join(world.root, "none.pem") })).toMatchObject({ code: "CONFIG" });
    for (const app of [{ id }, { id, privateKey, privateKeyFile: "x" }, { id: "", privateKey }]) {
      expect(() => githubAuth({ ...at, app })).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
  });
});

describe("the web flow", () => {
  const redirectUri = "http://127.0.0.1:1/login/done";
  const session = "a-session-of-one-browser";
  const flow = (more: object = {}) => {
    const { clientId, clientSecret } = world.server.oauth;
    return createGitHubWebFlow({
      clientId,
      clientSecret,
      redirectUri,
      host: world.server.url,
      now: () => world.now,
      ...more,
    });
  };
  /** What the browser does. */
  const visit = async (url: string) =>
    (await fetch(url, { redirect: "manual" })).headers.get("location") ?? expect.unreachable();

  beforeEach(() => {
    world.server.oauth.consent = "approve";
    world.server.oauth.tokenLifetime = undefined;
  });

  it("gives a token, with PKCE and a state", async () => {
    const login = flow({ scopes: ["repo"] });
    const { url, state } = await login.start(session);
    const query = Object.fromEntries(new URL(url).searchParams);
    expect(query).toMatchObject({ state, code_challenge_method: "S256", redirect_uri: redirectUri, scope: "repo" });
    expect(url).not.toContain(world.server.oauth.clientSecret);
    const grant = await login.finish(session, await visit(url));
    expect((await githubUser(hostOf(world.server.url), grant.token)).login).toBe("octocat");
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
    world.now += 600_001;
    await refused(login.finish(session, late));
  });

  it("tells a person who says no from a set-up that is wrong", async () => {
    world.server.oauth.consent = "deny";
    const login = flow();
    const back = await visit((await login.start(session)).url);
    await expect(login.finish(session, back)).rejects.toMatchObject({ code: "FORBIDDEN" });
    world.server.oauth.consent = "approve";
    const wrong = flow({ clientSecret: "wrong" });
    const problem = await wrong.finish(session, await visit((await wrong.start(session)).url)).catch((error) => error);
    expect(problem.code).toBe("CONFIG");
    for (const redirect of ["http://prompts.example/x", "https://prompts.example/x?y", "x"]) {
      expect(() => flow({ redirectUri: redirect })).toThrow(expect.objectContaining({ code: "CONFIG" }));
    }
    await expect(flow().start("short")).rejects.toMatchObject({ code: "INVALID" });
  });
});
