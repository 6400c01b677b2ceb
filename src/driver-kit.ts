// `prompt-registry/driver`: the storage contract, and what it names. The rest that a driver works with (RegistryError,
// openStored, compareVersions, …) is in `prompt-registry`.
export type { SealedDocument } from "./document.ts";
export type * from "./driver.ts";
export { EMPTY_HEAD } from "./driver.ts";
export { throwIfAborted } from "./errors.ts";
export { mergeHistory, pageOf, pageOfVersions, publishEntry } from "./history.ts";
export type { Label, PromptName } from "./names.ts";
export { highestStable, labelTarget, resolveLatest } from "./rules/latest.ts";
export type { Version } from "./semver.ts";
