import { type OpenedText, openStored } from "../document.ts";
import {
  type Capabilities,
  EMPTY_HEAD,
  type HeadState,
  type PromptEntry,
  type ReadAnswer,
  type ReadAsk,
  type StorageDriver,
} from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { badCursor, pageOfVersions } from "../history.ts";
import { isName, type Label, type PromptName, parseSelector } from "../names.ts";
import type { LockedPrompt, Lockfile } from "./files.ts";

interface Served {
  readonly inner: ReadAnswer;
  readonly answer: ReadAnswer;
}

/**
 * Serves what a lockfile says and nothing else. Pointers come from the lock and not from the storage: `latest`, and the
 * label or range a prompt was locked by, select the locked version, wherever they have moved since. Bytes that do not
 * match the locked digest are refused, so the storage need not be trusted. Nothing can be written.
 *
 * Reads fail with `FORBIDDEN` for a prompt, version or label that is not locked, `CONFLICT` for other bytes than were
 * locked, `CORRUPT` for damaged ones.
 *
 * @param lock as `parseLockfile` or `readLock` gives it; taken as it is now
 * @example
 * const lock = parseLockfile(await readFile("prompts.lock.json", "utf8"));
 * const registry = new PromptRegistry(frozenDriver(fs({ path: "prompts/.materialized", dir: "." }), lock));
 */
export function frozenDriver<Native>(inner: StorageDriver<Native>, lock: Lockfile): StorageDriver<Native> {
  const locked = new Map(lock.prompts);
  const names = [...locked.keys()].sort();
  const served = new Map<string, Served>();
  const capabilities: Capabilities = Object.freeze({
    ...inner.capabilities,
    write: false,
    search: false,
    listing: "indexed",
  });

  function lockedOf(name: PromptName): LockedPrompt {
    const found = locked.get(name);
    if (found !== undefined) return found;
    throw new RegistryError("FORBIDDEN", `${name} is not in the lockfile; add it to prompts.json and install`, {
      name,
    });
  }

  /** The ask of the locked version that stands for this one. */
  function exact({ name, selector }: ReadAsk): ReadAsk {
    const { version, selector: by } = lockedOf(name);
    const refuse = (what: string) =>
      new RegistryError("FORBIDDEN", `${name} is locked to ${version} (${by}), so ${what} can't be asked for`, {
        name,
        version,
      });
    if (selector.kind === "version" && selector.version !== version) throw refuse(`version ${selector.version}`);
    if (selector.kind === "label" && selector.label !== by) throw refuse(`label ${selector.label}`);
    return { name, selector: { kind: "version", version } };
  }

  function revisionOf({ version, digest }: LockedPrompt): string {
    return `${version} ${digest}`;
  }

  function stateOf(prompt: LockedPrompt): HeadState {
    const selector = parseSelector(prompt.selector);
    const labels = selector.kind === "label" ? { [selector.label]: prompt.version } : {};
    const head = Object.freeze({
      ...EMPTY_HEAD,
      labels: Object.freeze(labels as Record<Label, typeof prompt.version>),
    });
    return Object.freeze({ head, revision: revisionOf(prompt), latest: prompt.version });
  }

  function serve(ask: ReadAsk, from: ReadAnswer): ReadAnswer {
    if (from.status !== "found") return from;
    const { name, selector } = ask;
    const key = `${name}@${selector.kind === "label" ? `label ${selector.label}` : selector.kind}`;
    const known = served.get(key);
    if (known?.inner === from) return known.answer;
    const prompt = lockedOf(name);
    const { version, digest } = prompt;
    const opened: OpenedText = openStored(from.document.text, { name, version });
    if (opened.digest !== digest || opened.kind !== "document") {
      throw new RegistryError(
        "CONFLICT",
        `${name}@${version} was locked with ${digest}; the storage has ${opened.digest}`,
        {
          name,
          version,
        },
      );
    }
    const head = selector.kind === "version" ? {} : { head: stateOf(prompt) };
    const answer: ReadAnswer = Object.freeze({ ...from, ...head, revision: revisionOf(prompt) });
    if (Object.isFrozen(from)) served.set(key, { inner: from, answer });
    return answer;
  }

  const readOnly = () =>
    new RegistryError(
      "READ_ONLY",
      `the ${inner.kind} storage is frozen by a lockfile; nothing can be changed through it`,
    );

  return {
    kind: inner.kind,
    location: inner.location,
    capabilities,
    native: inner.native,
    peek(ask) {
      if (ask.known !== undefined || ask.selector.kind === "head") return undefined;
      try {
        const from = inner.peek(exact(ask));
        return from === undefined ? undefined : serve(ask, from);
      } catch {
        return undefined;
      }
    },
    async read(asks, op) {
      const pointers = new Map<number, ReadAnswer>();
      const exacts: ReadAsk[] = [];
      for (const [i, ask] of asks.entries()) {
        if (ask.selector.kind !== "head") exacts.push(exact(ask));
        else {
          const head = stateOf(lockedOf(ask.name));
          pointers.set(i, { status: "head", head, revision: head.revision as string });
        }
      }
      const answers = exacts.length === 0 ? [] : await inner.read(exacts, op);
      let next = 0;
      return asks.map((ask, i) => {
        const answer = pointers.get(i) ?? serve(ask, answers[next++] as ReadAnswer);
        const same = ask.known !== undefined && "revision" in answer && answer.revision === ask.known;
        return same ? { status: "unchanged", revision: ask.known as string } : answer;
      });
    },
    async listPrompts(query) {
      if (query.text !== undefined) throw new RegistryError("UNSUPPORTED", "a frozen storage has no text search");
      const { cursor, prefix = "" } = query;
      if (cursor !== undefined && !isName(cursor)) throw badCursor(cursor);
      const rest = names.filter((name) => name.startsWith(prefix) && (cursor === undefined || name > cursor));
      const items = rest.slice(0, query.limit).map((name): PromptEntry => {
        const head = query.include === "heads" ? { head: stateOf(lockedOf(name)) } : {};
        return { name, ...head };
      });
      const last = items.at(-1);
      return last !== undefined && rest.length > items.length ? { items, cursor: last.name } : { items };
    },
    async listVersions(name, query) {
      return pageOfVersions([{ version: lockedOf(name).version }], query);
    },
    async history(name, query, op) {
      lockedOf(name);
      return inner.history(name, query, op);
    },
    async changes(query, op) {
      const page = await inner.changes(query, op);
      return { ...page, items: page.items.filter(({ name }) => locked.has(name)) };
    },
    async commit() {
      throw readOnly();
    },
    async repair() {
      throw readOnly();
    },
    check: (op) => inner.check(op),
    close: () => inner.close(),
  } satisfies StorageDriver<Native>;
}
