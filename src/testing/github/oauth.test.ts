import { createHash, createSign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { client } from "../../../test/support/github-client.ts";
import { validateExchange } from "../../../test/support/github-openapi/validate.ts";
import { type GitHubServer, startGitHub } from "./index.ts";

// Git is started for real: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: GitHubServer;
let now = Date.now();

beforeAll(async () => {
  server = await startGitHub({ validate: validateExchange, now: () => now });
});

afterAll(() => server.close());

async function post(path: string, fields: Readonly<Record<string, string>>, accept = "application/json") {
  const body = new URLSearchParams({ client_id: server.oauth.clientId, ...fields });
  const response = await fetch(server.oauthUrl + path, { method: "POST", body, headers: { accept } });
  const text = await response.text();
  return { status: response.status, text, body: accept === "application/json" ? JSON.parse(text) : undefined };
}

const token = (fields: Readonly<Record<string, string>>) => post("/login/oauth/access_token", fields);
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

async function device() {
  const { body } = await post("/login/device/code", { scope: "repo" });
  const poll = async () => (await token({ device_code: body.device_code, grant_type: DEVICE })).body;
  const wait = (seconds: number) => {
    now += seconds * 1000;
  };
  return { ...body, poll, wait };
}

describe("the device flow", () => {
  it("waits, slows down, and gives a token that works", async () => {
    const { user_code, verification_uri, interval, expires_in, poll, wait } = await device();
    expect([verification_uri, interval, expires_in]).toEqual([`${server.url}/login/device`, 5, 900]);
    expect((await poll()).error).toBe("authorization_pending");
    wait(1);
    expect(await poll()).toMatchObject({ error: "slow_down", interval: 10 });
    wait(10);
    expect((await poll()).error).toBe("authorization_pending");
    expect(server.oauth.userCodes).toContain(user_code);
    server.oauth.approve(user_code);
    wait(10);
    const granted = await poll();
    expect(granted).toMatchObject({ token_type: "bearer", scope: "repo" });
    const found = await client(server).get("/user", { token: granted.access_token });
    expect([found.status, found.body.login]).toEqual([200, "octocat"]);
    // A code is good for one token.
    expect((await poll()).error).toBe("incorrect_device_code");
  });

  it("is denied, and runs out", async () => {
    const denied = await device();
    server.oauth.deny(denied.user_code);
    expect((await denied.poll()).error).toBe("access_denied");
    const late = await device();
    late.wait(900);
    expect((await late.poll()).error).toBe("expired_token");
    const ended = await device();
    server.oauth.expire(ended.user_code);
    expect((await ended.poll()).error).toBe("expired_token");
  });

  it("speaks JSON only to those who ask for it, and knows its clients", async () => {
    const { status, text } = await post("/login/device/code", {}, "*/*");
    expect([status, new URLSearchParams(text).get("interval")]).toEqual([200, "5"]);
    expect((await post("/login/device/code", { client_id: "x" })).status).toBe(404);
    const wrong = await token({ client_id: "x", grant_type: DEVICE, device_code: "y" });
    expect([wrong.status, wrong.body.error]).toEqual([200, "incorrect_client_credentials"]);
    expect((await token({ grant_type: DEVICE, device_code: "y" })).body.error).toBe("incorrect_device_code");
    expect((await token({ grant_type: "password" })).body.error).toBe("unsupported_grant_type");
  });
});

describe("the web flow", () => {
  const back = "http://127.0.0.1:1/callback";
  const verifier = "v".repeat(43);
  const challenge = createHash("sha256").update(verifier).digest("base64url");

  async function authorize(more: Readonly<Record<string, string>> = {}) {
    const url = new URL("/login/oauth/authorize", server.url);
    const fields = { client_id: server.oauth.clientId, redirect_uri: back, state: "s", code_challenge: challenge };
    for (const [key, value] of Object.entries({ ...fields, code_challenge_method: "S256", ...more })) {
      url.searchParams.set(key, value);
    }
    const response = await fetch(url, { redirect: "manual" });
    return { status: response.status, back: new URL(response.headers.get("location") ?? "http://none.invalid") };
  }

  const exchange = async (code: string, more: Readonly<Record<string, string>> = {}) =>
    (
      await token({
        client_secret: server.oauth.clientSecret,
        code,
        redirect_uri: back,
        code_verifier: verifier,
        ...more,
      })
    ).body;

  it("gives a code for one use, to the one who began", async () => {
    const granted = await authorize();
    expect([granted.status, granted.back.searchParams.get("state")]).toEqual([302, "s"]);
    const code = granted.back.searchParams.get("code") ?? "";
    expect((await exchange(code)).access_token).toMatch(/^gho_/);
    expect((await exchange(code)).error).toBe("bad_verification_code");
    const next = async () => (await authorize()).back.searchParams.get("code") ?? "";
    expect((await exchange(await next(), { code_verifier: "w".repeat(43) })).error).toBe("bad_verification_code");
    expect((await exchange(await next(), { redirect_uri: `${back}/x` })).error).toBe("redirect_uri_mismatch");
    expect((await exchange(await next(), { client_secret: "x" })).error).toBe("incorrect_client_credentials");
    expect((await authorize({ redirect_uri: "https://evil.example/" })).status).toBe(400);
    server.oauth.consent = "deny";
    expect((await authorize()).back.searchParams.get("error")).toBe("access_denied");
    server.oauth.consent = "approve";
  });

  it("gives tokens that end, with refresh tokens good for one use", async () => {
    server.oauth.tokenLifetime = 8 * 3_600_000;
    const code = (await authorize()).back.searchParams.get("code") ?? "";
    const first = await exchange(code);
    expect([first.expires_in, first.access_token.slice(0, 4)]).toEqual([28_800, "ghu_"]);
    const api = client(server);
    now += 8 * 3_600_000;
    expect((await api.get("/user", { token: first.access_token })).status).toBe(401);
    const renew = (refresh: string) => token({ grant_type: "refresh_token", refresh_token: refresh });
    const second = (await renew(first.refresh_token)).body;
    expect((await api.get("/user", { token: second.access_token })).status).toBe(200);
    expect((await renew(first.refresh_token)).body.error).toBe("bad_refresh_token");
    const basic = Buffer.from(`${server.oauth.clientId}:${server.oauth.clientSecret}`).toString("base64");
    const path = `/applications/${server.oauth.clientId}/token`;
    const options = {
      headers: { authorization: `Basic ${basic}` },
      body: { access_token: second.access_token },
      token: undefined,
    };
    expect((await api.ask("POST", path, options)).body.user.login).toBe("octocat");
    expect((await api.ask("DELETE", path, options)).status).toBe(204);
    expect((await api.get("/user", { token: second.access_token })).status).toBe(401);
    server.oauth.tokenLifetime = undefined;
  });
});

describe("GitHub Apps", () => {
  it("a signed token becomes an installation's, which sees what the app was given", async () => {
    const app = await server.addApp({ permission: "read" });
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const jwt = (claims: object, key = app.privateKey) => {
      const data = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
      return `${data}.${createSign("RSA-SHA256").update(data).sign(key).toString("base64url")}`;
    };
    const seconds = Math.floor(now / 1000);
    const good = jwt({ iss: app.id, iat: seconds - 30, exp: seconds + 300 });
    const api = client(server);
    expect((await api.get("/app", { token: good })).body.id).toBe(app.id);
    expect((await api.get("installation", { token: good })).body.id).toBe(app.installationId);
    const path = `/app/installations/${app.installationId}/access_tokens`;
    const made = await api.post(path, {}, { token: good });
    expect(made.status).toBe(201);
    const seen = await api.get("", { token: made.body.token });
    expect([seen.status, seen.body.permissions.push]).toEqual([200, false]);
    const refused = await api.post("git/blobs", { content: "x" }, { token: made.body.token });
    expect(refused.body.message).toBe("Resource not accessible by integration");
    now += 3_600_001;
    expect((await api.get("", { token: made.body.token })).status).toBe(401);
    expect((await api.get("/app", { token: good })).status).toBe(401);
    const later = Math.floor(now / 1000);
    const other = await server.addApp();
    const forged = jwt({ iss: app.id, iat: later, exp: later + 60 }, other.privateKey);
    expect((await api.get("/app", { token: forged })).status).toBe(401);
    expect((await api.get("/app", { token: jwt({ iss: app.id, iat: later, exp: later + 7200 }) })).status).toBe(401);
  });
});
