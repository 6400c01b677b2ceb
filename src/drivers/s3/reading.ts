import type { Operation, ReadAnswer, ReadAsk } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { labelTarget } from "../../rules/latest.ts";
import type { Version } from "../../semver.ts";
import type { Documents, Slot } from "./documents.ts";
import type { Heads } from "./heads.ts";
import { pause } from "./limiter.ts";
import { type HeadRecord, latestOf, stateOf } from "./record.ts";

const MAX_ROUNDS = 20;
const ABSENT: ReadAnswer = Object.freeze({ status: "absent" });

export class Reader {
  readonly #documents: Documents;
  readonly #heads: Heads;

  constructor(documents: Documents, heads: Heads) {
    this.#documents = documents;
    this.#heads = heads;
  }

  async answer(ask: ReadAsk, op: Operation | undefined): Promise<ReadAnswer> {
    const { name, selector, known } = ask;
    if (selector.kind === "version") {
      const slot = await this.#documents.readUnless(name, selector.version, known, op);
      if (slot === "unchanged") return { status: "unchanged", revision: known as string };
      return slot === undefined ? ABSENT : slotAnswer(slot, slot.etag);
    }
    const [knownHead, knownSlot] = (known ?? "").split(".");
    const seen = this.#heads.objects.seen(name);
    const found =
      known !== undefined && seen?.etag === knownHead
        ? await this.#heads.objects.loadUnless(name, knownHead, op)
        : await this.#heads.loadOrHeal(name, op);
    let object = found === "unchanged" ? seen : found;
    if (object !== undefined && object.etag === knownHead && (await this.#stands(object.record, ask, knownSlot, op))) {
      return { status: "unchanged", revision: known as string };
    }
    if (selector.kind === "head") {
      if (object === undefined) return ABSENT;
      return Object.freeze({ status: "head", head: stateOf(object.record), revision: object.etag });
    }
    for (let round = 0; ; round++) {
      if (object === undefined) return ABSENT;
      const version = targetOf(object.record, ask);
      const head = stateOf(object.record);
      const slot = version === undefined ? undefined : await this.#documents.read(name, version, op);
      if (version !== undefined && (slot === undefined || slot.tombstone)) {
        // The pointer goes before what it points at: look again, unless it still points there.
        const again = await this.#heads.objects.load(name, op);
        if (again?.etag !== object.etag) {
          if (round === MAX_ROUNDS) throw tooBusy(ask);
          object = again;
          await pause(Math.max(0, round - 3), op?.signal);
          continue;
        }
      }
      if (slot === undefined) return Object.freeze({ status: "absent", head });
      return Object.freeze({ ...slotAnswer(slot, `${object.etag}.${slot.etag}`), head });
    }
  }

  /** Whether what was answered of this very head still is the answer. */
  async #stands(
    record: HeadRecord,
    ask: ReadAsk,
    slot: string | undefined,
    op: Operation | undefined,
  ): Promise<boolean> {
    if (ask.selector.kind === "head") return slot === undefined;
    const version = targetOf(record, ask);
    if (version === undefined || slot === undefined) return false;
    // A slot that is being removed may have changed without its head.
    if (!Object.hasOwn(record.gone, version)) return true;
    return (await this.#documents.readUnless(ask.name, version, slot, op)) === "unchanged";
  }
}

function targetOf(record: HeadRecord, { selector }: Pick<ReadAsk, "name" | "selector">): Version | undefined {
  if (selector.kind === "label") return labelTarget(record.head, selector.label);
  return selector.kind === "latest" ? latestOf(record) : undefined;
}

function slotAnswer(
  { document, tombstone }: Slot,
  revision: string,
): Extract<ReadAnswer, { revision: string; document: unknown }> {
  return Object.freeze({ status: tombstone ? "removed" : "found", document, revision });
}

function tooBusy({ name }: ReadAsk): RegistryError {
  return new RegistryError("UNAVAILABLE", `${name} is being changed by others all the time; try again`, {
    ...{ backend: "s3", name },
  });
}
