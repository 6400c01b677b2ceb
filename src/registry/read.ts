import { openStored } from "../document.ts";
import type { HeadState, Lease, Operation, Provenance, ReadAnswer, ReadAsk } from "../driver.ts";
import { RegistryError, show } from "../errors.ts";
import { type PromptName, type PromptRef, parseRef } from "../names.ts";
import { maxSatisfying, type Range, type Version } from "../semver.ts";
import { older, operation, readAll, readOne, versionPages } from "./asks.ts";
import type { Context } from "./context.ts";
import { missing, notFound } from "./missing.ts";
import { Prompt } from "./prompt.ts";
import { type PromptSelector, refOf } from "./selector.ts";

export interface GetOptions {
  readonly signal?: AbortSignal | undefined;
  /** Also read labels, yank and deprecation of an exact version (one more look at the head). Default `false`. */
  readonly status?: boolean | undefined;
  /**
   * Ask the store itself, whatever a cache, a server or this registry remembers; an outage is an error then, not an older answer.
   * Default `false`.
   */
  readonly fresh?: boolean | undefined;
}

const MAX_REMEMBERED = 65_536;
const MAX_REMEMBERED_BYTES = 64 * 2 ** 20;

/** A parsed selector, and what the driver's last answer to it was turned into. */
interface Remembered {
  readonly ref: PromptRef;
  /**
   * The driver's own frozen answer. What was verified once is served again only while the driver still gives that very
   * object, so what is remembered here can't be stale.
   */
  answer: ReadAnswer | undefined;
  prompt: Prompt | undefined;
  lease: Lease;
}

/** What may be given at once. */
interface Ready {
  readonly prompt: Prompt;
  /** The same for who awaits it, made once: a promise that is kept is awaited faster than one that is made. */
  promise: Promise<Prompt> | undefined;
  /** Whole seconds after `ORIGIN`: a small number lies in the object itself, any other one somewhere else in memory. */
  readonly until: number;
}

const ORIGIN = Date.now();
/** Thirty-four years. */
const FOREVER = 2 ** 30;

const NO_LEASE: Lease = Object.freeze({ until: 0 });

function holds(lease: Lease): boolean {
  return lease.until === Number.POSITIVE_INFINITY || (lease.until > 0 && lease.until > Date.now());
}

/** Reads prompts; asking the same again costs two look-ups. */
export class Reader {
  readonly #context: Context;
  readonly #remembered = new Map<string, Remembered>();
  #bytes = 0;
  // What is behind #remembered lies all over the memory. As long as nothing at all changes, one look-up is enough.
  #ready = new Map<string, Ready>();
  #store: Lease["store"];
  #seen = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  ref(selector: PromptSelector): PromptRef {
    return typeof selector === "string" ? this.#remember(selector).ref : refOf(selector);
  }

  /** The answer if it can be had at once; `undefined` sends the caller to {@link get}. */
  peek(selector: PromptSelector): Prompt | undefined {
    if (typeof selector !== "string") {
      const ref = refOf(selector);
      if (ref.selector.kind === "range") return undefined;
      const answer = this.#context.driver.peek(ref as ReadAsk);
      return answer === undefined ? undefined : this.#open(ref, answer);
    }
    const ready = this.#atHand(selector);
    if (ready !== undefined) return ready.prompt;
    const known = this.#remembered.get(selector) ?? this.#remember(selector);
    if (holds(known.lease)) {
      if (known.prompt !== undefined) this.#hold(selector, known.prompt, known.lease);
      return known.prompt;
    }
    const { ref } = known;
    if (ref.selector.kind === "range") return undefined;
    const answer = this.#context.driver.peek(ref as ReadAsk);
    if (answer === undefined) return undefined;
    if (answer === known.answer) return known.prompt;
    const prompt = this.#open(ref, answer);
    this.#bytes += prompt.text.length;
    if (this.#bytes > MAX_REMEMBERED_BYTES) this.#forget();
    else {
      known.answer = answer;
      known.prompt = prompt;
      known.lease = answer.lease ?? NO_LEASE;
    }
    return prompt;
  }

  /** What {@link peek} would give of what is at hand, as a promise. */
  promised(selector: string): Promise<Prompt> | undefined {
    const ready = this.#atHand(selector);
    if (ready === undefined) return undefined;
    ready.promise ??= Promise.resolve(ready.prompt);
    return ready.promise;
  }

  #atHand(selector: string): Ready | undefined {
    if (this.#store?.changes !== this.#seen) return undefined;
    const ready = this.#ready.get(selector);
    if (ready === undefined) return undefined;
    return ready.until === FOREVER || ready.until > (Date.now() - ORIGIN) / 1000 ? ready : undefined;
  }

  #remember(selector: string): Remembered {
    const known = this.#remembered.get(selector);
    if (known !== undefined) return known;
    const fresh: Remembered = { ref: parseRef(selector), answer: undefined, prompt: undefined, lease: NO_LEASE };
    if (this.#remembered.size >= MAX_REMEMBERED) this.#forget();
    this.#remembered.set(selector, fresh);
    return fresh;
  }

  /** Puts what holds now at hand, if there is a way to know that everything still does. */
  #hold(selector: string, prompt: Prompt, { store, until }: Lease): void {
    if (store === undefined) return;
    this.#store ??= store;
    // Of several stores behind one driver, the first.
    if (store !== this.#store) return;
    if (store.changes !== this.#seen) {
      this.#ready = new Map();
      this.#seen = store.changes;
    }
    const seconds =
      until === Number.POSITIVE_INFINITY ? FOREVER : Math.min(Math.floor((until - ORIGIN) / 1000), FOREVER - 1);
    this.#ready.set(selector, { prompt, promise: undefined, until: seconds });
  }

  /** Ends what was remembered; called before the driver is closed. */
  close(): void {
    this.#forget();
  }

  #forget(): void {
    this.#remembered.clear();
    this.#ready.clear();
    this.#bytes = 0;
  }

  async get(selector: PromptSelector, options: GetOptions): Promise<Prompt> {
    const [prompt] = await this.getMany([this.ref(selector)], options);
    return prompt as Prompt;
  }

  async getMany(
    refs: readonly PromptRef[],
    options: GetOptions,
    op = operation(options),
    isAgain = false,
  ): Promise<Prompt[]> {
    const exact = await Promise.all(refs.map((ref) => this.#exact(ref, op)));
    const asks: ReadAsk[] = exact.map(({ ask }) => ask);
    const wantsHead = exact.map(
      ({ ask, head }) => options.status === true && head === undefined && ask.selector.kind === "version",
    );
    const headAsks = exact
      .filter((_, i) => wantsHead[i])
      .map(({ ask }) => ({ name: ask.name, selector: { kind: "head" as const } }));
    const answers = await readAll(this.#context, [...asks, ...headAsks], op);
    let nextHead = asks.length;
    const lost = isAgain
      ? []
      : refs.filter(({ selector }, i) => selector.kind === "range" && answers[i]?.status !== "found");
    // Removed between the two steps, or since the list was remembered: another version may be in the range.
    const again = lost.length === 0 ? [] : await this.getMany(lost, options, { ...op, fresh: true }, true);
    return refs.map((ref, i) => {
      const found = again[lost.indexOf(ref)];
      if (found !== undefined) return found;
      const answer = answers[i] as ReadAnswer;
      let status: Status | undefined = exact[i];
      if (wantsHead[i]) {
        const own = answers[nextHead++];
        if (own?.status === "head") status = { head: own.head };
      }
      return this.#open(ref, answer, status);
    });
  }

  /** Turns a range into an exact version; everything else is asked as it is. */
  async #exact(ref: PromptRef, op: Operation): Promise<{ readonly ask: ReadAsk } & Status> {
    const { name, selector } = ref;
    if (selector.kind !== "range") return { ask: { name, selector } };
    const { version, ...status } = await resolveRange(this.#context, name, selector.range, op);
    return { ask: { name, selector: { kind: "version", version } }, ...status };
  }

  #open(ref: PromptRef, answer: ReadAnswer, status: Status = {}): Prompt {
    if (answer.status !== "found") throw missing(ref, answer);
    const { document } = answer;
    const provenance = status.provenance ?? answer.provenance;
    const opened = openStored(document.text, document);
    if (opened.kind === "tombstone") throw missing(ref, { ...answer, status: "removed" });
    const { driver } = this.#context;
    return new Prompt(opened, {
      name: document.name,
      version: document.version,
      source: provenance?.source ?? driver.kind,
      fetchedAt: provenance?.fetchedAt ?? Date.now(),
      head: status.head ?? answer.head,
      provenance,
    });
  }
}

/** What was found out beside a document. */
interface Status {
  readonly head?: HeadState;
  /** Of what a range was resolved from. */
  readonly provenance?: Provenance;
}

async function resolveRange(
  context: Context,
  name: PromptName,
  range: Range,
  op: Operation,
): Promise<{ readonly version: Version } & Status> {
  const [answer, pages] = await Promise.all([
    readOne(context, name, { kind: "head" }, op),
    versionPages(context, name, op, false),
  ]);
  if (answer.status !== "head") throw notFound(name);
  const { entries } = pages;
  const version = maxSatisfying(
    entries.filter((e) => e.yanked === undefined).map((e) => e.version),
    range,
  );
  if (version !== undefined) {
    const provenance = older(answer.provenance, pages.provenance);
    return { version, head: answer.head, ...(provenance === undefined ? {} : { provenance }) };
  }
  const newest = entries[0]?.version;
  const why = newest === undefined ? "it has no versions" : `its highest version is ${newest}`;
  throw new RegistryError("NOT_FOUND", `${name} has no version in ${show(range)} that is not yanked; ${why}`, { name });
}
