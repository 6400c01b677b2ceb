import { RegistryError } from "../../errors.ts";
import { type Context, defineCommand } from "../command.ts";
import { principalOf, SERVICE_HELP, type Service, serviceOf } from "../service.ts";

export const command = defineCommand({
  usage: ["[SERVICE] [--host HOST]"],
  details: [
    "Asks the service who the token belongs to that calls are made with, and tells where the token comes from; the token",
    `itself is never shown. ${SERVICE_HELP}`,
  ],
  arguments: [{ name: "SERVICE", kind: "word", optional: true }],
  options: { host: { type: "string", value: "HOST", help: "a GitHub Enterprise; default: github.com" } },
  examples: [
    ["prompt-registry whoami", "of the storage of this folder"],
    ["prompt-registry whoami github --json", "login, scopes where GitHub tells them, and where the token is"],
  ],
  busy: "asking",
  async run(context, { values, positionals }) {
    const service = await serviceOf(context, positionals[0], values.host);
    return service.kind === "github" ? await atGithub(context, service) : await atServer(context, service.origin);
  },
});

interface Found {
  readonly token: string;
  /** For people; never the token. */
  readonly from: string;
}

/** The same order as the driver's. */
async function find({ io }: Context, service: string, variables: readonly string[]): Promise<Found | undefined> {
  for (const variable of variables) {
    const value = io.env[variable];
    if (value) return { token: value, from: variable };
  }
  const { readCredential } = await import("../../credentials/index.ts");
  const secret = await readCredential(service, { env: io.env });
  if (secret === undefined) return undefined;
  const inFile = await readCredential(service, { env: io.env, keyring: false });
  return { token: secret, from: inFile === secret ? "a file of yours (login)" : "the keyring (login)" };
}

async function atGithub(
  context: Context,
  { host, clientId, app }: Extract<Service, { kind: "github" }>,
): Promise<undefined> {
  const { githubAuth, howToAuthenticate, tokenVariables } = await import("../../github/auth.ts");
  const { githubUser } = await import("../../github/user.ts");
  if (app !== undefined) {
    report(context, host.service, `GitHub App ${app}`, "made for the App of the configuration", undefined, undefined);
    return undefined;
  }
  const { env } = context.io;
  const found = await find(context, host.service, tokenVariables(host, env));
  // As the driver gets it: refreshed, where it was about to end.
  const token = await githubAuth({ baseUrl: host.api, env, clientId, credentials: { env } }).token();
  if (found === undefined || token === undefined) throw nobody(host.service, howToAuthenticate(host, env));
  const { login, scopes, expiresAt } = await githubUser(host, token, { signal: context.signal });
  report(context, host.service, login, found.from, scopes, expiresAt);
  return undefined;
}

async function atServer(context: Context, origin: string): Promise<undefined> {
  const { PROMPT_REGISTRY_TOKEN_ORIGIN: named } = context.io.env;
  const { tokenOrigin } = await import("../../drivers/http/options.ts");
  // As the driver does it: a token that is meant for one server is not shown to another.
  const isMeant = !named || tokenOrigin(named) === origin;
  const found = await find(context, origin, isMeant ? ["PROMPT_REGISTRY_TOKEN"] : []);
  if (found === undefined) throw nobody(origin, `run \`prompt-registry login ${origin} --with-token\``);
  const principal = await principalOf(origin, found.token, context.signal);
  if (principal === undefined) {
    throw new RegistryError("UNAVAILABLE", `${origin} can't be reached; try again`, { operation: "whoami" });
  }
  report(context, origin, principal.name, found.from, principal.grants, undefined);
  return undefined;
}

function nobody(service: string, how: string): RegistryError {
  return new RegistryError("UNAUTHENTICATED", `there is no token for ${service}; ${how}`, { operation: "whoami" });
}

function report(
  { terminal, json }: Context,
  service: string,
  who: string,
  from: string,
  scopes: readonly string[] | undefined,
  expiresAt: string | undefined,
): void {
  if (json) {
    const more = { ...(scopes === undefined ? {} : { scopes }), ...(expiresAt === undefined ? {} : { expiresAt }) };
    terminal.json({ service, who, from, ...more });
    return;
  }
  const may = scopes === undefined ? "not told" : scopes.length === 0 ? "none" : scopes.join(", ");
  terminal.out(
    `${who} at ${service}\ntoken: ${from}${expiresAt === undefined ? "" : `, ends ${expiresAt}`}\nscopes: ${may}\n`,
  );
}
