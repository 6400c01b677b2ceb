import type { StorageDriver } from "../../driver.ts";
import type { PromptName } from "../../names.ts";
import type { PromptRegistry } from "../../registry.ts";
import type { Version } from "../../semver.ts";
import type { Hand } from "./hand.ts";

/** `describe` and `it` of vitest, jest or node:test. */
export interface SuiteRunner {
  readonly describe: (name: string, define: () => void) => unknown;
  readonly it: ((name: string, run: () => Promise<void>) => unknown) & {
    readonly skip?: (name: string, run: () => Promise<void>) => unknown;
  };
}

/** What the store may be asked at most for one thing a user does, counted in the store's own calls. */
export type BudgetOperation =
  /** `read` of one exact version. */
  | "readVersion"
  /** `read` of one label. */
  | "readLabel"
  /** `read` of one latest. */
  | "readLatest"
  /** `read` of 50 exact versions of 50 prompts. */
  | "readMany"
  /** `commit` that adds one version. */
  | "publish"
  /** `commit` that adds one version to each of 50 prompts. */
  | "publishMany"
  /** `commit` that replaces a head. */
  | "moveHead"
  /** A page of 100 names. */
  | "listPrompts"
  /** A page of 100 names with heads. */
  | "listPromptsWithHeads"
  /** A page of 100 versions. */
  | "listVersions"
  /** A page of 100 entries. */
  | "history"
  /** A page of the feed. */
  | "changes";

export interface SuiteSkip {
  /** The full title of a test. */
  readonly test: string;
  readonly reason: string;
}

export interface SuiteOptions {
  /** What is tested; becomes the title of the suite. */
  readonly name: string;
  readonly runner: SuiteRunner;
  /** A driver on a storage that is new and empty. */
  readonly open: () => Promise<StorageDriver>;
  /** Closes the driver and opens the same data again. Without it the tests of durability are skipped, and say so. */
  readonly reopen?: ((driver: StorageDriver) => Promise<StorageDriver>) | undefined;
  /** One more handle to the same data, with no memory in common. Without it writers meet in one handle only. */
  readonly another?: ((driver: StorageDriver) => Promise<StorageDriver>) | undefined;
  /** Changes the bytes of a stored version behind the driver's back. */
  readonly damage?: Damage | undefined;
  /** Called after each test with every driver that `open` gave, when all handles are closed. */
  readonly dispose?: ((driver: StorageDriver) => Promise<void>) | undefined;
  /** Tests that this storage can't pass. A title that no test has is an error. */
  readonly skip?: readonly SuiteSkip[] | undefined;
  readonly budgets?:
    | {
        /** How many calls of its own this driver has made; awaits those that it makes behind its callers' backs. */
        readonly calls: (driver: StorageDriver) => number | Promise<number>;
        readonly max: Readonly<Partial<Record<BudgetOperation, number>>>;
      }
    | undefined;
  /** Where skipped tests are told. Default: standard error. */
  readonly log?: ((line: string) => void) | undefined;
}

export type Damage = (
  driver: StorageDriver,
  name: PromptName,
  version: Version,
  edit: (bytes: Uint8Array) => Uint8Array,
) => Promise<void> | void;

/** What a test works with: a fresh storage, and ways to look at it. */
export interface Lab {
  readonly driver: StorageDriver;
  readonly hand: Hand;
  /** Over `driver`. */
  readonly registry: PromptRegistry;
  /** Another fresh storage. */
  fresh(): Promise<Hand>;
  /** Another handle to the same storage; the same one again where the backend can't have two. */
  another(): Promise<Hand>;
  /** Closes a handle and opens the same data again. */
  reopen(hand?: Hand): Promise<Hand>;
  damage(name: string, version: string, edit: (bytes: Uint8Array) => Uint8Array): Promise<void>;
  /** Runs it, and fails where it takes more of the store's own calls than `budgets` allows. */
  budget(operation: BudgetOperation, run: () => Promise<unknown>): Promise<void>;
}

/** What a test needs of the backend's options beyond `open`. */
export type Need = "reopen" | "damage" | "budgets";

export interface Case {
  /** Stable: it is how a test is named in `skip`, in reports and in issues. */
  readonly title: string;
  readonly needs?: Need;
  readonly run: (lab: Lab) => Promise<void>;
}

export function test(title: string, run: (lab: Lab) => Promise<void>, needs?: Need): Case {
  return { title, run, ...(needs === undefined ? {} : { needs }) };
}
