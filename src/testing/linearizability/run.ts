import { openStored } from "../../document.ts";
import type { Change, Head, HeadState, Outcome, ReadAnswer, StorageDriver } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { type PromptName, parseLabel, parseName } from "../../names.ts";
import { parseVersion, type Version } from "../../semver.ts";
import { commitOf, documentOf, tombstoneOf } from "../builders.ts";
import { createRandom, type Random } from "../random.ts";
import type { ClientCall, ClientEvent, ClientResult, Expectation, Seen } from "./model.ts";

export interface RunOptions {
  /** Handles to the same storage; clients take them in turn. */
  readonly handles: readonly StorageDriver[];
  readonly clients: number;
  /** Calls of each client. */
  readonly ops: number;
  readonly seed: number;
  /** Calls of each client on one prompt before all go on to the next. Default 50: more makes prompts with nothing left to publish. */
  readonly opsPerPrompt?: number;
  /** First segment of the names. Default `lin`. */
  readonly prefix?: string;
}

const VERSIONS = [
  "1.0.0",
  "1.0.1",
  "1.1.0",
  "1.2.0",
  "1.10.0",
  "2.0.0-beta.1",
  "2.0.0-beta.2",
  "2.0.0",
  "2.0.1",
  "3.0.0",
]
  .concat(["3.1.0", "3.2.0", "0.1.0", "0.9.0", "4.0.0-rc.1", "4.0.0", "10.0.0"])
  .map(parseVersion);
const LABELS = ["production", "staging", "constructor"].map(parseLabel);

/**
 * Lets clients publish, read, label, yank and remove at the same time, and writes down what each was told. Which calls
 * they make depends on the seed, on the timing of the storage only where they act on what they read.
 */
export async function runHistory(options: RunOptions): Promise<ClientEvent[]> {
  const random = createRandom(options.seed);
  const events: ClientEvent[] = [];
  const time = { now: 0 };
  const clients = Array.from({ length: options.clients }, (_, id) => {
    const driver = options.handles[id % options.handles.length] as StorageDriver;
    return new Client(id, driver, random.fork(), events, time);
  });
  const perPrompt = options.opsPerPrompt ?? 50;
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < options.ops; i++) {
        const round = Math.floor(i / perPrompt);
        await client.act(parseName(`${options.prefix ?? "lin"}/s${options.seed}/r${round}`));
      }
    }),
  );
  return events;
}

/** A call and its answer as the steps that the checker sees. */
type Split = (result: ClientResult) => readonly { readonly call: ClientCall; readonly result: ClientResult }[];
type Told = Exclude<ClientResult, { status: "unknown" }>;

class Client {
  readonly #id: number;
  readonly #driver: StorageDriver;
  readonly #random: Random;
  readonly #events: ClientEvent[];
  readonly #time: { now: number };
  #texts = 0;

  constructor(id: number, driver: StorageDriver, random: Random, events: ClientEvent[], time: { now: number }) {
    this.#id = id;
    this.#driver = driver;
    this.#random = random;
    this.#events = events;
    this.#time = time;
  }

  async act(prompt: PromptName): Promise<void> {
    const dice = this.#random.int(100);
    const version = this.#random.pick(VERSIONS);
    if (dice < 18) return void (await this.#publish(prompt, version));
    if (dice < 36) return void (await this.#read(prompt, { kind: "read", version }));
    if (dice < 56) return void (await this.#read(prompt, { kind: "latest" }));
    if (dice < 72) return void (await this.#read(prompt, { kind: "label", label: this.#random.pick(LABELS) }));
    const state = (await this.#read(prompt, { kind: "head" }))?.head;
    if (state === undefined) return;
    if (dice < 76) return void (await this.#publish(prompt, version, state));
    if (dice < 90) return void (await this.#setLabel(prompt, state));
    if (dice < 95) return void (await this.#yank(prompt, state));
    return void (await this.#remove(prompt, state));
  }

  /** Makes one call and writes it down; gives back what the store said, or nothing when that is not known. */
  async #record<T>(
    prompt: PromptName,
    call: ClientCall,
    run: () => Promise<{ value: T; told: Told }>,
    split: Split = (result) => [{ call, result }],
  ): Promise<T | undefined> {
    const called = ++this.#time.now;
    const write = (result: ClientResult) => {
      const event = { client: this.#id, prompt, called, returned: ++this.#time.now };
      for (const part of split(result)) this.#events.push({ ...event, ...part });
    };
    await this.#pause();
    try {
      const { value, told } = await run();
      await this.#pause();
      write(told);
      return value;
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      // What surely did not happen leaves no trace.
      if (error.outcome === "unknown") write({ status: "unknown" });
      return undefined;
    }
  }

  /** Lets calls overlap even where the storage answers at once. */
  async #pause(): Promise<void> {
    if (this.#random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve));
    else for (let i = this.#random.int(4); i > 0; i--) await undefined;
  }

  #read(prompt: PromptName, call: Extract<ClientCall, { kind: "read" | "latest" | "label" | "head" }>) {
    return this.#record(prompt, call, async () => {
      const { kind } = call;
      const selector =
        kind === "read"
          ? { kind: "version" as const, version: call.version }
          : kind === "label"
            ? { kind, label: call.label }
            : { kind };
      const ask = { name: prompt, selector };
      // Both ways to the same answer are part of the history.
      const ready = this.#random.chance() ? this.#driver.peek(ask) : undefined;
      const answer = ready ?? ((await this.#driver.read([ask]))[0] as ReadAnswer);
      return { value: answer as ReadAnswer & { head?: HeadState }, told: told(answer, kind !== "read") };
    });
  }

  /** @param split the steps that the call takes one after the other, unless everything in a commit moves together */
  #commit(prompt: PromptName, call: ClientCall, change: Change, split?: Split) {
    const run = async () => {
      const [outcome] = await this.#driver.commit(commitOf(change));
      return { value: outcome, told: toldOf(outcome as Outcome) };
    };
    return this.#record(prompt, call, run, this.#driver.capabilities.atomicity === "batch" ? undefined : split);
  }

  #publish(prompt: PromptName, version: Version, guard?: HeadState) {
    const document = documentOf(prompt, version, `client ${this.#id}, text ${++this.#texts}\n`);
    const call = { kind: "publish" as const, version, text: document.text };
    const put: Split = (result) => this.#steps(call, result);
    if (guard === undefined) return this.#commit(prompt, call, { name: prompt, add: [document] }, put);
    const expect = expectation(guard);
    const change = { name: prompt, add: [document], guard: guard.revision };
    return this.#commit(prompt, { ...call, guard: expect }, change, (result) => {
      const claim = { kind: "claim" as const, expect };
      if (result.status === "conflict") return [{ call: claim, result }];
      // A slot that was taken meanwhile may have been seen before or after the head was moved.
      const claimed: ClientResult = { status: result.status === "done" ? "done" : "unknown" };
      return [{ call: claim, result: claimed }, ...put(result)];
    });
  }

  /** A store that moves one thing at a time shows a version before `latest` knows of it. */
  #steps(call: Extract<ClientCall, { kind: "publish" }>, result: ClientResult) {
    const later = this.#driver.capabilities.atomicity === "document" && result.status !== "exists";
    if (!later) return [{ call, result }];
    return [
      { call: { ...call, counts: "later" as const }, result },
      { call: { kind: "count" as const, version: call.version }, result },
    ];
  }

  #setLabel(prompt: PromptName, state: HeadState) {
    const version = state.latest;
    if (version === undefined) return undefined;
    const label = this.#random.pick(LABELS);
    const next = { ...bare(state.head), labels: { ...state.head.labels, [label]: version } };
    const call = { kind: "setLabel" as const, expect: expectation(state), label, version };
    return this.#commit(prompt, call, headChange(prompt, state, next));
  }

  #yank(prompt: PromptName, state: HeadState) {
    const version = state.latest;
    if (version === undefined) return undefined;
    const next = { ...bare(state.head), yanked: { ...state.head.yanked, [version]: { at: NOW } } };
    const call = { kind: "yank" as const, expect: expectation(state), version };
    return this.#commit(prompt, call, headChange(prompt, state, next));
  }

  async #remove(prompt: PromptName, state: HeadState): Promise<void> {
    const version = this.#random.pick(VERSIONS);
    const { head } = state;
    if (Object.values(head.labels).includes(version) || head.yanked[version]?.removed) return;
    const answer = await this.#read(prompt, { kind: "read", version });
    if (answer?.status !== "found") return;
    const { text } = answer.document;
    const { digest } = openStored(text, answer.document);
    const tombstone = tombstoneOf({ name: prompt, version, text, digest });
    const next = { ...bare(head), yanked: { ...head.yanked, [version]: { at: NOW, removed: true as const } } };
    const change: Change = { ...headChange(prompt, state, next), remove: [tombstone] };
    const call = { kind: "remove" as const, expect: expectation(state), version, text: tombstone.text };
    const entomb = { kind: "entomb" as const, version, text: tombstone.text };
    await this.#commit(prompt, call, change, (result) =>
      result.status === "conflict"
        ? [{ call, result }]
        : [
            { call, result },
            { call: entomb, result },
          ],
    );
  }
}

const NOW = "2026-01-01T00:00:00.000Z";

function bare(head: Head): Omit<Head, "generation"> {
  const { generation: _, ...rest } = head;
  return rest;
}

function headChange(name: PromptName, state: HeadState, next: Omit<Head, "generation">): Change {
  return { name, head: { expect: state.revision, next, entries: [] } };
}

function expectation({ head, revision }: HeadState): Expectation {
  return { generation: head.generation, revision };
}

function seen(state: HeadState): Seen {
  return { ...expectation(state), latest: state.latest, labels: state.head.labels };
}

function told(answer: ReadAnswer, withHead: boolean): Told {
  switch (answer.status) {
    case "found":
    case "removed": {
      const { version, text } = answer.document;
      const head = withHead && answer.head !== undefined ? { seen: seen(answer.head) } : {};
      return { status: answer.status, version, text, ...head };
    }
    case "head":
      return { status: "head", seen: seen(answer.head) };
    case "absent":
      return { status: "absent", ...(withHead && answer.head !== undefined ? { seen: seen(answer.head) } : {}) };
    case "unchanged":
      throw new RegistryError("INTERNAL", "unchanged was answered to an ask without a known revision");
  }
}

function toldOf(outcome: Outcome): Told {
  switch (outcome.status) {
    case "done":
      return { status: "done" };
    case "exists":
      return { status: "exists", text: outcome.existing.text };
    case "conflict":
      return { status: "conflict" };
    case "failed":
      throw outcome.error;
    case "skipped":
      throw new RegistryError("INTERNAL", "skipped was answered to a commit that was not atomic");
  }
}
