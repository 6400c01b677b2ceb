import type { StorageDriver, StoredDocument } from "../../src/driver.ts";
import type { Damage } from "../../src/testing/index.ts";

interface Inside {
  readonly slots: Map<string, { readonly document: StoredDocument; readonly tombstone: boolean }>;
  answers: { lease: { until: number }; versions: Map<string, unknown>; labels: Map<string, unknown>; latest?: unknown };
}

/** Changes a text inside the memory driver, behind its back. Memory holds texts, so bytes that are no UTF-8 become U+FFFD. */
export const damageMemory: Damage = (driver, name, version, edit) => {
  const inside = (driver as StorageDriver<ReadonlyMap<string, Inside>>).native.get(name);
  const slot = inside?.slots.get(version);
  if (inside === undefined || slot === undefined) throw new Error(`there is no ${name}@${version} to damage`);
  const bytes = edit(new TextEncoder().encode(slot.document.text));
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  inside.slots.set(version, { ...slot, document: Object.freeze({ ...slot.document, text }) });
  inside.answers.lease.until = 0;
  inside.answers = { lease: { until: Number.POSITIVE_INFINITY }, versions: new Map(), labels: new Map() };
};
