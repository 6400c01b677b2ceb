export {
  formatLockfile,
  formatPromptsFile,
  LOCK_FILE,
  type LockedPrompt,
  type Lockfile,
  PROMPTS_FILE,
  type PromptsFile,
  parseLockfile,
  parsePromptsFile,
} from "./files.ts";
export { frozenDriver } from "./frozen.ts";
export {
  type InstallOptions,
  type InstallReport,
  install,
  type LockChange,
  MATERIALIZED,
  type Outdated,
  outdated,
  type ProjectOptions,
  readLock,
  readProject,
  update,
} from "./project.ts";
