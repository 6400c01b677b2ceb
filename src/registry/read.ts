import { openStored } from "../document.ts";
import type {
  DriverSelector,
  HeadState,
  Lease,
  Operation,
  Provenance,
  ReadAnswer,
  ReadAsk,
  VersionEntry,
  Yank,
} from "../driver.ts";
import { RegistryError, show } from "../errors.ts";
import { formatSelector, LATEST, type PromptName, type PromptRef, parseLabel, parseName, parseRef } from "../names.ts";
import { maxSatisfying, parseRange, parseVersion, type Range, type Version } from "../semver.ts";
import type { Context } from "./context.ts";
import { Prompt } from "./prompt.ts";

/** A selector string (`name`, `name@1.2.0`, `name@^1.2`, `name@production`) or the same in parts, at most one of them. */
export type PromptSelector =
  | string
  | { readonly name: string; readonly version?: string; readonly range?: string; readonly label?: string };

export interface GetOptions {
  readonly signal?: AbortSignal;
  /** Also read labels, yank and deprecation of an exact version (one more look at the head). Default `false`. */
  readonly status?: boolean;
}

const PARTS = ["version", "range", "label"] as const;

export function refOf(selector: PromptSelector): PromptRef {
  if (typeof selector === "string") return parseRef(selector);
  const bad = (field: string, rule: string) => new RegistryError("INVALID", `selector: ${rule}`, { field });
  if (typeof selector !== "object" || selector === null) {
    throw bad("selector", `${show(selector)} is neither a string such as name@label nor an object`);
  }
  const name = parseName(selector.name);
  const given = Object.keys(selector).filter((key) => key !== "name");
  const [first, second] = given;
  // Left out and undefined must not mean the same: a label from a variable that is not set would become latest.
  for (const key of given) {
    if (!PARTS.includes(key as (typeof PARTS)[number])) throw bad(key, `${show(key)} is none of ${PARTS.join(", ")}`);
    const value: unknown = selector[key as (typeof PARTS)[number]];
    if (typeof value !== "string")
      throw bad(key, `${key} ${show(value)} of ${name} is not a string; leave it out for latest`);
  }
  if (second !== undefined)
    throw bad(second, `give one of version, range and label of ${name}, not ${first} and ${second}`);
  if (selector.version !== undefined)
    return { name, selector: { kind: "version", version: parseVersion(selector.version) } };
  if (selector.range !== undefined) return { name, selector: { kind: "range", range: parseRange(selector.range) } };
  if (selector.label === "latest") return { name, selector: LATEST };
  if (selector.label !== undefined) return { name, selector: { kind: "label", label: parseLabel(selector.label) } };
  return { name, selector: LATEST };
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

const NO_LEASE: Lease = Object.freeze({ until: 0 });

function holds(lease: Lease): boolean {
  return lease.until === Number.POSITIVE_INFINITY || (lease.until > 0 && lease.until > Date.now());
}

/** Reads prompts; asking the same again costs two look-ups. */
export class Reader {
  readonly #context: Context;
  readonly #remembered = new Map<string, Remembered>();
  #bytes = 0;

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
    const known = this.#remembered.get(selector) ?? this.#remember(selector);
    if (holds(known.lease)) return known.prompt;
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

  #remember(selector: string): Remembered {
    const known = this.#remembered.get(selector);
    if (known !== undefined) return known;
    const fresh: Remembered = { ref: parseRef(selector), answer: undefined, prompt: undefined, lease: NO_LEASE };
    if (this.#remembered.size >= MAX_REMEMBERED) this.#forget();
    this.#remembered.set(selector, fresh);
    return fresh;
  }

  /** Ends what was remembered; called before the driver is closed. */
  close(): void {
    this.#forget();
  }

  #forget(): void {
    this.#remembered.clear();
    this.#bytes = 0;
  }

  async get(selector: PromptSelector, options: GetOptions): Promise<Prompt> {
    const [prompt] = await this.getMany([this.ref(selector)], options);
    return prompt as Prompt;
  }

  async getMany(refs: readonly PromptRef[], options: GetOptions, op = operation(options)): Promise<Prompt[]> {
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
    return refs.map((ref, i) => {
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

/** For reads: a remembered answer is as good. */
export function operation(options: { readonly signal?: AbortSignal | undefined }): Operation {
  return options.signal === undefined ? { fresh: false } : { signal: options.signal, fresh: false };
}

/** For what a write is planned on, and for checks of the store itself. */
export function freshOperation(options: { readonly signal?: AbortSignal | undefined }): Operation {
  return { ...operation(options), fresh: true };
}

/** Reads any number of asks in batches that the driver takes. */
export async function readAll(context: Context, asks: readonly ReadAsk[], op: Operation): Promise<ReadAnswer[]> {
  const { driver } = context;
  const size = driver.capabilities.maxBatch;
  const answers: ReadAnswer[] = [];
  for (let i = 0; i < asks.length; i += size) {
    const batch = asks.slice(i, i + size);
    const got = await driver.read(batch, op);
    if (got.length !== batch.length) {
      throw new RegistryError(
        "INTERNAL",
        `the ${driver.kind} driver gave ${got.length} answers to ${batch.length} asks`,
      );
    }
    answers.push(...got);
  }
  return answers;
}

export async function readOne(
  context: Context,
  name: PromptName,
  selector: DriverSelector,
  op: Operation,
): Promise<ReadAnswer> {
  const ask: ReadAsk = { name, selector };
  const ready = op.fresh === true ? undefined : context.driver.peek(ask);
  return ready ?? ((await readAll(context, [ask], op))[0] as ReadAnswer);
}

/** The head of a prompt, or `undefined` when the prompt isn't there at all. */
export async function readHead(context: Context, name: PromptName, op: Operation): Promise<HeadState | undefined> {
  const answer = await readOne(context, name, { kind: "head" }, op);
  return answer.status === "head" ? answer.head : undefined;
}

/** Every version, descending; removed ones too when asked. */
export async function allVersions(
  context: Context,
  name: PromptName,
  op: Operation,
  includeRemoved = false,
): Promise<readonly VersionEntry[]> {
  return (await versionPages(context, name, op, includeRemoved)).entries;
}

async function versionPages(
  context: Context,
  name: PromptName,
  op: Operation,
  includeRemoved: boolean,
): Promise<{ readonly entries: readonly VersionEntry[]; readonly provenance: Provenance | undefined }> {
  const entries: VersionEntry[] = [];
  let provenance: Provenance | undefined;
  let cursor: string | undefined;
  do {
    const query = { limit: 1000, includeRemoved, ...(cursor === undefined ? {} : { cursor }) };
    const page = await context.driver.listVersions(name, query, op);
    entries.push(...page.items);
    provenance = older(provenance, page.provenance);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { entries, provenance };
}

/** The one that says the less about now; `undefined` is the store's own word. */
function older(a: Provenance | undefined, b: Provenance | undefined): Provenance | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.stale !== b.stale) return a.stale ? a : b;
  return a.fetchedAt <= b.fetchedAt ? a : b;
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

export function notFound(name: PromptName): RegistryError {
  return new RegistryError("NOT_FOUND", `there is no prompt ${name}; list the names to see what there is`, { name });
}

function missing(ref: PromptRef, answer: ReadAnswer): RegistryError {
  const { name, selector } = ref;
  const text = formatSelector(selector);
  if (answer.status === "removed") {
    const { version } = answer.document;
    return new RegistryError("NOT_FOUND", `${name}@${version} was removed`, { name, version });
  }
  if (answer.status !== "absent") {
    return new RegistryError("INTERNAL", `unexpected answer ${answer.status} for ${name}@${text}`, { name });
  }
  const head = answer.head?.head;
  if (selector.kind === "version") {
    return new RegistryError("NOT_FOUND", `there is no version ${text} of ${name}`, {
      name,
      version: selector.version,
    });
  }
  if (head === undefined) return notFound(name);
  if (selector.kind === "label") {
    const labels = Object.keys(head.labels).sort();
    const there = labels.length === 0 ? "it has no labels" : `its labels are ${labels.slice(0, 20).join(", ")}`;
    return new RegistryError("NOT_FOUND", `${name} has no label ${text}; ${there}`, { name, label: selector.label });
  }
  return new RegistryError("NOT_FOUND", `${name} has no latest version: ${whyNoLatest(head.yanked)}`, { name });
}

function whyNoLatest(yanked: Readonly<Record<string, Yank>>): string {
  const marks = Object.values(yanked);
  const removed = marks.filter((y) => y.removed).length;
  if (marks.length === 0) return "nothing was published";
  if (removed === marks.length) return "every version was removed";
  return removed === 0 ? "every version is yanked" : "every version is yanked or removed";
}
