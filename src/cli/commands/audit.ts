import { RegistryError } from "../../errors.ts";
import type { Place } from "../../server/access/places.ts";
import type { AuditRecord } from "../../server/audit/line.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { configuredFor } from "../configured.ts";
import { FINDINGS } from "../exit.ts";
import { type Cell, count, printRows, shortTime } from "../layout.ts";
import { wholeNumber } from "./list.ts";

const ACTIONS = ["verify", "show", "tail"] as const;
const OUTCOMES = ["done", "unchanged", "refused", "denied", "failed", "unknown"] as const;
const TAIL = 20;

export const command = defineCommand({
  usage: ["verify [--expect HASH]", "show", "tail"],
  details: [
    "The audit log of a server: a line for every change that was asked for, and for every denial. verify reads all of it and",
    "says where something was changed, removed or moved (exit 1). It prints the hash of the last entry: kept elsewhere, and",
    "given to the next verify with --expect, it shows also that nothing was cut off at the end. tail shows the last 20.",
  ],
  arguments: [{ name: "ACTION", kind: "word", choices: ACTIONS }],
  options: {
    expect: { type: "string", value: "HASH", help: "the hash of an entry that must be there" },
    limit: { type: "string", value: "N", help: "only the last N entries" },
    prompt: { type: "string", value: "NAME", help: "only of this prompt, or below it", complete: "name" },
    who: { type: "string", value: "ID", help: "only of this one: token:4kq0z81mw2xd, anonymous" },
    outcome: { type: "string", choices: OUTCOMES, value: "WHAT", help: `only what was ${OUTCOMES.join(", ")}` },
    audit: { type: "string", value: "URL", help: "where the log is; default: as the server finds it" },
  },
  examples: [
    ["prompt-registry audit verify", "check all of it, and print the hash to keep"],
    ["prompt-registry audit verify --expect 9f86d0…", "check that the log still holds that entry"],
    ["prompt-registry audit show --outcome denied --json", "who was refused what"],
  ],
  busy: "reading",
  async run(context, { values, positionals }) {
    const [action] = positionals;
    const { expect, limit, prompt, who, outcome } = values;
    const filters = [limit, prompt, who, outcome];
    if (action === "verify" && filters.some((one) => one !== undefined)) throw usageError("verify reads all of it");
    if (action !== "verify" && expect !== undefined) throw usageError("--expect goes with verify");
    if (expect !== undefined && !/^[0-9a-f]{64}$/.test(expect)) throw usageError("--expect takes 64 hex digits");
    const place = await placeOf(context, values.audit);
    if (action === "verify") return verify(context, place, expect);
    const wanted = (record: AuditRecord) =>
      (prompt === undefined || record.prompt === prompt || record.prompt?.startsWith(`${prompt}/`) === true) &&
      (who === undefined || record.who === who) &&
      (outcome === undefined || record.outcome === outcome);
    return list(context, place, wholeNumber("--limit", limit) ?? (action === "tail" ? TAIL : undefined), wanted);
  },
});

async function verify(context: Context, place: Place, expect: string | undefined): Promise<number | undefined> {
  const { verifyAudit } = await import("../../server/audit/read.ts");
  let read = 0;
  const onRecord = () => {
    if (++read % 10_000 === 0) context.terminal.progress(`reading: ${read}`);
  };
  const report = await verifyAudit(place, { onRecord, ...(expect === undefined ? {} : { expect }) });
  const { ok, entries, heads, problem, torn } = report;
  if (context.json) context.terminal.json(report);
  else {
    if (problem !== undefined) context.terminal.out(`line ${problem.line}: ${problem.what}\n`);
    else context.terminal.out(`${[count(entries, "entry", "entries"), ...heads.map((h) => `head ${h}`)].join(", ")}\n`);
    if (torn > 0) context.terminal.note(`${count(torn, "line")} cut off when a server ended; none was acknowledged`);
  }
  return ok ? undefined : FINDINGS;
}

async function list(
  context: Context,
  place: Place,
  limit: number | undefined,
  wanted: (record: AuditRecord) => boolean,
): Promise<undefined> {
  const { verifyAudit } = await import("../../server/audit/read.ts");
  let records: AuditRecord[] = [];
  const onRecord = (record: AuditRecord) => {
    if (!wanted(record)) return;
    records.push(record);
    if (limit !== undefined && records.length > 2 * limit + 1000) records = records.slice(-limit);
  };
  const { problem } = await verifyAudit(place, { onRecord });
  if (limit !== undefined) records = records.slice(-limit);
  if (problem !== undefined) context.terminal.warn(`line ${problem.line} of the log: ${problem.what}`);
  if (context.json) context.terminal.json({ entries: records });
  else printRows(context.terminal, ["AT", "WHO", "ACTION", "WHAT", "OUTCOME", "NOTE"], records.map(row));
  if (records.length === 0) context.terminal.note("nothing found");
  return undefined;
}

function row({ at, who, action, prompt, version, label, from, to, outcome, code, note }: AuditRecord): Cell[] {
  const moved = from === undefined && to === undefined ? "" : `${from ?? "none"} -> ${to ?? "none"}`;
  const what = [version === undefined ? prompt : `${prompt}@${version}`, label, moved].filter(Boolean).join(" ");
  const failed = outcome !== "done" && outcome !== "unchanged";
  const told = code === undefined ? outcome : `${outcome} (${code})`;
  return [shortTime(at), who ?? "", action, what, failed ? ["yellow", told] : told, note ?? ""];
}

async function placeOf({ io, storage }: Context, given: string | undefined): Promise<Place> {
  const { serverPlaces } = await import("../../server/access/configured.ts");
  const { absolute } = await import("../../server/access/places.ts");
  const config = await configuredFor({ io, storage });
  const { audit } = await serverPlaces(config, { audit: given });
  if (audit === false)
    throw new RegistryError("CONFIG", "no audit log is kept here; name one with --audit", { field: "audit" });
  return absolute(audit, io.cwd);
}
