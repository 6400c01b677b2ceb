// A registry over a SQL database in a process of its own, for tests where processes meet or are killed.
import type { StorageDriver } from "../../src/driver.ts";
import { type S3Options, s3 } from "../../src/drivers/s3/index.ts";
import { type PostgresOptions, postgres, type SqliteOptions, sqlite } from "../../src/drivers/sql/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";

export type Backend =
  | { readonly sqlite: SqliteOptions }
  | { readonly postgres: PostgresOptions }
  | { readonly s3: S3Options };

export interface Order {
  readonly what: "same" | "distinct" | "label" | "guard" | "flood" | "judge";
  readonly who: number;
  readonly rounds: number;
  /** For `judge`: what must be there, as `name@version`. */
  readonly acks?: readonly string[];
}

export interface Report {
  /** What this process won, as versions. */
  readonly won: readonly string[];
  /** How others were told no, by status or code. */
  readonly lost: Readonly<Record<string, number>>;
  /** Of `judge`. */
  readonly problems?: readonly string[];
}

export function openBackend(backend: Backend): Promise<StorageDriver> {
  if ("s3" in backend) return s3(backend.s3);
  return "sqlite" in backend ? sqlite(backend.sqlite) : postgres(backend.postgres);
}

export const RACE = "race/prompt";
export const textOf = (version: string, who: number) => `version ${version} by ${who}\n${"body ".repeat(100)}\n`;

/** Everything that was acknowledged is there, whole, and nothing is wrong with the rest: else what is. */
export async function problemsOf(registry: PromptRegistry, acks: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const ack of acks) {
    try {
      const prompt = await registry.getPrompt(ack);
      if (!prompt.text.startsWith(`version ${prompt.version} by `)) problems.push(`${ack} has another text`);
    } catch (error) {
      problems.push(`${ack}: ${error}`);
    }
  }
  for (const problem of (await registry.verify()).problems) problems.push(`verify: ${JSON.stringify(problem)}`);
  for (const check of (await registry.check()).checks) if (!check.ok) problems.push(`check: ${JSON.stringify(check)}`);
  return problems;
}

async function obey(registry: PromptRegistry, { what, who, rounds, acks = [] }: Order): Promise<Report> {
  if (what === "judge") return { won: [], lost: {}, problems: await problemsOf(registry, acks) };
  const won: string[] = [];
  const lost: Record<string, number> = {};
  const attempt = async (version: string, run: () => Promise<{ readonly status: string }>) => {
    let told: string;
    try {
      told = (await run()).status;
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      told = error.code;
    }
    if (told === "created" || told === "changed") won.push(version);
    else lost[told] = (lost[told] ?? 0) + 1;
    return told;
  };
  for (let i = 0; i < rounds; i++) {
    if (what === "same") {
      const version = `1.0.${i}`;
      await attempt(version, () => registry.storePrompt({ name: RACE, version, text: textOf(version, who) }));
    } else if (what === "distinct") {
      const version = `2.${who}.${i}`;
      const store = attempt(version, () => registry.storePrompt({ name: RACE, version, text: textOf(version, who) }));
      // What is a transaction of its own is asked for while the store waits for the others.
      await Promise.all([store, registry.driver.changes({ limit: 10 })]);
    } else if (what === "label") {
      const { version: now } = await registry.getPrompt(`${RACE}@turn`);
      const next = `3.0.${Number(now.split(".")[2]) + 1}`;
      await attempt(next, () => registry.setLabel(RACE, "turn", next, { expect: now }));
    } else if (what === "guard") {
      const { version: now } = await registry.getPrompt("race/guard");
      const version = `1.0.${Number(now.split(".")[2]) + 1}`;
      const text = textOf(version, who);
      await attempt(version, () => registry.storePrompt({ name: "race/guard", version, text, expect: now }));
    } else {
      const version = `1.${who}.${i}`;
      const name = `flood/p${i % 7}`;
      await registry.storePrompt({
        name,
        version,
        text: textOf(version, who),
        ...(i % 5 === 0 ? { labels: ["seen"] } : {}),
      });
      process.send?.({ ack: `${name}@${version}` });
    }
  }
  return { won, lost };
}

// Imported by its tests too, which only want the words.
if (process.argv[2]?.startsWith("{")) {
  const registry = new PromptRegistry(await openBackend(JSON.parse(process.argv[2]) as Backend));
  process.on("message", (order: Order) => {
    obey(registry, order).then(
      (report) => process.send?.({ report }),
      (error: unknown) => process.send?.({ failed: String((error as Error).stack) }),
    );
  });
  process.send?.({ ready: true });
}
