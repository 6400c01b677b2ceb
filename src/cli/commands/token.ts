import { RegistryError, show } from "../../errors.ts";
import type { ServerPlaces } from "../../server/access/configured.ts";
import type { TokenRecord, TokenStore } from "../../server/access/store.ts";
import type { AuditEntry, AuditLog } from "../../server/types.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { configuredFor } from "../configured.ts";
import { type Cell, printRows, shortTime } from "../layout.ts";

const ACTIONS = ["create", "list", "revoke"] as const;

export const command = defineCommand({
  usage: ["create NAME --scope SCOPE…", "list", "revoke ID"],
  details: [
    "API tokens of a server. The token is printed once and kept nowhere; what is stored tells a right one from a wrong one.",
    "SCOPE is RIGHT, RIGHT:PREFIX, or promote:PREFIX:LABEL,LABEL; a RIGHT is read, write, promote, import or admin. A",
    "revoked token is refused from the next request on; other processes know it within a second.",
  ],
  arguments: [
    { name: "ACTION", kind: "word", choices: ACTIONS },
    { name: "NAME", kind: "word", optional: true },
  ],
  options: {
    scope: { type: "string", multiple: true, value: "SCOPE", help: "what it may do" },
    expires: { type: "string", value: "TIME", help: "when it ends: 12h, 90d (the default), 1y, a date, or never" },
    cidr: { type: "string", multiple: true, value: "NET", help: "only from this network" },
    tokens: { type: "string", value: "URL", help: "where tokens are kept; default: as the server finds them" },
    audit: { type: "string", value: "URL", help: "where it is recorded, or none; default: as the server finds it" },
  },
  examples: [
    ["prompt-registry token create ci --scope write:support", "print a token that publishes below support/"],
    [
      "prompt-registry token create ops --scope read --scope promote::production",
      "one that reads, and moves production",
    ],
    ["prompt-registry token revoke 4kq0z81mw2xd", "refuse it from now on"],
  ],
  busy: "working",
  async run(context, { values, positionals }) {
    const [action, name] = positionals;
    const isCreate = action === "create";
    for (const option of ["scope", "expires", "cidr"] as const)
      if (!isCreate && values[option] !== undefined) throw usageError(`--${option} goes with create`);
    if (action === "list" && name !== undefined) throw usageError(`unexpected argument ${show(name)}`);
    if (action !== "list" && name === undefined) throw usageError(`missing ${isCreate ? "NAME" : "ID"}`);
    const places = await placesOf(context, values);
    const { openTokens } = await import("../../server/access/places.ts");
    const tokens = await openTokens(places.tokens, context.io.cwd);
    try {
      if (action === "list") return await list(context, tokens);
      if (!isCreate)
        return await recorded(context, places, "revoke", (record) => revoke(context, tokens, name as string, record));
      const { expires, scope: scopes = [], cidr: cidrs } = values;
      if (scopes.length === 0) throw usageError("missing --scope; a token may do nothing unless it is said");
      const lifetime = parseLifetime(expires ?? "90d", Date.now());
      const request = { name: name as string, scopes, lifetime, ...(cidrs === undefined ? {} : { cidrs }) };
      return await recorded(context, places, "create", (record) => create(context, tokens, request, record));
    } finally {
      await tokens.close();
    }
  },
});

type Request = import("../../server/access/issue.ts").TokenRequest;
type Note = Pick<AuditEntry, "name" | "note" | "outcome" | "code">;
/** What was done, and is told only when it was written down. */
interface Changed {
  tell(): void;
  /** It could not be written down. @returns what is so now, in words */
  undo(): Promise<string>;
}
/** Adds what is known to the entry that is going to be recorded. */
type Record = (known: Partial<Note>) => void;

async function create(context: Context, tokens: TokenStore, request: Request, record: Record): Promise<Changed> {
  const { issueToken } = await import("../../server/access/issue.ts");
  const { token, record: made } = await issueToken(tokens, { ...request, createdBy: userOf(context) });
  record({ note: `${made.id} for ${made.name}: ${made.scopes.join(" ")}` });
  return {
    tell() {
      if (context.json) context.terminal.json({ token, ...shown(made) });
      else context.terminal.out(`${token}\n`);
      const end = made.expiresAt === undefined ? "never ends" : `ends ${shortTime(made.expiresAt)}`;
      context.terminal.note(`token ${made.id} of ${made.name} ${end}; it is not shown again`);
    },
    async undo() {
      await tokens.revoke(made.id, new Date().toISOString());
      return `so token ${made.id} was revoked`;
    },
  };
}

async function revoke(context: Context, tokens: TokenStore, id: string, record: Record): Promise<Changed> {
  record({ note: id });
  const revoked = await tokens.revoke(id, new Date().toISOString());
  record({ note: `${id} of ${revoked.name}` });
  return {
    tell() {
      if (context.json) context.terminal.json(shown(revoked));
      else context.terminal.out(`${id} revoked (${revoked.name})\n`);
    },
    // Who shall not get in does not get in for want of a line.
    undo: async () => `but token ${id} is revoked all the same`,
  };
}

async function list(context: Context, tokens: TokenStore): Promise<undefined> {
  const records = await tokens.list();
  if (context.json) {
    context.terminal.json({ tokens: records.map(shown) });
    return undefined;
  }
  printRows(context.terminal, ["ID", "NAME", "SCOPES", "STATE", "LAST USED", "ONLY FROM"], records.map(row));
  if (records.length === 0) context.terminal.note(`no tokens in ${tokens.location}`);
  return undefined;
}

function row({ id, name, scopes, expiresAt, revokedAt, lastUsedAt, cidrs = [] }: TokenRecord): Cell[] {
  const over = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
  const end = expiresAt === undefined ? "never ends" : `${over ? "ended" : "ends"} ${shortTime(expiresAt)}`;
  const state = revokedAt === undefined ? end : `revoked ${shortTime(revokedAt)}`;
  const used = lastUsedAt === undefined ? "never" : shortTime(lastUsedAt);
  return [
    ["cyan", id],
    name,
    scopes.join(" "),
    revokedAt === undefined && !over ? state : ["dim", state],
    used,
    cidrs.join(" "),
  ];
}

/** All but the hash, which is nobody's business. */
function shown({ hash: _, ...record }: TokenRecord): Omit<TokenRecord, "hash"> {
  return record;
}

function userOf({ io: { env } }: Context): string {
  return env.LOGNAME || env.USER || env.USERNAME || "unknown";
}

async function placesOf(
  { io, storage }: Context,
  given: { readonly tokens?: string; readonly audit?: string },
): Promise<ServerPlaces> {
  const { serverPlaces } = await import("../../server/access/configured.ts");
  const config = await configuredFor({ io, storage });
  return serverPlaces(config, given);
}

/** What changes who gets in goes into the audit log, or it does not happen. */
async function recorded(
  context: Context,
  places: ServerPlaces,
  action: "create" | "revoke",
  run: (record: Record) => Promise<Changed>,
): Promise<undefined> {
  const { openAudit } = await import("../../server/audit/index.ts");
  const audit: AuditLog | undefined =
    places.audit === false ? undefined : await openAudit(places.audit, { cwd: context.io.cwd });
  let entry: AuditEntry = {
    who: `cli:${userOf(context)}`,
    name: userOf(context),
    action: `tokens.${action}`,
    outcome: "done",
  };
  const record: Record = (known) => {
    entry = { ...entry, ...known };
  };
  try {
    await audit?.ready();
    let changed: Changed;
    try {
      changed = await run(record);
    } catch (error) {
      const failed = error instanceof RegistryError ? error : undefined;
      const outcome = failed?.outcome === "unknown" ? "unknown" : "failed";
      await audit?.append({ ...entry, outcome, ...(failed === undefined ? {} : { code: failed.code }) });
      throw error;
    }
    try {
      await audit?.append(entry);
    } catch (cause) {
      const now = await changed.undo();
      throw new RegistryError(
        "UNAVAILABLE",
        `the audit log could not be written, ${now}; see to the log, then try again`,
        {
          ...{ operation: `tokens.${action}`, outcome: action === "revoke" ? "unknown" : "temporary", cause },
        },
      );
    }
    changed.tell();
    return undefined;
  } finally {
    await audit?.close();
  }
}

const UNITS: Readonly<{ [unit: string]: number }> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** Milliseconds from now. */
function parseLifetime(text: string, now: number): number | "never" {
  if (text === "never") return "never";
  const match = /^(\d{1,6})([mhdwy])$/.exec(text);
  const until = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) - now : Number.NaN;
  const lifetime = match === null ? until : Number(match[1]) * (UNITS[match[2] as string] as number);
  // What is no time of a calendar is no answer either.
  if (lifetime > 0 && now + lifetime < Date.UTC(9999, 0)) return lifetime;
  throw usageError(`--expires must be a time ahead, like 12h, 90d, 2027-01-31 or never, not ${show(text)}`);
}
