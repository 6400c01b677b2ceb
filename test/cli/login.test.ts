import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { type Ran, World, type WorldOptions } from "./world.ts";

// Git is started for real: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: GitHubServer;
beforeAll(async () => {
  server = await startGitHub();
  server.oauth.interval = 1;
});
afterAll(() => server.close());

/** A person with a home of their own, and everything that was shown to them. */
function person(more: Record<string, string> = {}) {
  const world = new World();
  world.real = true;
  const home = join(world.folder, "home");
  const env = { HOME: home, XDG_CONFIG_HOME: home, APPDATA: home, ...more };
  const credentials = join(home, "prompt-registry", "credentials");
  let shown = "";
  const run = async (options: WorldOptions, ...argv: string[]): Promise<Ran> => {
    const ran = await world.runWith({ env, ...options }, ...argv);
    shown += ran.out + ran.err;
    return ran;
  };
  const login = (stdin: string, ...argv: string[]) =>
    run({ stdin }, "login", ...argv, "--with-token", "--insecure-storage");
  return { world, env, credentials, run, login, shown: () => shown };
}

/** Every file below a folder, with its text. */
function filesOf(folder: string): [path: string, text: string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, readFileSync(path, "utf8")]);
}

describe("login github", () => {
  test("by the device flow: shows the official page and a code, then stores what works", async () => {
    const { run, credentials, shown } = person({ PROMPT_REGISTRY_GITHUB_CLIENT_ID: server.oauth.clientId });
    const ran = await run(
      { onStderr: (text) => /enter the code (\S+)/.exec(text)?.[1] && approve(text) },
      ...["login", "github", "--host", server.url, "--insecure-storage", "--quiet"],
    );
    expect(ran).toMatchObject({ code: 0, out: `logged in to ${server.url} as octocat\n` });
    expect(ran.err).toMatch(
      new RegExp(`^Open ${server.url}/login/device and enter the code [0-9A-F]{4}-[0-9A-F]{4}\\n$`),
    );
    const who = await run({}, "whoami", "github", "--host", server.url);
    expect(who.out).toBe(`octocat at ${server.url}\ntoken: a file of yours (login)\nscopes: repo\n`);
    const [file = ""] = readdirSync(credentials);
    expect(statSync(join(credentials, file)).mode & 0o777).toBe(0o600);
    const token = readFileSync(join(credentials, file), "utf8").trim();
    expect(token).toMatch(/^gho_/);
    expect(shown()).not.toContain(token);
    expect((await run({}, "logout", "github", "--host", server.url)).out).toBe(`logged out of ${server.url}\n`);
    expect((await run({}, "logout", "github", "--host", server.url)).out).toContain("unchanged");
    expect(readdirSync(credentials)).toEqual([]);
    const nobody = await run({}, "whoami", "github", "--host", server.url);
    expect([nobody.code, nobody.err]).toEqual([6, expect.stringMatching(/GITHUB_TOKEN.*login github.*GitHub App/)]);
  });

  function approve(text: string): void {
    server.oauth.approve(/enter the code (\S+)/.exec(text)?.[1] as string);
  }

  test("tells how it ended by its exit code", async () => {
    const at = ["login", "github", "--host", server.url, "--insecure-storage"];
    const end = async (act: (code: string) => void, signal?: AbortSignal) => {
      const { run } = person();
      const onStderr = (text: string) => {
        const code = /enter the code (\S+)/.exec(text)?.[1];
        if (code !== undefined) act(code);
      };
      const more = signal === undefined ? {} : { signal };
      return (await run({ onStderr, ...more }, ...at, "--client-id", server.oauth.clientId)).code;
    };
    const controller = new AbortController();
    const ends = await Promise.all([
      end((code) => server.oauth.deny(code)),
      end((code) => server.oauth.expire(code)),
      end(() => controller.abort(), controller.signal),
    ]);
    expect(ends).toEqual([6, 7, 130]);
    const { run, credentials } = person();
    const none = await run({}, ...at);
    expect([none.code, none.err]).toEqual([8, expect.stringContaining("PROMPT_REGISTRY_GITHUB_CLIENT_ID")]);
    expect((await run({}, ...at, "--client-id", "Iv1.unknown")).code).toBe(8);
    expect((await run({}, ...at, "--client-id", "a b")).code).toBe(2);
    expect((await run({}, "login", "gitlab")).code).toBe(2);
    expect((await run({}, "login", "github", "--host", "http://git.example", "--with-token")).code).toBe(2);
    expect((await run({}, "login", "https://registry.example")).code).toBe(2);
    expect((await run({}, "login", "http://registry.example", "--with-token")).code).toBe(8);
    expect(() => readdirSync(credentials)).toThrow();
  });

  test("with a token: tries it first, and shows it nowhere", async () => {
    const { world, login, run, credentials, shown } = person();
    const token = server.addToken({ login: "ada", scopes: ["repo", "read:org"] }, "ghp_canaryCanaryCanary0123456789");
    server.allow("ada", "write");
    const where = ["github", "--host", server.url];
    const ran = await login(`${token}\n`, ...where);
    expect(ran).toMatchObject({ code: 0, out: `logged in to ${server.url} as ada\n` });
    expect(ran.err).toContain("not in a keyring");
    expect((await run({}, "whoami", ...where, "--json")).json()).toEqual({
      service: server.url,
      who: "ada",
      from: "a file of yours (login)",
      scopes: ["repo", "read:org"],
    });
    // What is not taken is not stored, and does not replace what is there.
    const bad = "ghp_wrongWrongWrongWrong";
    expect((await login(bad, ...where)).code).toBe(6);
    expect((await login("", ...where)).code).toBe(2);
    expect((await login("two\nlines of text", ...where)).code).toBe(2);
    expect((await run({ stdinTTY: true }, "login", ...where, "--with-token")).code).toBe(2);
    // The driver finds it, and says nothing of it when it fails.
    writeFileSync(
      join(world.folder, "prompt-registry.config.json"),
      JSON.stringify({
        storage: { backend: "github", owner: server.owner, repo: server.repo, baseUrl: server.url, spacing: 0 },
        cache: { disk: join(world.folder, "cache") },
      }),
    );
    for (const [name, value] of Object.entries({ GITHUB_TOKEN: "", GH_TOKEN: "" })) vi.stubEnv(name, value);
    vi.stubEnv("HOME", join(world.folder, "home"));
    vi.stubEnv("XDG_CONFIG_HOME", join(world.folder, "home"));
    vi.stubEnv("APPDATA", join(world.folder, "home"));
    const pushed = await run({ stdin: "text\n" }, "push", "a/b", "-");
    expect(pushed, pushed.err).toMatchObject({ code: 0, out: "a/b@1.0.0 created\n" });
    expect((await run({}, "whoami")).out).toContain("ada at ");
    server.revokeToken(token);
    for (const argv of [
      ["push", "a/c", "-"],
      ["check"],
      ["whoami"],
      ["get", "x/y"],
      ["push", "a/d", "-", "--propose"],
    ]) {
      for (const json of [[], ["--json"]]) {
        const failed = await run(
          {
            stdin: "more\n",
            env: { ...{ HOME: join(world.folder, "home"), XDG_CONFIG_HOME: join(world.folder, "home") }, DEBUG: "1" },
          },
          ...argv,
          ...json,
        );
        expect([1, 6], argv.join(" ")).toContain(failed.code);
      }
    }
    vi.unstubAllEnvs();
    const files = filesOf(world.folder).filter(([path]) => !path.startsWith(credentials));
    expect(files.length).toBeGreaterThan(0);
    for (const secret of [token, bad]) {
      expect(shown()).not.toContain(secret);
      for (const [path, text] of files) expect(text.includes(secret), path).toBe(false);
      for (const { url } of server.requests) expect(url).not.toContain(secret);
    }
    expect(filesOf(credentials)).toEqual([[expect.any(String), `${token}\n`]]);
  });

  test("warns when a variable goes before what was stored", async () => {
    const token = server.addToken({ login: "ada" });
    const { login, run } = person({ GH_TOKEN: server.token });
    const ran = await login(token, "github", "--host", server.url);
    expect(ran.err).toContain("GH_TOKEN is set and goes before");
    expect((await run({}, "whoami", "github", "--host", server.url)).out).toContain("token: GH_TOKEN");
    // A token of an App belongs to nobody who could log in.
    expect((await login("ghs_unknownUnknown", "github", "--host", server.url)).code).toBe(6);
  });
});

describe("login to a registry server", () => {
  let registry: Server;
  let origin = "";
  const right = "prg_canarycanary";

  beforeAll(async () => {
    registry = createServer((request, response) => {
      const isRight = request.headers.authorization === `Bearer ${right}`;
      const principal = {
        id: "t1",
        name: "ci",
        grants: [
          { right: "read", prefix: "" },
          { right: "write", prefix: "support" },
        ],
      };
      const isElse = request.headers.authorization === "Bearer prg_somethingelse";
      response.writeHead(request.url === "/v1" ? (isRight || isElse ? 200 : 401) : 404, {
        "content-type": "application/json",
      });
      response.end(JSON.stringify(isRight ? { service: "prompt-registry", principal } : {}));
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    registry.close();
    registry.closeAllConnections();
  });

  test("tries the token, stores it for the origin, and forgets it", async () => {
    const { login, run, shown } = person();
    expect((await login("prg_wrongwrong", origin)).code).toBe(6);
    expect((await login(right, `${origin}/v1/`)).out).toBe(`logged in to ${origin} as ci\n`);
    const who = await run({}, "whoami", "--storage", `${origin}/`);
    expect(who.out).toBe(`ci at ${origin}\ntoken: a file of yours (login)\nscopes: read, write:support\n`);
    expect((await run({}, "logout", origin)).out).toBe(`logged out of ${origin}\n`);
    expect((await run({}, "whoami", origin)).code).toBe(6);
    // A token of the environment that is meant for another server is not shown to this one.
    const meant = (at: string) => ({ env: { PROMPT_REGISTRY_TOKEN: right, PROMPT_REGISTRY_TOKEN_ORIGIN: at } });
    expect((await run(meant("https://other.example"), "whoami", origin)).code).toBe(6);
    expect((await run(meant(origin), "whoami", origin)).out).toContain("token: PROMPT_REGISTRY_TOKEN");
    // Something else than a registry server.
    expect((await login("prg_somethingelse", origin)).code).toBe(8);
    expect(shown()).not.toContain(right);
  });

  test("stores it untried where the server can't be reached, and says so", async () => {
    const { login, run } = person();
    const ran = await login(right, "http://127.0.0.1:9");
    expect([ran.code, ran.err]).toEqual([0, expect.stringContaining("was not tried")]);
    expect((await run({}, "whoami", "http://127.0.0.1:9")).code).toBe(7);
  });
});
