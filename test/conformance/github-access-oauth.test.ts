import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { loginByDevice } from "../../src/github/device.ts";
import { askGrant } from "../../src/github/grant.ts";
import { createGitHubWebFlow } from "../../src/github/web.ts";

// A real authorization server, which goes by the RFCs where GitHub has its own ways.

type Answer = Parameters<typeof createServer>[1];

let server: Server;
let issuer: string;
const redirectUri = "http://127.0.0.1:1/done";

beforeAll(async () => {
  let answer: NonNullable<Answer> = () => {};
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  quiet();
  // It comes without types.
  const name: string = "oidc-provider";
  const { Provider } = (await import(name)) as {
    Provider: new (issuer: string, options: object) => { callback(): NonNullable<Answer> };
  };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "cli",
        token_endpoint_auth_method: "none",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: "web",
        client_secret: "not-a-secret-outside-of-this-test",
        token_endpoint_auth_method: "client_secret_post",
        grant_types: ["authorization_code"],
        redirect_uris: [redirectUri],
      },
    ],
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    scopes: ["openid", "offline_access"],
    pkce: { required: () => true },
  });
  answer = provider.callback();
});

/** It says that it is set up for a test only. */
function quiet(): void {
  for (const how of ["info", "warn"] as const) vi.spyOn(console, how).mockImplementation(() => {});
}

beforeEach(quiet);

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

/** A browser: it keeps cookies, follows redirects within the server, and fills in forms as told. */
function browser() {
  const cookies = new Map<string, string>();
  const visit = async (url: string, body?: Record<string, string>): Promise<{ url: string; html: string }> => {
    const response = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join("; ") },
      ...(body === undefined ? {} : { method: "POST", body: new URLSearchParams(body) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get("location");
    if (location === null) return { url, html: await response.text() };
    const next = new URL(location, url).href;
    return next.startsWith(issuer) ? await visit(next) : { url: next, html: "" };
  };
  const field = (html: string, key: string) => new RegExp(`name="${key}" value="([^"]*)"`).exec(html)?.[1] ?? "";
  const action = (html: string, url: string) => new URL(/action="([^"]*)"/.exec(html)?.[1] ?? "", url).href;
  /** Logs in and agrees, page after page. */
  const agree = async (page: { url: string; html: string }) => {
    let now = page;
    for (let i = 0; i < 4 && now.html.includes('name="prompt"'); i++) {
      const prompt = field(now.html, "prompt");
      now = await visit(
        action(now.html, now.url),
        prompt === "login" ? { prompt, login: "ada", password: "x" } : { prompt },
      );
    }
    return now;
  };
  return { visit, agree, field, action };
}

describe("a server that goes by the RFCs", () => {
  const endpoints = () => ({
    device: `${issuer}/device/auth`,
    token: `${issuer}/token`,
    verification: `${issuer}/device`,
  });

  async function device(act: (code: string, polls: number) => Promise<void>) {
    let code = "";
    let polls = 0;
    return await loginByDevice({
      web: issuer,
      clientId: "cli",
      scope: "openid offline_access",
      endpoints: endpoints(),
      onCode: ({ userCode }) => {
        code = userCode;
      },
      sleep: async () => act(code, ++polls),
    });
  }

  it("gives a token by the device flow, and the next by its refresh token, once", async () => {
    const grant = await device(async (code, polls) => {
      if (polls !== 2) return;
      const { visit, agree, field, action } = browser();
      const page = await visit(`${issuer}/device?user_code=${code}`);
      const confirmed = await visit(action(page.html, page.url), {
        xsrf: field(page.html, "xsrf"),
        user_code: code,
        confirm: "yes",
      });
      await agree(confirmed);
    });
    expect(grant.token.length).toBeGreaterThan(20);
    expect(grant.expiresAt).toBeGreaterThan(Date.now());
    const refresh = (token: string) =>
      askGrant(
        endpoints().token,
        { client_id: "cli", grant_type: "refresh_token", refresh_token: token },
        { operation: "refreshing" },
      );
    const next = await refresh(grant.refreshToken ?? "");
    expect(next).toMatchObject({ token: expect.any(String), refreshToken: expect.any(String) });
    expect(await refresh(grant.refreshToken ?? "")).toMatchObject({ error: "invalid_grant" });
  });

  it("is told apart when it says no", async () => {
    const denied = device(async (code, polls) => {
      if (polls !== 1) return;
      const { visit, field, action } = browser();
      const page = await visit(`${issuer}/device?user_code=${code}`);
      await visit(action(page.html, page.url), { xsrf: field(page.html, "xsrf"), user_code: code, abort: "yes" });
    });
    await expect(denied).rejects.toMatchObject({ code: "FORBIDDEN" });
    const unknown = loginByDevice({ web: issuer, clientId: "nobody", endpoints: endpoints(), onCode: () => {} });
    await expect(unknown).rejects.toMatchObject({ code: "CONFIG" });
  });

  it("gives a token by the web flow, with PKCE, once", async () => {
    const flow = createGitHubWebFlow({
      clientId: "web",
      clientSecret: "not-a-secret-outside-of-this-test",
      redirectUri,
      scopes: ["openid"],
      endpoints: { authorize: `${issuer}/auth`, token: `${issuer}/token` },
    });
    const session = "a-session-of-one-browser";
    const come = async () => {
      const { visit, agree } = browser();
      return (await agree(await visit((await flow.start(session)).url))).url;
    };
    const back = await come();
    expect(back.startsWith(redirectUri)).toBe(true);
    expect((await flow.finish(session, back)).token.length).toBeGreaterThan(20);
    await expect(flow.finish(session, back)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    // A code that was made for another challenge.
    const [mine, theirs] = [new URL(await come()), new URL(await come())];
    mine.searchParams.set("code", theirs.searchParams.get("code") ?? "");
    await expect(flow.finish(session, mine.href)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });
});
