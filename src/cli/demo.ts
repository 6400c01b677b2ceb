import { readFile } from "node:fs/promises";
import { relative, resolve, sep } from "node:path";
import { openRegistry } from "../config.ts";
import { isRegistryError } from "../errors.ts";
import type { StoreRequest } from "../registry/request.ts";
import type { Io } from "./io.ts";
import { main as cli } from "./main.ts";

interface Revision {
  readonly name: string;
  readonly version: string;
  /** Below examples/prompts. */
  readonly file: string;
  readonly message: string;
}

interface Stage {
  readonly revisions: readonly Revision[];
  /** What to compare afterwards. */
  readonly diff: readonly [string, string];
}

/** Every run stores the first stage that is not there yet. */
const STAGES: readonly Stage[] = [
  {
    revisions: [
      { name: "support/triage", version: "1.0.0", file: "support/triage/v1.0.0.md", message: "first version" },
      { name: "support/reply", version: "1.0.0", file: "support/reply.md", message: "first version" },
      { name: "code/review", version: "1.0.0", file: "code/review/v1.0.0.md", message: "first version" },
      { name: "summarize/meeting", version: "1.0.0", file: "summarize/meeting.md", message: "first version" },
      {
        name: "support/triage",
        version: "1.1.0",
        file: "support/triage/v1.1.0.md",
        message: "also ask for the urgency",
      },
    ],
    diff: ["support/triage@1.0.0", "@1.1.0"],
  },
  {
    revisions: [
      {
        name: "code/review",
        version: "2.0.0",
        file: "code/review/v2.0.0.md",
        message: "takes the rules of the project",
      },
    ],
    diff: ["code/review@1.0.0", "@2.0.0"],
  },
  {
    revisions: [
      {
        name: "support/triage",
        version: "1.2.0",
        file: "support/triage/v1.2.0.md",
        message: "also ask for the language",
      },
    ],
    diff: ["support/triage@1.1.0", "@1.2.0"],
  },
];

/** The world of the demo: the process's own streams, and nothing of its settings but how to show colour. */
function demoIo(): Io {
  const { NO_COLOR, TERM } = process.env;
  const color = process.stdout.isTTY === true;
  return {
    stdin: process.stdin,
    // Tables for people, also where the output goes into a file.
    stdout: { write: (chunk) => process.stdout.write(chunk), isTTY: true, columns: process.stdout.columns },
    stderr: { write: (chunk) => process.stdout.write(chunk) },
    env: { PROMPT_REGISTRY_AUTHOR: "demo", TERM, ...(color ? { NO_COLOR } : { NO_COLOR: "1" }) },
    cwd: process.cwd(),
    signal: new AbortController().signal,
  };
}

/**
 * `npm start`: what a registry does, on a folder of its own. Each run goes on from what is there.
 *
 * @returns the exit code
 */
export async function main(): Promise<number> {
  const { location, shown } = demoStorage();
  const say = (text = "") => process.stdout.write(`${text}\n`);
  let published: { readonly stage: Stage; readonly created: readonly string[] };
  try {
    published = await publish(location);
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    process.stderr.write(`npm start: ${error.message}\n`);
    return 1;
  }
  const { stage, created } = published;
  const io = demoIo();
  const step = async (...args: string[]) => {
    say(`$ prompt-registry ${args.map(quoted).join(" ")}`);
    await cli(["--storage", location, ...args], io);
  };
  const show = (...args: string[]) => {
    say();
    return step(...args);
  };
  say(`A prompt registry in the folder ${shown} (--storage ${location} below).`);
  say(created.length === 0 ? "Every revision of the examples is there." : `Stored ${created.join(", ")}.`);
  await show("list");
  await show("diff", ...stage.diff);
  await show("label", "support/triage", "production", "1.1.0", "-m", "reviewed");
  await step("rollback", "support/triage", "-m", "trying it out");
  await step("unpin", "support/triage");
  await show("get", "support/triage@1.0.0");
  const values = ["--var", "company=Acme", "--var", "ticket=Where is my parcel?"];
  await show("render", "support/triage@1.0.0", ...values);
  const command = `npx prompt-registry --storage ${quoted(location)}`;
  say();
  say("Now try:");
  say(`  ${command} log support/triage`);
  say(`  ${command} diff support/triage@1.0.0 @latest --words`);
  say(`  ${command} get support/triage@production --json`);
  if (created.length > 0) say("  npm start                     # again: stores the next revision");
  return 0;
}

function demoStorage(): { readonly location: string; readonly shown: string } {
  const { PROMPT_REGISTRY_DEMO_DIR: dir } = process.env;
  const path = resolve(dir === undefined || dir === "" ? "demo-registry" : dir);
  const below = relative(process.cwd(), path).split(sep).join("/");
  const shown = below === "" || below.startsWith("..") ? path : `./${below}`;
  return { location: `file:${shown.replace(/[%?#]/g, encodeURIComponent)}`, shown };
}

/** Stores the first stage of which anything is missing. Storing what is there already changes nothing. */
async function publish(location: string): Promise<{ readonly stage: Stage; readonly created: readonly string[] }> {
  const registry = await openRegistry(location, { env: {}, configFile: false });
  try {
    for (const stage of STAGES) {
      const requests = await Promise.all(stage.revisions.map(requestOf));
      const results = await registry.storePrompts(requests, { author: "demo" });
      const failed = results.find((r) => r.status === "failed");
      // What somebody deleted or replaced while playing is theirs; a storage that does not work is not.
      if (failed?.status === "failed" && failed.error.code !== "ALREADY_EXISTS") throw failed.error;
      const created = results.flatMap((r) => (r.status === "created" ? [r.ref] : []));
      if (created.length > 0) return { stage, created };
    }
    return { stage: STAGES.at(-1) as Stage, created: [] };
  } finally {
    await registry.close();
  }
}

async function requestOf({ name, version, file, message }: Revision): Promise<StoreRequest> {
  // The same two steps up from src/cli and from dist/cli.
  const text = await readFile(new URL(`../../examples/prompts/${file}`, import.meta.url), "utf8");
  return { name, version, text, message };
}

/** As a shell wants it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./^-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
