import { usageError } from "../args.ts";
import { type Context, defineCommand, type Values } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { readTextFile } from "../input.ts";
import { type Cell, printRows } from "../layout.ts";
import type { Usage } from "../s3/cost.ts";
import type { SetupWish, Step, StepState } from "../s3/setup.ts";
import { HISTORY_CLASSES } from "../s3/setup-lifecycle.ts";
import { wholeNumber } from "./list.ts";

const ACTIONS = ["policy", "setup", "cost"] as const;

const OPTIONS = {
  "read-only": { type: "boolean", help: "policy: for one who only reads" },
  admin: { type: "boolean", help: "policy: for one who runs s3 setup" },
  prefix: { type: "string", value: "NAME", help: "policy: only the prompt NAME and those below it" },
  "kms-key": { type: "string", value: "ARN", help: "policy, setup: objects are encrypted with this key" },
  partition: { type: "string", value: "NAME", help: "policy: aws, aws-cn or aws-us-gov; default aws" },
  apply: { type: "boolean", help: "setup: make it so" },
  versioning: {
    type: "string",
    value: "WHEN",
    choices: ["auto", "on", "off"],
    help: "setup: default auto, on where conditional writes hold with it",
  },
  "head-days": { type: "string", value: "N", help: "setup, cost: keep replaced heads for N days; default 90" },
  "history-days": {
    type: "string",
    value: "N",
    help: "setup: move old history to colder storage after N days; default 90",
  },
  "history-class": {
    type: "string",
    value: "CLASS",
    choices: HISTORY_CLASSES,
    help: "setup: STANDARD_IA (default), ONEZONE_IA, GLACIER_IR, INTELLIGENT_TIERING or none",
  },
  prompts: { type: "string", value: "N", help: "cost: how many prompts there are; default 1000" },
  versions: { type: "string", value: "N", help: "cost: versions of each; default 10" },
  "document-bytes": { type: "string", value: "N", help: "cost: bytes of one version; default 4096" },
  "head-bytes": { type: "string", value: "N", help: "cost: bytes of one head; default 2048" },
  reads: { type: "string", value: "N", help: "cost: reads of exact versions a month" },
  "latest-reads": { type: "string", value: "N", help: "cost: reads of latest or a label a month" },
  writes: { type: "string", value: "N", help: "cost: versions published a month" },
  moves: { type: "string", value: "N", help: "cost: labels moved a month" },
  pages: { type: "string", value: "N", help: "cost: pages of 100 prompts listed a month" },
  polls: { type: "string", value: "N", help: "cost: questions for what has changed a month" },
  "storage-class": { type: "string", value: "CLASS", help: "cost: of documents; default STANDARD" },
  internet: { type: "boolean", help: "cost: reads come from outside the bucket's region" },
  kms: { type: "boolean", help: "cost: objects are encrypted with a key, without a bucket key" },
  prices: { type: "string", value: "FILE", complete: "file", help: "cost: a JSON table of other prices" },
  "print-prices": { type: "boolean", help: "cost: print the table of prices" },
} as const;

type Given = Values<typeof OPTIONS>;

export const command = defineCommand({
  usage: ["policy [BUCKET] [--read-only | --admin] [--prefix NAME]", "setup [BUCKET] [--apply]", "cost"],
  details: [
    "policy prints an IAM policy with the least that a writer needs, or a reader, or one who sets buckets up.",
    "setup shows what a bucket lacks (public access blocked, versioning, encryption, lifecycle); nothing is changed without",
    "--apply. cost estimates a month from counts. BUCKET is a name or s3://BUCKET/PREFIX?region=…&endpoint=…; without it,",
    "the storage. Exits with 1 when setup finds what it can't put right.",
  ],
  arguments: [
    { name: "ACTION", kind: "word", choices: ACTIONS },
    { name: "BUCKET", kind: "word", optional: true },
  ],
  options: OPTIONS,
  examples: [
    ["prompt-registry s3 policy s3://prompts/team --read-only", "what an application needs"],
    ["prompt-registry s3 policy prompts --prefix support", "who may publish support and what is below it"],
    ["prompt-registry s3 setup s3://prompts/team", "what would be changed"],
    ["prompt-registry s3 setup s3://prompts/team --apply", "make it so"],
    ["prompt-registry s3 cost --prompts 10000 --latest-reads 5000000 --writes 2000", "what a month costs"],
  ],
  busy: "asking the bucket",
  async run(context, { values, positionals }) {
    const [action, bucket] = positionals;
    checkOptions(action as (typeof ACTIONS)[number], values);
    if (action === "policy") return printPolicy(context, bucket, values);
    if (action === "setup") return setUp(context, bucket, values);
    if (bucket !== undefined) throw usageError("cost takes no BUCKET: it counts what the options say");
    return printCost(context, values);
  },
});

/** An option says itself, at the start of its help, which actions it belongs to. */
function checkOptions(action: (typeof ACTIONS)[number], values: Given): void {
  for (const name of Object.keys(values)) {
    const help: string = OPTIONS[name as keyof typeof OPTIONS]?.help ?? action;
    if (!(help.split(":")[0] ?? "").includes(action)) throw usageError(`s3 ${action} takes no --${name}`);
  }
}

async function printPolicy(context: Context, bucket: string | undefined, values: Given): Promise<undefined> {
  const [{ s3Policy }, { targetOf }, { parseName }] = await Promise.all([
    import("../s3/policy.ts"),
    import("../s3/target.ts"),
    import("../../names.ts"),
  ]);
  if (values["read-only"] && values.admin) throw usageError("give --read-only or --admin, not both");
  if (values.admin && values.prefix !== undefined)
    throw usageError("--admin is for a whole bucket: leave --prefix out");
  const target = targetOf(context, bucket);
  const prompts = values.prefix === undefined ? undefined : parseName(values.prefix.replace(/\/$/, ""));
  const kmsKey = values["kms-key"];
  context.terminal.json(
    s3Policy({
      bucket: target.bucket,
      prefix: target.prefix,
      role: values.admin ? "admin" : values["read-only"] ? "reader" : "writer",
      ...(prompts === undefined ? {} : { prompts }),
      ...(kmsKey === undefined ? {} : { kmsKey }),
      ...(values.partition === undefined ? {} : { partition: values.partition }),
    }),
  );
}

const MARKS: Readonly<Record<StepState, Cell>> = {
  ok: ["green", "ok"],
  change: ["yellow", "change"],
  later: ["yellow", "later"],
  done: ["green", "done"],
  skipped: ["yellow", "skipped"],
  danger: ["red", "DANGER"],
};

async function setUp(context: Context, bucket: string | undefined, values: Given): Promise<number | undefined> {
  const [{ runSetup }, { targetOf }, { createClient, loadSdk }] = await Promise.all([
    import("../s3/setup-run.ts"),
    import("../s3/target.ts"),
    import("../../drivers/s3/sdk.ts"),
  ]);
  const { terminal, signal } = context;
  const target = targetOf(context, bucket);
  const kmsKey = values["kms-key"];
  const wish: SetupWish = {
    versioning: (values.versioning ?? "auto") as SetupWish["versioning"],
    headDays: wholeNumber("--head-days", values["head-days"]) ?? 90,
    historyDays: wholeNumber("--history-days", values["history-days"]) ?? 90,
    historyClass: values["history-class"] ?? "STANDARD_IA",
    ...(kmsKey === undefined ? {} : { kmsKey }),
  };
  const sdk = await loadSdk();
  const client = await createClient(sdk, target);
  let steps: readonly Step[];
  try {
    const setup = { sdk, client, target, wish, signal };
    steps = await runSetup(setup, values.apply === true, ({ what }) => terminal.progress(`${what} …`));
  } finally {
    client.destroy();
  }
  const has = (state: StepState) => steps.some((step) => step.state === state);
  if (context.json)
    terminal.json({ bucket: target.bucket, prefix: target.prefix, applied: values.apply === true, steps });
  else {
    printRows(
      terminal,
      ["", "WHAT", "DETAIL"],
      steps.map(({ what, state, detail }) => [MARKS[state], what, detail]),
    );
    // The proof is made again each time, and is no change.
    const open = steps.some(({ what, state }) => state === "later" && what !== "conditional writes");
    if (has("change") || open) terminal.hint("`--apply` makes it so");
    else if (!has("done") && !has("danger")) terminal.out("nothing to do\n");
  }
  return has("danger") ? FINDINGS : undefined;
}

async function printCost(context: Context, values: Given): Promise<undefined> {
  const [{ estimate, USAGE }, { PRICES, readPrices }] = await Promise.all([
    import("../s3/cost.ts"),
    import("../s3/prices.ts"),
  ]);
  const { terminal } = context;
  const file = values.prices;
  const prices = file === undefined ? PRICES : readPrices(await readTextFile(context, file), file);
  if (values["print-prices"]) return terminal.json(prices) as undefined;
  const storageClass = values["storage-class"] ?? USAGE.storageClass;
  if (prices.classes[storageClass] === undefined) {
    throw usageError(`--storage-class must be one of ${Object.keys(prices.classes).join(", ")}`);
  }
  const usage: Usage = {
    ...USAGE,
    storageClass,
    prompts: wholeNumber("--prompts", values.prompts) ?? USAGE.prompts,
    versions: wholeNumber("--versions", values.versions) ?? USAGE.versions,
    documentBytes: wholeNumber("--document-bytes", values["document-bytes"]) ?? USAGE.documentBytes,
    headBytes: wholeNumber("--head-bytes", values["head-bytes"]) ?? USAGE.headBytes,
    keptDays: wholeNumber("--head-days", values["head-days"]) ?? USAGE.keptDays,
    pinnedReads: count("--reads", values.reads),
    latestReads: count("--latest-reads", values["latest-reads"]),
    writes: count("--writes", values.writes),
    moves: count("--moves", values.moves),
    pages: count("--pages", values.pages),
    polls: count("--polls", values.polls),
    internet: values.internet === true,
    kms: values.kms === true,
  };
  const cost = estimate(usage, prices);
  if (context.json) return terminal.json({ usage, ...cost }) as undefined;
  const rows = cost.lines.map(({ what, amount, unit, cost: each }): Cell[] => [
    what,
    unit === "GB" ? `${amount.toFixed(3)} GB` : amount.toLocaleString("en-US"),
    each.toFixed(4),
  ]);
  printRows(terminal, ["WHAT", "AMOUNT", cost.currency], rows);
  terminal.out(`${cost.total.toFixed(2)} ${cost.currency} a month\n`);
  terminal.note(
    `list prices of ${cost.region}, ${cost.asOf}; --print-prices tells their sources, --prices FILE replaces them`,
  );
  if (cost.unverified.length > 0) terminal.note(`not verified, as no source is named: ${cost.unverified.join(", ")}`);
}

/** Of what may be none at all, and may be very many. */
function count(option: string, value: string | undefined): number {
  if (value === undefined) return 0;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw usageError(`${option} must be a whole number`);
}
