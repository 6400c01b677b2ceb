export {
  type ConfigInput,
  createStorage,
  loadConfig,
  type OpenOptions,
  openRegistry,
  type RegistryConfig,
} from "./config.ts";
export {
  canonicalSeal,
  type Digest,
  isSealed,
  type OpenedDocument,
  openDocument,
  openStored,
  type SealedDocument,
  sealDocument,
} from "./document.ts";
export type * from "./driver.ts";
export { type ErrorCode, type ErrorContext, type ErrorOutcome, isRegistryError, RegistryError } from "./errors.ts";
export {
  formatSelector,
  type Label,
  type PromptName,
  type PromptRef,
  parseLabel,
  parseName,
  parseRef,
  parseSelector,
  type Selector,
} from "./names.ts";
export type { Allowance, PolicyFinding, Publication, PublishPolicy } from "./policy/types.ts";
export type { ChangeOptions, RegistryOptions } from "./registry/context.ts";
export type { PromptDiff } from "./registry/diff.ts";
export type { DoctorOptions, DoctorReport, VerifyOptions, VerifyReport } from "./registry/inspect.ts";
export { Listing } from "./registry/pages.ts";
export type { LabelOptions, PointerResult } from "./registry/pointers.ts";
export { Prompt } from "./registry/prompt.ts";
export type { GetOptions } from "./registry/read.ts";
export type { RemoveResult } from "./registry/remove.ts";
export type { StoreRequest } from "./registry/request.ts";
export type { PromptSelector } from "./registry/selector.ts";
export type { StoreManyOptions } from "./registry/store.ts";
export type { StoreFailure, StoreResult } from "./registry/store-result.ts";
export { type ListOptions, type PageOptions, PromptRegistry } from "./registry.ts";
export {
  type Bump,
  bumpVersion,
  compareVersions,
  parseRange,
  parseVersion,
  type Range,
  type Version,
} from "./semver.ts";
