import { createHash, randomBytes } from "node:crypto";
import { type Call, invalid, notFound, Problem, type Reply, type Route } from "./http.ts";
import { user } from "./shapes.ts";
import type { GitHubOAuthControls } from "./types.ts";
import type { World } from "./world.ts";

interface Device {
  readonly userCode: string;
  readonly scope: string;
  expiresAt: number;
  interval: number;
  lastPoll: number;
  state: "pending" | "approved" | "denied" | "used";
}

interface Grant {
  readonly redirectUri: string;
  readonly challenge: string | undefined;
  readonly scope: string;
  readonly login: string;
  readonly expiresAt: number;
}

const SIX_MONTHS = 15_811_200;
const WEB_CODE_LIFETIME = 600_000;
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const ERRORS = "https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting";
const code = (bytes: number): string => randomBytes(bytes).toString("hex");

/**
 * OAuth as GitHub speaks it, which is not quite RFC 6749 and 8628: refusals come with status 200, and JSON only to those
 * who ask for it by `accept`.
 */
export class OAuth implements GitHubOAuthControls {
  readonly clientId = `Iv1.${code(8)}`;
  readonly clientSecret = code(20);
  interval = 5;
  expiresIn = 900;
  tokenLifetime: number | undefined;
  consent: "approve" | "deny" = "approve";
  login = "octocat";
  redirectUris: readonly string[] | undefined;
  readonly #world: World;
  readonly #devices = new Map<string, Device>();
  readonly #grants = new Map<string, Grant>();
  readonly #refresh = new Map<string, { readonly login: string; readonly scope: string; readonly expiresAt: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  get userCodes(): readonly string[] {
    return [...this.#devices.values()].filter(({ state }) => state === "pending").map(({ userCode }) => userCode);
  }

  approve(userCode: string): void {
    this.#device(userCode).state = "approved";
  }

  deny(userCode: string): void {
    this.#device(userCode).state = "denied";
  }

  expire(userCode: string): void {
    this.#device(userCode).expiresAt = this.#world.now();
  }

  #device(userCode: string): Device {
    const device = [...this.#devices.values()].find((one) => one.userCode === userCode);
    if (device === undefined) throw new TypeError(`no device code was shown as ${JSON.stringify(userCode)}`);
    return device;
  }

  readonly routes: readonly Route[] = [
    { method: "POST", template: "/login/device/code", handle: (call) => this.#start(call) },
    { method: "POST", template: "/login/oauth/access_token", handle: (call) => this.#token(call) },
    { method: "GET", template: "/login/oauth/authorize", handle: (call) => this.#authorize(call) },
    { method: "POST", template: "/applications/{client_id}/token", handle: (call) => this.#checkToken(call) },
    { method: "DELETE", template: "/applications/{client_id}/token", handle: (call) => this.#deleteToken(call) },
  ];

  async #start(call: Call): Promise<Reply> {
    const given = form(call);
    if (given("client_id") !== this.clientId) return { status: 404, json: { error: "Not Found" } };
    const letters = () => code(2).toUpperCase();
    const device: Device = {
      userCode: `${letters()}-${letters()}`,
      scope: given("scope") ?? "",
      expiresAt: this.#world.now() + this.expiresIn * 1000,
      interval: this.interval,
      lastPoll: Number.NEGATIVE_INFINITY,
      state: "pending",
    };
    const deviceCode = code(20);
    this.#devices.set(deviceCode, device);
    return answer(call, {
      device_code: deviceCode,
      user_code: device.userCode,
      verification_uri: `${call.origin}/login/device`,
      expires_in: this.expiresIn,
      interval: device.interval,
    });
  }

  async #token(call: Call): Promise<Reply> {
    const given = form(call);
    if (given("client_id") !== this.clientId) return wrong(call, "incorrect_client_credentials");
    const secret = given("client_secret");
    if (secret !== undefined && secret !== this.clientSecret) return wrong(call, "incorrect_client_credentials");
    const grant = given("grant_type") ?? "authorization_code";
    if (grant === DEVICE_GRANT) return this.#poll(call, given("device_code") ?? "");
    if (grant === "refresh_token") return this.#renew(call, given("refresh_token") ?? "");
    if (grant !== "authorization_code") return wrong(call, "unsupported_grant_type");
    // A web flow without a secret is no GitHub: PKCE comes on top of it.
    if (secret === undefined) return wrong(call, "incorrect_client_credentials");
    return this.#exchange(call, given);
  }

  #poll(call: Call, deviceCode: string): Reply {
    const device = this.#devices.get(deviceCode);
    const now = this.#world.now();
    if (device === undefined || device.state === "used") return wrong(call, "incorrect_device_code");
    if (device.expiresAt <= now) return wrong(call, "expired_token");
    if (device.state === "denied") return wrong(call, "access_denied");
    const early = now - device.lastPoll < device.interval * 1000;
    device.lastPoll = now;
    if (early) {
      device.interval += 5;
      return wrong(call, "slow_down", { interval: device.interval });
    }
    if (device.state === "pending") return wrong(call, "authorization_pending");
    device.state = "used";
    return this.#issue(call, this.login, device.scope);
  }

  #exchange(call: Call, given: (key: string) => string | undefined): Reply {
    const key = given("code") ?? "";
    const grant = this.#grants.get(key);
    this.#grants.delete(key);
    if (grant === undefined || grant.expiresAt <= this.#world.now()) return wrong(call, "bad_verification_code");
    const redirect = given("redirect_uri");
    if (redirect !== undefined && redirect !== grant.redirectUri) return wrong(call, "redirect_uri_mismatch");
    if (grant.challenge !== undefined) {
      const verifier = createHash("sha256")
        .update(given("code_verifier") ?? "")
        .digest("base64url");
      if (verifier !== grant.challenge) return wrong(call, "bad_verification_code");
    }
    return this.#issue(call, grant.login, grant.scope);
  }

  #renew(call: Call, token: string): Reply {
    const known = this.#refresh.get(token);
    // Good for one use.
    this.#refresh.delete(token);
    if (known === undefined || known.expiresAt <= this.#world.now()) return wrong(call, "bad_refresh_token");
    return this.#issue(call, known.login, known.scope);
  }

  #issue(call: Call, login: string, scope: string): Reply {
    const lifetime = this.tokenLifetime;
    const scopes = scope.split(/[ ,]+/).filter((one) => one !== "");
    const value = `${lifetime === undefined ? "gho" : "ghu"}_${code(18)}`;
    const expiresAt = lifetime === undefined ? undefined : this.#world.now() + lifetime;
    this.#world.addToken({ login, scopes, ...(expiresAt === undefined ? {} : { expiresAt }) }, login, value);
    const base = { access_token: value, token_type: "bearer", scope: scopes.join(",") };
    if (lifetime === undefined) return answer(call, base);
    const refresh = `ghr_${code(30)}`;
    this.#refresh.set(refresh, { login, scope, expiresAt: this.#world.now() + SIX_MONTHS * 1000 });
    return answer(call, {
      ...base,
      expires_in: Math.floor(lifetime / 1000),
      refresh_token: refresh,
      refresh_token_expires_in: SIX_MONTHS,
    });
  }

  /** The page where a person would press a button: pressed at once, as `consent` says. */
  async #authorize(call: Call): Promise<Reply> {
    const { query } = call;
    if (query.get("client_id") !== this.clientId) throw notFound();
    const redirect = query.get("redirect_uri") ?? this.redirectUris?.[0] ?? "";
    const allowed =
      this.redirectUris?.includes(redirect) ?? /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\//.test(redirect);
    if (!allowed) throw new Problem(400, "The redirect_uri is not associated with this application.");
    const method = query.get("code_challenge_method");
    if (query.has("code_challenge") && method !== "S256") throw new Problem(400, "code_challenge_method must be S256");
    const back = new URL(redirect);
    if (this.consent === "deny") {
      back.searchParams.set("error", "access_denied");
      back.searchParams.set("error_description", "The user has denied your application access.");
    } else {
      const key = code(10);
      this.#grants.set(key, {
        redirectUri: redirect,
        challenge: query.get("code_challenge") ?? undefined,
        scope: query.get("scope") ?? "",
        login: this.login,
        expiresAt: this.#world.now() + WEB_CODE_LIFETIME,
      });
      back.searchParams.set("code", key);
    }
    const state = query.get("state");
    if (state !== null) back.searchParams.set("state", state);
    return { status: 302, headers: { location: back.href } };
  }

  #owned(call: Call): string {
    const basic = `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString("base64")}`;
    if (call.headers.authorization !== basic || call.params.client_id !== this.clientId) throw notFound();
    return String(call.body.access_token ?? "");
  }

  async #checkToken(call: Call): Promise<Reply> {
    const token = this.#world.tokens.get(this.#owned(call));
    if (token === undefined || token.expiresAt <= this.#world.now()) throw notFound();
    const at = this.#world.time();
    const until = Number.isFinite(token.expiresAt) ? new Date(token.expiresAt).toISOString() : null;
    return {
      status: 200,
      json: {
        id: 1,
        url: `${call.origin}/authorizations/1`,
        app: { client_id: this.clientId, name: "prompt-registry", url: call.origin },
        token: token.value,
        hashed_token: createHash("sha256").update(token.value).digest("hex"),
        token_last_eight: token.value.slice(-8),
        note: null,
        note_url: null,
        scopes: token.scopes,
        fingerprint: null,
        user: user(this.#world, call.origin, token.login),
        created_at: at,
        updated_at: at,
        expires_at: until,
      },
    };
  }

  async #deleteToken(call: Call): Promise<Reply> {
    if (!this.#world.tokens.delete(this.#owned(call))) throw invalid("Validation Failed");
    return { status: 204 };
  }
}

const WHY: Readonly<Record<string, string>> = {
  authorization_pending: "The authorization request is still pending.",
  slow_down: "Too many requests have been made in the same timeframe.",
  expired_token: "The device_code has expired.",
  access_denied: "The authorization request was denied.",
  incorrect_client_credentials: "The client_id and/or client_secret passed are incorrect.",
  incorrect_device_code: "The device_code provided is not valid.",
  bad_verification_code: "The code passed is incorrect or expired.",
  bad_refresh_token: "The refresh token passed is incorrect or expired.",
  redirect_uri_mismatch: "The redirect_uri MUST match the registered callback URL for this application.",
  unsupported_grant_type: "The grant type is not supported.",
};

const wrong = (call: Call, error: string, more: Readonly<Record<string, unknown>> = {}): Reply =>
  answer(call, { error, error_description: WHY[error] ?? error, error_uri: `${ERRORS}#${error}`, ...more });

/** Fields of a JSON or form body, or of the query. */
function form(call: Call): (key: string) => string | undefined {
  const isJson = /json/.test(call.headers["content-type"] ?? "");
  const fields = new URLSearchParams(isJson ? "" : call.rawBody.toString("utf8"));
  return (key) => {
    const value = isJson ? call.body[key] : (fields.get(key) ?? call.query.get(key));
    return typeof value === "string" ? value : undefined;
  };
}

function answer(call: Call, fields: Readonly<Record<string, unknown>>): Reply {
  if (/json/.test(call.headers.accept ?? "")) return { status: 200, json: fields };
  const body = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) body.set(key, String(value));
  return { status: 200, bytes: Buffer.from(body.toString()), type: "application/x-www-form-urlencoded; charset=utf-8" };
}
