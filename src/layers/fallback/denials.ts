import type { Change, Head, HeadState, ReadAnswer, ReadAsk, StoredDocument } from "../../driver.ts";
import { isRegistryError, type RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";

/** `gone`: it is, and what the storage would say of the rest of the prompt is not known. */
export type Mark = { readonly answer: ReadAnswer } | { readonly error: RegistryError } | { readonly gone: true };

const GONE: Mark = Object.freeze({ gone: true as const });

/**
 * Remembers what a storage denied (not there, removed, forbidden), so that an outage brings nothing of it back from a
 * copy that is older. Bounded: the oldest is forgotten first.
 */
export class Denials {
  readonly #marks = new Map<string, Mark>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  note(ask: ReadAsk, answer: ReadAnswer): void {
    if (this.#marks.size > 0 && "head" in answer && answer.head !== undefined) this.#lift(ask.name, answer.head.head);
    if (answer.status === "absent" || answer.status === "removed") {
      this.#put(keyOf(ask), { answer });
      if (answer.status === "removed") this.#remove(ask.name, answer.document, answer);
      // Without a head there is nothing of the prompt; of a version only itself is known.
      else if (ask.selector.kind !== "version" && answer.head === undefined) this.#put(promptKey(ask.name), { answer });
      return;
    }
    if (this.#marks.size === 0) return;
    this.#marks.delete(keyOf(ask));
    // What is there again (restored, or created since) is no longer gone.
    if (answer.status === "found") this.#marks.delete(versionKey(ask.name, answer.document.version));
    if (answer.status === "found" || answer.status === "head") this.#marks.delete(promptKey(ask.name));
  }

  /** Which prompt was forbidden is known for sure only where one was asked for. */
  noteError(asks: readonly ReadAsk[], error: unknown): void {
    const [ask] = asks;
    if (asks.length === 1 && ask !== undefined && isRegistryError(error, "FORBIDDEN")) this.#put(keyOf(ask), { error });
  }

  /** @param after what the storage told of the prompt as it is now */
  noteChange(change: Change, after?: HeadState): void {
    const { name, head } = change;
    for (const { version } of [...(change.add ?? []), ...(change.restore ?? [])]) {
      this.#marks.delete(versionKey(name, version));
    }
    for (const { version, text } of change.remove ?? []) {
      const document: StoredDocument = { name, version, text };
      this.#remove(name, document, { status: "removed", document, revision: "removed" });
    }
    // What is known of labels stays; the prompt itself, `latest` and who may see them may be others now.
    const mark: Mark = after === undefined ? GONE : { answer: { status: "absent", head: after } };
    const prefix = `${name}\n`;
    for (const [key, old] of this.#marks) {
      if (!key.startsWith(prefix) || key.startsWith(`${prefix}version `)) continue;
      if (key.startsWith(`${prefix}label `) && !("error" in old)) this.#marks.set(key, mark);
      else this.#marks.delete(key);
    }
    if (head === undefined) return;
    for (const { action, label } of head.entries) {
      if (action === "unlabel" && label !== undefined) this.#put(labelKey(name, label), mark);
    }
    this.#lift(name, head.next);
  }

  /** Labels that stand in a head of the storage are there again. */
  #lift(name: PromptName, { labels }: Pick<Head, "labels">): void {
    for (const label of Object.keys(labels)) this.#marks.delete(labelKey(name, label));
  }

  /** What is to be answered without asking any other storage. Throws what was thrown. */
  recall(ask: ReadAsk): ReadAnswer | undefined {
    const mark = this.#marks.get(keyOf(ask)) ?? this.#marks.get(promptKey(ask.name));
    if (mark === undefined || "gone" in mark) return undefined;
    if ("error" in mark) throw mark.error;
    return mark.answer;
  }

  /** Whether an answer of another storage shows what is known to be gone. */
  denies(ask: ReadAsk, answer: ReadAnswer): boolean {
    if (this.#marks.has(promptKey(ask.name)) || this.#marks.has(keyOf(ask))) return true;
    return answer.status === "found" && this.isGone(ask.name, answer.document.version);
  }

  isGone(name: PromptName, version: string): boolean {
    return this.#marks.has(versionKey(name, version)) || this.#marks.has(promptKey(name));
  }

  isLabelGone(name: PromptName, label: string): boolean {
    return this.#marks.has(labelKey(name, label));
  }

  /** What the store denied of whole prompts, and of which prompts it denied a version. Looked up once for a page. */
  denied(): { readonly prompts: ReadonlyMap<PromptName, Mark>; readonly touched: ReadonlySet<PromptName> } {
    const prompts = new Map<PromptName, Mark>();
    const touched = new Set<PromptName>();
    for (const [key, mark] of this.#marks) {
      const end = key.indexOf("\n");
      const name = key.slice(0, end) as PromptName;
      // Access is given to prompts: who may not see one pointer of it may not see it in a list.
      if (key === promptKey(name) || "error" in mark) prompts.set(name, mark);
      else if (key.startsWith("version ", end + 1)) touched.add(name);
    }
    return { prompts, touched };
  }

  #remove(name: PromptName, document: StoredDocument, answer: ReadAnswer): void {
    this.#put(versionKey(name, document.version), { answer });
  }

  #put(key: string, mark: Mark): void {
    if (this.#max === 0) return;
    this.#marks.delete(key);
    this.#marks.set(key, mark);
    for (const oldest of this.#marks.keys()) {
      if (this.#marks.size <= this.#max) return;
      this.#marks.delete(oldest);
    }
  }
}

function versionKey(name: PromptName, version: string): string {
  return `${name}\nversion ${version}`;
}

function labelKey(name: PromptName, label: string): string {
  return `${name}\nlabel ${label}`;
}

/** Of the whole prompt: the store said that there is no head, so nothing of it is there. */
function promptKey(name: PromptName): string {
  return `${name}\nhead`;
}

function keyOf({ name, selector }: ReadAsk): string {
  switch (selector.kind) {
    case "version":
      return versionKey(name, selector.version);
    case "label":
      return labelKey(name, selector.label);
    case "latest":
      return `${name}\nlatest`;
    case "head":
      return promptKey(name);
  }
}
