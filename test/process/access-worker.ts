// Tokens and an audit log in a process of its own, for tests where processes meet, are killed, or run out of disk.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { isRegistryError } from "../../src/errors.ts";
import { fileTokens, issueToken } from "../../src/server/access/index.ts";
import type { Place } from "../../src/server/access/places.ts";
import { openAudit, verifyAudit } from "../../src/server/audit/index.ts";

export type Order =
  | { readonly what: "flood"; readonly who: string; readonly place: Place; readonly atOnce: number }
  | { readonly what: "tokens"; readonly who: string; readonly path: string; readonly count: number }
  | { readonly what: "full" | "read-only"; readonly folder: string };

/** What a disk that is full, or can only be read, made of appends. */
export interface Told {
  readonly appended: number;
  readonly append: string;
  readonly ready: string;
  readonly verified: number;
  readonly after: string;
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const entry = (who: string, i: number) =>
  ({
    who,
    action: "versions.put",
    prompt: `p/${who}`,
    version: `1.0.${i}`,
    requestId: `${who}-${i}`,
    outcome: "done",
  }) as const;

async function told(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "done";
  } catch (error) {
    if (isRegistryError(error)) return error.code;
    throw error;
  }
}

/** Appends for ever, some at once, and tells of each that was acknowledged. */
async function flood({ who, place, atOnce }: Extract<Order, { what: "flood" }>): Promise<void> {
  const audit = await openAudit(place, { server: who });
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (;;) {
        const i = next++;
        await audit.append(entry(who, i));
        say(`${who}-${i}`);
      }
    }),
  );
}

async function tokens({ who, path, count }: Extract<Order, { what: "tokens" }>): Promise<void> {
  const store = fileTokens(path);
  for (let i = 0; i < count; i++) {
    const { record } = await issueToken(store, { name: `${who}-${i}`, scopes: ["read"] });
    await store.touch(record.id, new Date().toISOString());
    if (i % 3 === 0) await store.revoke(record.id, new Date().toISOString());
    say(`${record.id} ${i % 3 === 0}`);
  }
  await store.close();
}

/** In a mount namespace of its own. */
async function disk({ what, folder }: Extract<Order, { what: "full" | "read-only" }>): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const size = what === "full" ? "size=256k" : "size=4m";
  execFileSync("mount", ["-t", "tmpfs", "-o", size, "tmpfs", folder]);
  const place = { backend: "file", path: `${folder}/log/audit.jsonl` } as const;
  let audit = await openAudit(place, { server: "disk" });
  await audit.ready();
  let appended = 0;
  let append = "done";
  if (what === "read-only") {
    await audit.append(entry("disk", appended++));
    // What is open for writing keeps a disk from being made so.
    await audit.close();
    audit = await openAudit(place, { server: "disk" });
    execFileSync("mount", ["-o", "remount,ro", folder]);
    append = await told(() => audit.append(entry("disk", 1)));
  }
  while (append === "done" && appended < 10_000) {
    const large = { ...entry("disk", appended), note: "x".repeat(900) };
    append = await told(() => audit.append(large));
    if (append === "done") appended++;
  }
  const ready = await told(() => audit.ready());
  const { entries, ok } = await verifyAudit(place);
  if (!ok) throw new Error("the log does not verify");
  execFileSync("mount", ["-o", what === "full" ? "remount,size=1m" : "remount,rw", folder]);
  const after = await told(async () => {
    await audit.ready();
    await audit.append(entry("disk", 20_000));
    if (!(await verifyAudit(place)).ok) throw new Error("the log does not verify");
  });
  say(JSON.stringify({ appended, append, ready, verified: entries, after } satisfies Told));
  await audit.close();
}

const order = JSON.parse(process.argv[2] as string) as Order;
if (order.what === "flood") await flood(order);
else if (order.what === "tokens") await tokens(order);
else await disk(order);
