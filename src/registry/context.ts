import { randomUUID } from "node:crypto";
import { checkNote, MAX_AUTHOR, MAX_MESSAGE } from "../document.ts";
import type { StorageDriver } from "../driver.ts";
import type { PublishPolicy } from "../policy/types.ts";
import type { Act } from "../rules/plan.ts";

/** What every operation of the registry works with. */
export interface Context {
  readonly driver: StorageDriver;
  readonly now: () => Date;
  readonly newId: () => string;
  readonly author: string | undefined;
  readonly policy: PublishPolicy | undefined;
}

export interface RegistryOptions {
  /** Who is named as author of changes when a call names nobody. */
  readonly author?: string | undefined;
  /**
   * Asked about every version before it is stored; what it blocks is `INVALID`. Made by `createPolicy` of
   * `prompt-registry/policy`. Default: none. With one, a publish reads what is there before it writes.
   */
  readonly policy?: PublishPolicy | undefined;
  /** The clock; for tests. */
  readonly now?: (() => Date) | undefined;
  /** Makes commit ids; for tests. Default: random UUIDs. */
  readonly newId?: (() => string) | undefined;
}

export function createContext(driver: StorageDriver, options: RegistryOptions): Context {
  return {
    driver,
    now: options.now ?? (() => new Date()),
    newId: options.newId ?? randomUUID,
    author: options.author,
    policy: options.policy,
  };
}

/** What a caller may say about any change. */
export interface ChangeOptions {
  /** Who makes the change; at most 200 characters. */
  readonly author?: string | undefined;
  /** Why; at most 2000 characters. */
  readonly message?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export function actOf(context: Context, options: ChangeOptions): Act {
  checkNote("author", options.author, MAX_AUTHOR);
  checkNote("message", options.message, MAX_MESSAGE);
  return {
    at: context.now().toISOString(),
    by: options.author ?? context.author,
    message: options.message,
    commit: context.newId(),
  };
}
