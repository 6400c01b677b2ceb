import type { Capabilities } from "../../driver.ts";
import { MAX_DOCUMENT_BYTES } from "./slots.ts";

export const MAX_BATCH = 1000;

/** Of both dialects. */
export function capabilitiesOf(write: boolean): Capabilities {
  return Object.freeze({
    write,
    atomicity: "batch",
    listing: "indexed",
    search: true,
    maxDocumentBytes: MAX_DOCUMENT_BYTES,
    maxBatch: MAX_BATCH,
    consistency: "linearizable",
  });
}
