import type { HealthCheck, Operation, StorageDriver } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import type { PromptName } from "../names.ts";
import { around } from "./around.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { Copier, type CopierOptions, type CopyPrompt } from "./mirror/copier.ts";
import type { CursorStore } from "./mirror/cursor.ts";
import { checkDuration, unlessAborted } from "./signal.ts";
import { checkWithin } from "./timeout.ts";

export type { CopyPrompt } from "./mirror/copier.ts";
export { type CursorStore, cursorFile } from "./mirror/cursor.ts";

export interface MirrorOptions {
  /** Default: a file is not kept, and every start compares all prompts. See {@link cursorFile}. */
  readonly cursor?: CursorStore;
  /** Milliseconds between two looks at the feed, for changes that others made. Default 30,000; 0: only own changes. */
  readonly poll?: number;
  /** Milliseconds until a copy that failed is tried again; doubles up to a minute. Default 1,000. */
  readonly retryDelay?: number;
  /** Default: `copyPrompt` of `prompt-registry/transfer`. */
  readonly copy?: CopyPrompt;
}

export interface MirrorStats {
  readonly pending: number;
  readonly copied: number;
  readonly failed: number;
  /** Why the last copy failed, until one succeeds; else the first of `problems`. */
  readonly problem: string | undefined;
  /** Prompts that are not in the mirror as they are in the main storage, and why. They are tried again. */
  readonly problems: Readonly<Record<PromptName, string>>;
}

export interface MirrorDriver extends StorageDriver {
  readonly mirrorStats: MirrorStats;
  /** Resolves when everything that changed up to now is in the mirror, or among the `problems`. */
  caughtUp(op?: Operation): Promise<void>;
}

/**
 * Keeps a second storage equal: writes go to the main storage, and what changed is copied afterwards. The mirror can
 * neither fail nor delay a write. At start it catches up with what changed while nobody copied. The mirror is for this
 * layer alone to write: a prompt that somebody else stored there differently is left as it is, told by `mirrorStats` and
 * `check()`, and tried again; the others go on.
 *
 * @param target closed with this layer
 * @throws RegistryError CONFIG where the target can't be written
 * @example
 * stack(postgres({ url }), [mirror(fs({ path: "./mirror" }), { cursor: cursorFile("./mirror.cursor") }), retry()]);
 */
export function mirror(target: StorageDriver, options: MirrorOptions = {}): Layer<MirrorDriver> {
  if (!target.capabilities.write) {
    throw new RegistryError("CONFIG", `the mirror ${target.kind} ${target.location} can't be written`, {
      field: "mirror",
    });
  }
  const poll = checkDuration("mirror.poll", options.poll ?? 30_000, { zero: true });
  const retryDelay = checkDuration("mirror.retryDelay", options.retryDelay ?? 1000);
  return defineLayer("mirror", (inner) => createMirror(inner, target, { ...options, poll, retryDelay }));
}

/** Problems named by `check`. */
const TOLD = 5;
/** Milliseconds: who asks how the main storage is does not wait for a target that hangs. */
const CHECK = 5000;

function createMirror(inner: StorageDriver, target: StorageDriver, options: CopierOptions): MirrorDriver {
  const copier = new Copier(inner, target, options);
  return {
    ...around(inner),
    get mirrorStats() {
      const { pending, copied, failed, problem, problems } = copier;
      const [first] = problems;
      return {
        ...{ pending, copied, failed },
        problem: problem ?? (first === undefined ? undefined : `${first[0]}: ${first[1]}`),
        problems: Object.fromEntries(problems),
      };
    },
    caughtUp: (op) => unlessAborted(copier.caughtUp(), op?.signal, "caughtUp"),
    async commit(commit, op) {
      try {
        return await inner.commit(commit, op);
      } finally {
        // Whatever came of it: copying what did not change does nothing.
        copier.changed(commit.changes.map(({ name }) => name));
      }
    },
    async repair(plan, op) {
      const report = await inner.repair(plan, op);
      copier.changed(report.findings.flatMap((finding) => (finding.repaired && finding.name ? [finding.name] : [])));
      return report;
    },
    async check(op) {
      const [health, own] = await Promise.all([inner.check(op), checkWithin("mirror", CHECK, target, op)]);
      const { copied, failed, pending, problem, problems } = copier;
      const told = [...problems].slice(0, TOLD).map(([name, why]) => `${name}: ${why}`);
      if (problems.size > TOLD) told.push(`${problems.size - TOLD} more prompts`);
      const wrong = [...(problem === undefined ? [] : [problem]), ...told];
      const figures = { copied, pending, failed, problems: problems.size };
      const state = `${target.kind} ${target.location}: ${copied} copied, ${pending} waiting`;
      const mine: HealthCheck = {
        name: "mirror",
        ok: own.ok && wrong.length === 0,
        detail: [state, ...wrong].join("; "),
        figures,
      };
      return {
        ...health,
        ok: health.ok && mine.ok,
        checks: [...health.checks, mine],
        inner: [...(health.inner ?? []), own],
      };
    },
    async close() {
      await copier.close();
      await Promise.all([inner.close(), target.close()]);
    },
  } satisfies MirrorDriver;
}
