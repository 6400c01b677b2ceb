export type { ArchiveCounts, ArchiveLimits, Trailer as ArchiveTrailer } from "./archive/format.ts";
export { type ArchiveInput, archiveFile } from "./archive/read.ts";
export {
  checkArchive,
  manifestOfArchive,
  type RestoreOptions,
  restoreArchive,
  restoreFile,
} from "./archive/restore.ts";
export {
  type BackupFileOptions,
  type BackupOptions,
  type BackupReport,
  backupFile,
  writeArchive,
} from "./archive/write.ts";
export { type CopyOptions, copyPrompt, copyStorage, type TransferOptions } from "./copy.ts";
export {
  type ExportOptions,
  exportPrompts,
  type ImportOptions,
  type ImportOutcome,
  importPrompts,
} from "./exchange.ts";
export { dotprompt } from "./formats/dotprompt.ts";
export type {
  ExportablePrompt,
  ExportedFile,
  ExportResult,
  ImportContext,
  ImportedPrompt,
  ImportResult,
  PromptFormat,
} from "./formats/format.ts";
export { githubModels } from "./formats/github-models.ts";
export { detectFormat, FORMATS, formatByName } from "./formats/index.ts";
export { langfuse } from "./formats/langfuse.ts";
export { mlflow } from "./formats/mlflow.ts";
export { openai } from "./formats/openai.ts";
export { prompty } from "./formats/prompty.ts";
export {
  hashManifest,
  type ManifestCounts,
  type ManifestHash,
  type ManifestOptions,
  type ManifestVersion,
  manifestLine,
  manifestOf,
  type PromptManifest,
} from "./manifest.ts";
export { type MigrateOptions, type MigrateReport, migrateStorage } from "./migrate.ts";
export type { TransferConflict } from "./plan.ts";
export type { TransferFailure, TransferProgress, TransferReport, VerifyCounts } from "./report.ts";
export { type SideCounts, type SyncReport, syncStorages } from "./sync.ts";
export { compareManifests } from "./verify.ts";
