import type { ChangeEvent, Health, HistoryEntry, Page, PromptEntry, StorageDriver, VersionEntry } from "./driver.ts";
import { throwIfAborted } from "./errors.ts";
import type { PublishPolicy } from "./policy/types.ts";
import { operation } from "./registry/asks.ts";
import { type ChangeOptions, type Context, createContext, type RegistryOptions } from "./registry/context.ts";
import { diffPrompts, type PromptDiff } from "./registry/diff.ts";
import {
  type DoctorOptions,
  type DoctorReport,
  doctor,
  resolveAt,
  type VerifyOptions,
  type VerifyReport,
  verify,
} from "./registry/inspect.ts";
import {
  changes,
  history,
  type ListOptions,
  listPrompts,
  listVersions,
  type PageOptions,
  type VersionListOptions,
} from "./registry/lists.ts";
import type { Listing } from "./registry/pages.ts";
import {
  type LabelOptions,
  type PointerResult,
  removeLabel,
  rollback,
  setDeprecated,
  setLabel,
  setYanked,
  unpin,
} from "./registry/pointers.ts";
import type { Prompt } from "./registry/prompt.ts";
import { type GetOptions, Reader } from "./registry/read.ts";
import { deletePrompt, deleteVersion, type RemoveResult, restoreVersion } from "./registry/remove.ts";
import type { StoreRequest } from "./registry/request.ts";
import type { PromptSelector } from "./registry/selector.ts";
import { type StoreManyOptions, storeMany, storeOne } from "./registry/store.ts";
import type { StoreFailure, StoreResult } from "./registry/store-result.ts";
import type { Version } from "./semver.ts";

export type { ListOptions, PageOptions } from "./registry/lists.ts";

/**
 * A registry of prompts over any storage: every rule of the domain, and no I/O of its own.
 *
 * Every method throws `RegistryError` only: `INVALID` for bad input (before anything is read or written), `NOT_FOUND`,
 * `ALREADY_EXISTS`, `CONFLICT`, and what the storage has to say. `error.outcome` tells whether it may be tried again.
 *
 * @example
 * const registry = new PromptRegistry(memory());
 * await registry.storePrompt({ name: "support/triage", version: "1.0.0", text: "Sort this: {{ticket}}" });
 * const prompt = await registry.getPrompt("support/triage");
 * prompt.render({ ticket: "It is broken." });
 */
export class PromptRegistry {
  readonly driver: StorageDriver;
  readonly #context: Context;
  readonly #reader: Reader;

  constructor(driver: StorageDriver, options: RegistryOptions = {}) {
    this.driver = driver;
    this.#context = createContext(driver, options);
    this.#reader = new Reader(this.#context);
  }

  /** What is asked before a version is stored; `undefined`: nothing is. */
  get policy(): PublishPolicy | undefined {
    return this.#context.policy;
  }

  /**
   * Reads one version of a prompt, verified against its digest.
   *
   * @param selector `name` (latest), `name@1.2.0`, `name@^1.2`, `name@production`, or the parts as an object
   * @throws RegistryError NOT_FOUND, CORRUPT
   * @example
   * const { text, version } = await registry.getPrompt("support/triage@production");
   */
  getPrompt(selector: PromptSelector, options?: GetOptions): Promise<Prompt> {
    const promise = options === undefined && typeof selector === "string" ? this.#reader.promised(selector) : undefined;
    return promise ?? this.#get(selector, options);
  }

  async #get(selector: PromptSelector, options: GetOptions | undefined): Promise<Prompt> {
    throwIfAborted(options?.signal, "getPrompt");
    if (options?.status !== true && options?.fresh !== true) {
      const ready = this.#reader.peek(selector);
      if (ready !== undefined) return ready;
    }
    return this.#reader.get(selector, options ?? {});
  }

  /**
   * The same, at once: from memory or by one small local read; `undefined` where the storage must be waited for.
   *
   * @example
   * const prompt = registry.peekPrompt("support/triage@1.0.0") ?? (await registry.getPrompt("support/triage@1.0.0"));
   */
  peekPrompt(selector: PromptSelector): Prompt | undefined {
    return this.#reader.peek(selector);
  }

  /** Reads many at once, in as few round trips as the storage allows; index-aligned. Fails as a whole. */
  async getPrompts(selectors: readonly PromptSelector[], options: GetOptions = {}): Promise<Prompt[]> {
    return this.#reader.getMany(
      selectors.map((s) => this.#reader.ref(s)),
      options,
    );
  }

  /**
   * Stores a version. When this resolves, every later read returns it, also after a crash.
   *
   * The same text again is `unchanged`; another text under a version that exists is `ALREADY_EXISTS`. Publishing again
   * after any failure is safe.
   *
   * @example
   * await registry.storePrompt({ name: "support/triage", bump: "minor", text, labels: ["staging"], message: "shorter" });
   */
  async storePrompt(
    request: StoreRequest,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<StoreResult> {
    return storeOne(this.#context, request, options);
  }

  /**
   * Stores many; index-aligned results. Bad input in any of them is thrown before anything is written. Without `atomic`
   * each then stands for itself and a failure is a result, unless one failure of the storage kept everything from being
   * stored; with it all are stored or none, and a failure is thrown.
   */
  async storePrompts(
    requests: readonly StoreRequest[],
    options: StoreManyOptions = {},
  ): Promise<(StoreResult | StoreFailure)[]> {
    return storeMany(this.#context, requests, options);
  }

  /** Prompts by name, in byte order: a page when awaited, everything when iterated. */
  listPrompts(options: ListOptions = {}): Listing<PromptEntry> {
    return listPrompts(this.driver, options);
  }

  /** Versions of a prompt, highest first. Empty for a prompt that is not there. */
  listVersions(name: string, options: VersionListOptions = {}): Listing<VersionEntry> {
    return listVersions(this.driver, name, options);
  }

  /** Who changed what and when, newest first. */
  history(name: string, options: PageOptions = {}): Listing<HistoryEntry> {
    return history(this.driver, name, options);
  }

  /** The feed of names that may have changed since `cursor`; without one, the cursor of now. */
  changes(options: PageOptions = {}): Promise<Page<ChangeEvent>> {
    return changes(this.driver, options);
  }

  /**
   * Puts a label on a version.
   *
   * @param selector the version: `1.2.0`, `^1.2`, another label, or `latest`
   * @throws RegistryError NOT_FOUND; CONFLICT when `expect` is given and the label is elsewhere
   * @example
   * await registry.setLabel("support/triage", "production", "1.2.0", { expect: "1.1.0" });
   */
  setLabel(name: string, label: string, selector: string, options: LabelOptions = {}): Promise<PointerResult> {
    return setLabel(this.#context, this.#reader, name, label, selector, options);
  }

  removeLabel(name: string, label: string, options: LabelOptions = {}): Promise<PointerResult> {
    return removeLabel(this.#context, name, label, options);
  }

  /**
   * Pins `latest` to an earlier version until it is unpinned.
   *
   * @param options `to`: the version; default: the one before what `latest` selects now
   */
  rollback(name: string, options: ChangeOptions & { readonly to?: string | undefined } = {}): Promise<PointerResult> {
    return rollback(this.#context, name, options);
  }

  /** Lets `latest` follow the highest version again. */
  unpin(name: string, options: ChangeOptions = {}): Promise<PointerResult> {
    return unpin(this.#context, name, options);
  }

  /** Takes a version out of `latest` and ranges; it stays readable by exact version and by label. */
  yank(name: string, version: string, options: ChangeOptions = {}): Promise<PointerResult> {
    return setYanked(this.#context, name, version, true, options);
  }

  unyank(name: string, version: string, options: ChangeOptions = {}): Promise<PointerResult> {
    return setYanked(this.#context, name, version, false, options);
  }

  /** Marks a whole prompt as deprecated, saying what to use instead; `null` lifts it. It stays readable. */
  deprecate(
    name: string,
    message: string | null,
    options: Omit<ChangeOptions, "message"> = {},
  ): Promise<PointerResult> {
    return setDeprecated(this.#context, name, message, options);
  }

  /**
   * Removes the text of a version for ever. Its slot is kept by a tombstone: the version can't be stored again with
   * another text. A labelled or pinned version is a `CONFLICT`.
   */
  deleteVersion(name: string, version: string, options: ChangeOptions = {}): Promise<RemoveResult> {
    return deleteVersion(this.#context, name, version, options);
  }

  /** Removes every version of a prompt and all its labels. */
  deletePrompt(name: string, options: ChangeOptions = {}): Promise<RemoveResult> {
    return deletePrompt(this.#context, name, options);
  }

  /** Brings a removed version back from a sealed copy with the same digest. */
  restoreVersion(
    request: { readonly name: string; readonly version: string; readonly text: string },
    options: ChangeOptions = {},
  ): Promise<PointerResult> {
    return restoreVersion(this.#context, request, options);
  }

  /**
   * What a label, or `latest`, selected at an instant.
   *
   * @example
   * await registry.resolveAt("support/triage", "production", "2026-11-24T14:03:00Z");
   */
  resolveAt(
    name: string,
    label: string,
    time: Date | string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Version | undefined> {
    return resolveAt(this.#context, name, label, time, options);
  }

  /** Compares two versions. A second selector that starts with `@` means the same prompt. */
  async diff(
    a: PromptSelector,
    b: PromptSelector,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<PromptDiff> {
    const from = this.#reader.ref(a);
    const to = this.#reader.ref(typeof b === "string" && b.startsWith("@") ? `${from.name}${b}` : b);
    const [first, second] = await this.#reader.getMany([from, to], options);
    return diffPrompts(first as Prompt, second as Prompt);
  }

  /** Reads every byte of a prompt, or of all prompts, and checks digests and pointers. */
  verify(name?: string, options: VerifyOptions = {}): Promise<VerifyReport> {
    return verify(this.#context, name, options);
  }

  /** Looks for what a crash, a hand or an old layout left behind, and repairs it when asked. */
  doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
    return doctor(this.#context, options);
  }

  /** Whether the storage can be reached and does what it claims. */
  check(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Health> {
    return this.driver.check(operation(options));
  }

  close(): Promise<void> {
    this.#reader.close();
    return this.driver.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
