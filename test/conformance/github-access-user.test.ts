import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { readCredential, storeCredential } from "../../src/credentials/index.ts";
import { githubAuth } from "../../src/github/auth.ts";
import { loginByDevice } from "../../src/github/device.ts";
import { hostOf } from "../../src/github/host.ts";
import { encodeStored } from "../../src/github/stored.ts";
import { githubUser } from "../../src/github/user.ts";
import { accessWorld } from "../support/github-access.ts";

const world = accessWorld();
const { credentials, asked } = world;

describe("the device flow", () => {
  beforeEach(() => {
    world.server.oauth.interval = 5;
    world.server.oauth.tokenLifetime = undefined;
  });

  /** The person at the browser acts after so many polls; waiting moves the server's clock. */
  async function login(act: (code: string) => void, polls: number, more: object = {}) {
    const waits: number[] = [];
    let shown = "";
    let code = "";
    const grant = await loginByDevice({
      web: world.server.url,
      clientId: world.server.oauth.clientId,
      scope: "repo",
      now: () => world.now,
      onCode: ({ url, userCode }) => {
        shown = url;
        code = userCode;
      },
      sleep: async (ms) => {
        waits.push(ms / 1000);
        world.now += ms;
        if (waits.length === polls) act(code);
      },
      ...more,
    }).catch((error) => error);
    return { grant, waits, shown };
  }

  it("waits as it is told, and gets a token that works", async () => {
    const { grant, waits, shown } = await login((code) => world.server.oauth.approve(code), 3);
    expect(shown).toBe(`${world.server.url}/login/device`);
    expect(waits).toEqual([5, 5, 5]);
    expect(grant).toMatchObject({ token: expect.stringMatching(/^gho_/), scopes: ["repo"] });
    expect(await githubUser(hostOf(world.server.url), grant.token)).toEqual({ login: "octocat", scopes: ["repo"] });
  });

  it("slows down by five seconds each time it is told to", async () => {
    const seen: number[] = [];
    let userCode = "";
    await loginByDevice({
      web: world.server.url,
      clientId: world.server.oauth.clientId,
      now: () => world.now,
      onCode: (code) => {
        userCode = code.userCode;
      },
      sleep: async (ms) => {
        seen.push(ms / 1000);
        // The first poll counts; the second comes a second too early.
        world.now += seen.length === 2 ? ms - 1000 : ms;
        if (seen.length === 3) world.server.oauth.approve(userCode);
      },
    });
    expect(seen).toEqual([5, 5, 10]);
  });

  it("tells apart: denied, run out, aborted, a client id that is none, and a page that is not GitHub's", async () => {
    const denied = await login((code) => world.server.oauth.deny(code), 2);
    expect(denied.grant).toMatchObject({ code: "FORBIDDEN", outcome: "final" });
    const late = await login((code) => world.server.oauth.expire(code), 2);
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
    const stop = world.server.fail(({ url }) => url.startsWith("/login/oauth/") && ++polls <= 2, {
      kind: "drop-before",
    });
    const { grant, waits } = await login((code) => world.server.oauth.approve(code), 2);
    stop();
    expect(grant.token).toMatch(/^gho_/);
    expect(waits).toEqual([5, 10, 20]);
  });
});

describe("tokens that end", () => {
  const LIFETIME = 8 * 3_600_000;
  const endpoint = "/login/oauth/access_token";

  async function loggedIn(place: ReturnType<typeof credentials>) {
    world.now = Date.now();
    world.server.oauth.interval = 0;
    world.server.oauth.tokenLifetime = LIFETIME;
    const grant = await loginByDevice({
      web: world.server.url,
      clientId: world.server.oauth.clientId,
      sleep: async () => {},
      onCode: ({ userCode }) => world.server.oauth.approve(userCode),
    });
    expect(grant).toMatchObject({ expiresAt: expect.any(Number), refreshToken: expect.stringMatching(/^ghr_/) });
    await storeCredential(world.server.url, encodeStored(grant, world.server.oauth.clientId), place);
    world.server.reset();
    return grant;
  }

  it("are refreshed before they end, and stored before they are used", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    let skew = 0;
    const auth = githubAuth({ baseUrl: world.server.url, env: {}, credentials: place, now: () => Date.now() + skew });
    expect(await auth.token()).toBe(grant.token);
    skew = LIFETIME - 4 * 60_000;
    const tokens = await Promise.all(Array.from({ length: 5 }, () => auth.token()));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(grant.token);
    expect(asked(endpoint)).toBe(1);
    const stored = JSON.parse((await readCredential(world.server.url, place)) ?? "");
    expect(stored).toMatchObject({ token: tokens[0], clientId: world.server.oauth.clientId });
    expect(stored.refreshToken).not.toBe(grant.refreshToken);
  });

  it("stay in use while GitHub can't be asked, and are UNAUTHENTICATED once they ended for good", async () => {
    const place = credentials();
    const grant = await loggedIn(place);
    let skew = LIFETIME - 60_000;
    const auth = () =>
      githubAuth({ baseUrl: world.server.url, env: {}, credentials: place, now: () => Date.now() + skew });
    const stop = world.server.fail(({ url }) => url.startsWith(endpoint), { kind: "reply", status: 503 });
    expect(await auth().token()).toBe(grant.token);
    skew = LIFETIME + 60_000;
    await expect(auth().token()).rejects.toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
    stop();
    // Somebody used the refresh token and was killed before it stored the new pair.
    await fetch(`${world.server.url}${endpoint}`, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({
        client_id: world.server.oauth.clientId,
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
    await storeCredential(
      world.server.url,
      encodeStored({ ...grant, expiresAt: Date.now() }, world.server.oauth.clientId),
      place,
    );
    const outfile = join(world.root, "refresh.cjs");
    const entry = fileURLToPath(new URL("../support/github-refresh-worker.ts", import.meta.url));
    const packages = { packages: "external", platform: "node", format: "cjs", target: "node20" } as const;
    await build({ entryPoints: [entry], outfile, bundle: true, ...packages, logLevel: "error" });
    const children = Array.from({ length: 8 }, () => fork(outfile, { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    try {
      const next = async (child: ChildProcess) => (await once(child, "message"))[0];
      await Promise.all(children.map(next));
      const answers = Promise.all(children.map(next));
      for (const child of children) child.send({ baseUrl: world.server.url, folder: place.folder });
      const found = (await answers) as { token?: string; error?: string }[];
      expect(found.map(({ error }) => error)).toEqual(Array(8).fill(undefined));
      expect(new Set(found.map(({ token }) => token)).size).toBe(1);
      expect(found[0]?.token).not.toBe(grant.token);
      expect((await githubUser(hostOf(world.server.url), found[0]?.token ?? "")).login).toBe("octocat");
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
    await storeCredential(
      world.server.url,
      encodeStored({ ...grant, expiresAt: Date.now() }, world.server.oauth.clientId),
      place,
    );
    const lock = join(place.folder, `${encodeURIComponent(world.server.url)}.lock`);
    writeFileSync(lock, "1 another-host x\n");
    utimesSync(lock, new Date(0), new Date(0));
    // Without any lock: the winner stores while the loser is refused.
    const winner = encodeStored(
      { ...grant, token: "ghu_winner", refreshToken: "ghr_next" },
      world.server.oauth.clientId,
    );
    const refused = {
      status: 200,
      headers: { "content-type": "application/json" },
      body: '{"error":"bad_refresh_token"}',
    };
    world.server.fail(({ url }) => url.startsWith(endpoint), { kind: "reply", ...refused });
    const asking = githubAuth({ baseUrl: world.server.url, env: {}, credentials: place }).token();
    await vi.waitFor(() => expect(asked(endpoint)).toBe(1), { timeout: 20_000 });
    await storeCredential(world.server.url, winner, place);
    expect(await asking).toBe("ghu_winner");
    expect(readdirSync(place.folder).filter((file) => file.includes("lock"))).toEqual([]);
  });
});
