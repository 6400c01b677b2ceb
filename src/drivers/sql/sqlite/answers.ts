import type { ReadAnswer, ReadAsk } from "../../../driver.ts";
import type { PromptName } from "../../../names.ts";

/** Of one prompt. Versions start with a digit and labels with a letter, so one map holds them all. */
interface Kept {
  readonly answers: Map<string, ReadAnswer>;
  weight: number;
}

function keyOf({ selector }: ReadAsk): string {
  switch (selector.kind) {
    case "version":
      return selector.version;
    case "label":
      return selector.label;
    case "latest":
      return "latest";
    case "head":
      return "=head";
  }
}

/**
 * Frozen answers, so that the same question gets the same object while nothing changed. Two halves: what was not asked
 * for while one half filled up is forgotten with the other.
 */
export class Answers {
  readonly #max: number;
  #young = new Map<PromptName, Kept>();
  #old = new Map<PromptName, Kept>();
  #weight = 0;

  constructor(maxBytes: number) {
    this.#max = maxBytes / 2;
  }

  get(ask: ReadAsk): ReadAnswer | undefined {
    let kept = this.#young.get(ask.name);
    if (kept === undefined) {
      kept = this.#old.get(ask.name);
      if (kept === undefined) return undefined;
      this.#old.delete(ask.name);
      this.#add(ask.name, kept);
    }
    return kept.answers.get(keyOf(ask));
  }

  set(ask: ReadAsk, answer: ReadAnswer): void {
    const size = ("document" in answer ? answer.document.text.length * 2 : 0) + 512;
    if (size > this.#max / 4) return;
    let kept = this.#young.get(ask.name);
    if (kept === undefined) {
      kept = { answers: new Map(), weight: 0 };
      this.#add(ask.name, kept);
    }
    kept.answers.set(keyOf(ask), answer);
    kept.weight += size;
    this.#weight += size;
    if (this.#weight > this.#max) this.#turn();
  }

  drop(name: PromptName): void {
    this.#weight -= this.#young.get(name)?.weight ?? 0;
    this.#young.delete(name);
    this.#old.delete(name);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#weight = 0;
  }

  #add(name: PromptName, kept: Kept): void {
    this.#young.set(name, kept);
    this.#weight += kept.weight;
    if (this.#weight > this.#max) this.#turn();
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#weight = 0;
  }
}
