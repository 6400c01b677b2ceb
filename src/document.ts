export { type Digest, isDigest, parseDigest } from "./document/digest.ts";
export { isSealed, openDocument, openStored, readSeal, sameText, unseal } from "./document/open.ts";
export { canonicalSeal, sealChecked, sealDocument, sealTombstone } from "./document/seal.ts";
export {
  checkAuthorText,
  checkNote,
  checkText,
  MAX_AUTHOR,
  MAX_MESSAGE,
  MAX_STORED_BYTES,
  MAX_TEXT_BYTES,
} from "./document/text.ts";
export type {
  ExpectedSlot,
  OpenedDocument,
  OpenedText,
  Removal,
  SealedDocument,
  SealInput,
  Tombstone,
  TombstoneInput,
} from "./document/types.ts";
