import type { CredentialOptions, StoredCredential } from "../../credentials/index.ts";
import { RegistryError } from "../../errors.ts";
import type { GithubGrant } from "../../github/grant.ts";
import type { GithubUser } from "../../github/user.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { collect } from "../input.ts";
import { principalOf, type Service, serviceOf } from "../service.ts";

export const command = defineCommand({
  usage: ["github [--host HOST] [--client-id ID]", "SERVICE --with-token"],
  details: [
    "Logs in to GitHub by the device flow: enter the code that is shown on the page that is named. Or, with --with-token,",
    "reads a token from stdin: one of GitHub's, or one of a registry server (`prompt-registry token create` there). The",
    "token is tried, then stored in the keyring of the system, or else in a file that only you can read.",
    "Exit 0: logged in. 6: denied, or the token is not taken. 7: the code ran out, or no answer. 8: the client id is",
    "missing or wrong. 130: interrupted.",
  ],
  arguments: [{ name: "SERVICE", kind: "word" }],
  options: {
    host: { type: "string", value: "HOST", help: "a GitHub Enterprise; default: github.com" },
    "client-id": {
      type: "string",
      value: "ID",
      help: "of your GitHub App or OAuth app; default: PROMPT_REGISTRY_GITHUB_CLIENT_ID",
    },
    scope: { type: "string", value: "SCOPE", help: "for an OAuth app (default: repo); a GitHub App has its own" },
    "with-token": { type: "boolean", help: "read a token from stdin" },
    "insecure-storage": { type: "boolean", help: "store it in a file, not in the keyring" },
  },
  examples: [
    ["prompt-registry login github --client-id Iv1.0123456789abcdef", "in the browser"],
    ["prompt-registry login github --with-token < token.txt", "by a token, such as a fine-grained one"],
    ["prompt-registry login https://registry.example --with-token < token.txt", "to a registry server"],
  ],
  busy: "logging in",
  async run(context, { values, positionals }) {
    const service = await serviceOf(context, positionals[0], values.host);
    const place: CredentialOptions = { env: context.io.env, keyring: values["insecure-storage"] !== true };
    if (values["with-token"]) {
      for (const option of ["client-id", "scope"] as const) {
        if (values[option] !== undefined) throw usageError(`--${option} does not go with --with-token`);
      }
      const token = await readToken(context);
      if (service.kind === "github") return await finish(context, service, { token, scopes: [] }, undefined, place);
      return await toServer(context, service.origin, token, place);
    }
    if (service.kind === "server") throw usageError("a registry server needs --with-token");
    const { PROMPT_REGISTRY_GITHUB_CLIENT_ID: fromEnv } = context.io.env;
    const clientId = values["client-id"] ?? (fromEnv || undefined) ?? service.clientId;
    if (clientId === undefined) {
      throw new RegistryError(
        "CONFIG",
        "the device flow needs the client id of your GitHub App: --client-id or PROMPT_REGISTRY_GITHUB_CLIENT_ID (docs/github-access.md); or use --with-token",
        { field: "clientId" },
      );
    }
    if (!/^[\w.-]{1,100}$/.test(clientId)) throw usageError("--client-id is no client id of GitHub's");
    const { loginByDevice } = await import("../../github/device.ts");
    const grant = await loginByDevice({
      web: service.host.web,
      clientId,
      scope: values.scope ?? "repo",
      signal: context.signal,
      onCode: ({ url, userCode }) => {
        // Said even with --quiet: without it there is no login.
        context.terminal.help(`Open ${url} and enter the code ${userCode}`);
        context.terminal.startProgress("waiting for the browser");
      },
    });
    return await finish(context, service, grant, clientId, place);
  },
});

async function readToken({ io, signal }: Context): Promise<string> {
  if (io.stdin.isTTY === true) throw usageError("--with-token reads the token from stdin: … --with-token < token.txt");
  const token = Buffer.from(await collect(io.stdin, signal, "stdin"))
    .toString("utf8")
    .trim();
  if (/^[\x21-\x7e]{8,2000}$/.test(token)) return token;
  throw new RegistryError("INVALID", "what came from stdin is no token: one line of visible ASCII", { field: "token" });
}

async function finish(
  context: Context,
  { host }: Extract<Service, { kind: "github" }>,
  grant: GithubGrant,
  clientId: string | undefined,
  place: CredentialOptions,
): Promise<undefined> {
  const { githubUser } = await import("../../github/user.ts");
  const { encodeStored } = await import("../../github/stored.ts");
  const { storeCredential } = await import("../../credentials/index.ts");
  const user: GithubUser = await githubUser(host, grant.token, { signal: context.signal });
  await forgetInKeyring(host.service, place);
  const stored = await storeCredential(host.service, encodeStored(grant, clientId), place);
  const { io, terminal } = context;
  report(context, host.service, user.login, user.scopes, stored);
  const { tokenVariables } = await import("../../github/auth.ts");
  const before = tokenVariables(host, io.env).find((name) => io.env[name]);
  if (before !== undefined) terminal.warn(`${before} is set and goes before what was stored`);
  return undefined;
}

async function toServer(context: Context, origin: string, token: string, place: CredentialOptions): Promise<undefined> {
  const principal = await principalOf(origin, token, context.signal);
  const { storeCredential } = await import("../../credentials/index.ts");
  await forgetInKeyring(origin, place);
  const stored = await storeCredential(origin, token, place);
  if (principal === undefined) context.terminal.warn(`${origin} could not be reached, so the token was not tried`);
  report(context, origin, principal?.name, principal?.grants, stored);
  if (context.io.env.PROMPT_REGISTRY_TOKEN) {
    context.terminal.warn("PROMPT_REGISTRY_TOKEN is set and goes before what was stored");
  }
  return undefined;
}

/** What is there goes before what is in a file, so an older token would be the one that is used. */
async function forgetInKeyring(service: string, { env, keyring }: CredentialOptions): Promise<void> {
  if (keyring !== false) return;
  const { deleteCredential } = await import("../../credentials/index.ts");
  await deleteCredential(service, env === undefined ? {} : { env });
}

function report(
  { terminal, json }: Context,
  service: string,
  who: string | undefined,
  scopes: readonly string[] | undefined,
  stored: StoredCredential,
): void {
  if (json) {
    const known = { ...(who === undefined ? {} : { who }), ...(scopes === undefined ? {} : { scopes }) };
    terminal.json({ service, ...known, stored });
  } else terminal.out(`logged in to ${service}${who === undefined ? "" : ` as ${who}`}\n`);
  if (stored.place === "keyring") terminal.note("the token is in the keyring of the system");
  else terminal.warn(`the token is not in a keyring but in ${stored.path}, which only you can read`);
}
