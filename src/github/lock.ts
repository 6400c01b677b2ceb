import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than what is done under a lock can take. */
const STALE_MS = 90_000;
const MAX_WAIT_MS = 120_000;

/**
 * Runs something when no other process does. It saves work and is not what correctness hangs on: a lock that was left behind
 * is taken over, and where two take it over at once both run.
 *
 * @param path of the lock; it is gone afterwards
 */
export async function withLock<T>(path: string, run: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const mine = `${process.pid} ${hostname()} ${randomUUID()}\n`;
  const began = performance.now();
  while (!(await take(path, mine))) {
    await removeStale(path);
    if (performance.now() - began > MAX_WAIT_MS) break;
    await sleep(20 + Math.random() * 60);
  }
  try {
    return await run();
  } finally {
    // Not one that somebody else has by now.
    if ((await contentOf(path)) === mine) await rm(path, { force: true });
  }
}

async function take(path: string, mine: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    await file.writeFile(mine).finally(() => file.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function contentOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch(() => undefined);
}

async function removeStale(path: string): Promise<void> {
  const content = await contentOf(path);
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => undefined,
  );
  if (content === undefined || age === undefined) return;
  const [pid, host] = content.split(/\s/);
  const isDead = host === hostname() && age > 1000 && !isAlive(Number(pid));
  if (!isDead && age < STALE_MS) return;
  // Two that found it stale: one of them renames it.
  const aside = `${path}.${randomUUID()}`;
  await rename(path, aside).then(
    () => rm(aside, { force: true }),
    () => {},
  );
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
