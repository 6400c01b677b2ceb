import { createPublicKey, generateKeyPair, type KeyObject, verify } from "node:crypto";
import { promisify } from "node:util";
import { type Call, json, notFound, Problem, type Reply, type Route } from "../http.ts";
import { user } from "../shapes.ts";
import type { GitHubApp, Permission } from "../types.ts";
import type { World } from "../world.ts";

interface App {
  readonly id: number;
  readonly installationId: number;
  readonly publicKey: KeyObject;
  readonly permission: Permission;
  readonly repositories: readonly string[] | undefined;
}

const APPS = new WeakMap<World, App[]>();
const HOUR = 3_600_000;
/** GitHub refuses a JSON web token that lives longer. */
const MAX_LIFETIME = 600;

export async function addApp(
  world: World,
  options: { readonly permission?: Permission; readonly repositories?: readonly string[] } = {},
): Promise<GitHubApp> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const app: App = {
    id: world.id(),
    installationId: world.id(),
    publicKey: createPublicKey(publicKey),
    permission: options.permission ?? "write",
    repositories: options.repositories,
  };
  APPS.set(world, [...(APPS.get(world) ?? []), app]);
  return { id: app.id, installationId: app.installationId, privateKey };
}

/** The app whose JSON web token this is; throws 401 for one that does not hold. */
export function appOf(world: World, token: string): App | undefined {
  const [head = "", payload = "", signature = ""] = token.split(".");
  if (signature === "") return undefined;
  const bad = (why: string) => new Problem(401, why);
  const claims = parse(payload);
  const app = APPS.get(world)?.find(({ id }) => String(id) === String(claims?.iss));
  if (claims === undefined || app === undefined) throw bad("A JSON web token could not be decoded");
  const data = Buffer.from(`${head}.${payload}`);
  if (!verify("RSA-SHA256", data, app.publicKey, Buffer.from(signature, "base64url"))) {
    throw bad("A JSON web token could not be decoded");
  }
  const now = world.now() / 1000;
  const [iat, exp] = [Number(claims.iat), Number(claims.exp)];
  if (!(exp > now)) throw bad("'Expiration time' claim ('exp') must be a numeric value representing the future time");
  if (exp > now + MAX_LIFETIME + 5) throw bad("'Expiration time' claim ('exp') is too far in the future");
  if (!(iat <= now + 5))
    throw bad("'Issued at' claim ('iat') must be an Integer representing the time that it was issued");
  return app;
}

function parse(payload: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function authenticated(call: Call): App {
  const bearer = /^bearer (.+)$/i.exec(call.headers.authorization ?? "")?.[1] ?? "";
  const app = appOf(call.world, bearer);
  if (app === undefined) throw new Problem(401, "A JSON web token could not be decoded");
  return app;
}

const permissionsOf = (app: App) => ({
  contents: app.permission === "read" ? "read" : "write",
  metadata: "read",
  pull_requests: app.permission === "read" ? "read" : "write",
});

function installation(call: Call, app: App) {
  const at = call.world.time();
  const url = `${call.origin}/app/installations/${app.installationId}`;
  const owner = [...call.world.repositories.values()][0]?.owner ?? "ghost";
  return {
    id: app.installationId,
    account: user(call.world, call.origin, owner),
    app_id: app.id,
    app_slug: `app-${app.id}`,
    target_id: call.world.userId(owner),
    target_type: "Organization",
    single_file_name: null,
    repository_selection: app.repositories === undefined ? "all" : "selected",
    access_tokens_url: `${url}/access_tokens`,
    html_url: `${call.origin}/settings/installations/${app.installationId}`,
    repositories_url: `${call.origin}/installation/repositories`,
    permissions: permissionsOf(app),
    events: [],
    created_at: at,
    updated_at: at,
    suspended_by: null,
    suspended_at: null,
  };
}

async function getApp(call: Call): Promise<Reply> {
  const app = authenticated(call);
  const at = call.world.time();
  return json({
    id: app.id,
    slug: `app-${app.id}`,
    node_id: `A_${app.id}`,
    client_id: `Iv1.${app.id}`,
    owner: user(call.world, call.origin, "octocat"),
    name: `App ${app.id}`,
    description: null,
    external_url: call.origin,
    html_url: `${call.origin}/apps/app-${app.id}`,
    created_at: at,
    updated_at: at,
    permissions: permissionsOf(app),
    events: [],
  });
}

async function installations(call: Call): Promise<Reply> {
  return json([installation(call, authenticated(call))]);
}

async function repositoryInstallation(call: Call): Promise<Reply> {
  const app = authenticated(call);
  const full = `${call.params.owner}/${call.params.repo}`.toLowerCase();
  const known = call.world.repositories.has(full);
  if (!known || app.repositories?.map((name) => name.toLowerCase()).includes(full) === false) throw notFound();
  return json(installation(call, app));
}

async function createToken(call: Call): Promise<Reply> {
  const app = authenticated(call);
  if (Number(call.params.installation_id) !== app.installationId) throw notFound();
  const asked = call.body.permissions as { contents?: string } | undefined;
  const expiresAt = call.world.now() + HOUR;
  const token = call.world.addToken(
    {
      kind: "installation",
      login: `app-${app.id}[bot]`,
      permission: asked?.contents === "read" ? "read" : app.permission,
      expiresAt,
      ...(app.repositories === undefined ? {} : { repositories: app.repositories }),
    },
    "",
  );
  return json(
    {
      token,
      expires_at: `${new Date(expiresAt).toISOString().slice(0, 19)}Z`,
      permissions: { ...permissionsOf(app), ...asked },
      repository_selection: app.repositories === undefined ? "all" : "selected",
    },
    201,
  );
}

export const appRoutes: readonly Route[] = [
  { method: "GET", template: "/app", handle: getApp },
  { method: "GET", template: "/app/installations", handle: installations },
  { method: "GET", template: "/repos/{owner}/{repo}/installation", handle: repositoryInstallation },
  { method: "POST", template: "/app/installations/{installation_id}/access_tokens", handle: createToken },
];
