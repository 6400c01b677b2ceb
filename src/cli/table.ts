import type { Command } from "./command.ts";

export interface Entry {
  readonly group: "Write" | "Read" | "Manage" | "Care" | "Transfer" | "Lockfile" | "Server" | "Access" | "Other";
  readonly summary: string;
  /** Not in help. */
  readonly hidden?: true;
  /** One file a command, loaded when it is called, so that a call pays for its own code only. */
  load(): Promise<{ readonly command: Command }>;
}

export const COMMANDS: Readonly<Record<string, Entry>> = {
  init: { group: "Write", summary: "Set up a registry in this folder", load: () => import("./commands/init.ts") },
  push: { group: "Write", summary: "Store a version of a prompt", load: () => import("./commands/push.ts") },
  import: { group: "Write", summary: "Store a folder of Markdown files", load: () => import("./commands/import.ts") },
  get: { group: "Read", summary: "Print the text of a prompt, byte for byte", load: () => import("./commands/get.ts") },
  render: {
    group: "Read",
    summary: "Print a prompt with its variables filled in",
    load: () => import("./commands/render.ts"),
  },
  list: { group: "Read", summary: "List prompts", load: () => import("./commands/list.ts") },
  versions: { group: "Read", summary: "List the versions of a prompt", load: () => import("./commands/versions.ts") },
  log: { group: "Read", summary: "Show who changed what, when and why", load: () => import("./commands/log.ts") },
  diff: { group: "Read", summary: "Compare two versions", load: () => import("./commands/diff.ts") },
  resolve: {
    group: "Read",
    summary: "Tell which version a label or range selects, now or at a time",
    load: () => import("./commands/resolve.ts"),
  },
  label: { group: "Manage", summary: "Show, move or remove labels", load: () => import("./commands/label.ts") },
  rollback: {
    group: "Manage",
    summary: "Pin latest to an earlier version",
    load: () => import("./commands/rollback.ts"),
  },
  unpin: {
    group: "Manage",
    summary: "Let latest follow the highest version again",
    load: () => import("./commands/unpin.ts"),
  },
  yank: {
    group: "Manage",
    summary: "Take a version out of latest and ranges",
    load: () => import("./commands/yank.ts"),
  },
  unyank: { group: "Manage", summary: "Undo a yank", load: () => import("./commands/unyank.ts") },
  deprecate: {
    group: "Manage",
    summary: "Mark a prompt as deprecated, saying what to use instead",
    load: () => import("./commands/deprecate.ts"),
  },
  delete: {
    group: "Manage",
    summary: "Remove a version, or a prompt, for ever",
    load: () => import("./commands/delete.ts"),
  },
  restore: {
    group: "Manage",
    summary: "Bring a deleted version back from a copy",
    load: () => import("./commands/restore.ts"),
  },
  verify: { group: "Care", summary: "Read every byte and check it", load: () => import("./commands/verify.ts") },
  doctor: {
    group: "Care",
    summary: "Find and repair what a crash or a hand left behind",
    load: () => import("./commands/doctor.ts"),
  },
  validate: {
    group: "Care",
    summary: "Check a folder of prompts, as a pull request needs it",
    load: () => import("./commands/validate.ts"),
  },
  check: { group: "Care", summary: "Prove that the storage works", load: () => import("./commands/check.ts") },
  copy: {
    group: "Transfer",
    summary: "Copy everything to another storage",
    load: () => import("./commands/copy.ts"),
  },
  sync: { group: "Transfer", summary: "Make two storages equal", load: () => import("./commands/sync.ts") },
  backup: {
    group: "Transfer",
    summary: "Write everything into one file",
    load: () => import("./commands/backup.ts"),
  },
  snapshot: {
    group: "Transfer",
    summary: "Write a file that an application can ship and fall back on",
    load: () => import("./commands/snapshot.ts"),
  },
  "restore-archive": {
    group: "Transfer",
    summary: "Bring back what backup wrote",
    load: () => import("./commands/restore-archive.ts"),
  },
  migrate: {
    group: "Transfer",
    summary: "Move files of old layouts to where they belong",
    load: () => import("./commands/migrate.ts"),
  },
  export: {
    group: "Transfer",
    summary: "Write prompts as files of another system",
    load: () => import("./commands/export.ts"),
  },
  install: {
    group: "Lockfile",
    summary: "Lock and fetch what prompts.json asks for",
    load: () => import("./commands/install.ts"),
  },
  ci: {
    group: "Lockfile",
    summary: "Fetch exactly what the lockfile says, or fail",
    load: () => import("./commands/ci.ts"),
  },
  outdated: {
    group: "Lockfile",
    summary: "Tell which locked prompts are behind",
    load: () => import("./commands/outdated.ts"),
  },
  update: {
    group: "Lockfile",
    summary: "Move what is locked to what is there now",
    load: () => import("./commands/update.ts"),
  },
  serve: { group: "Server", summary: "Serve the storage over HTTP", load: () => import("./commands/serve.ts") },
  token: {
    group: "Server",
    summary: "Create, list and revoke API tokens of a server",
    load: () => import("./commands/token.ts"),
  },
  audit: { group: "Server", summary: "Check and show who did what", load: () => import("./commands/audit.ts") },
  s3: {
    group: "Server",
    summary: "Policies, set-up and cost of a bucket",
    load: () => import("./commands/s3.ts"),
  },
  conformance: {
    group: "Server",
    summary: "Check that a server keeps the protocol",
    load: () => import("./commands/conformance.ts"),
  },
  login: {
    group: "Access",
    summary: "Log in to GitHub or a registry server",
    load: () => import("./commands/login.ts"),
  },
  logout: { group: "Access", summary: "Forget what login stored", load: () => import("./commands/logout.ts") },
  whoami: { group: "Access", summary: "Tell who calls are made as", load: () => import("./commands/whoami.ts") },
  proposal: {
    group: "Access",
    summary: "List, merge and close proposed changes",
    load: () => import("./commands/proposal.ts"),
  },
  completion: {
    group: "Other",
    summary: "Print a completion script for a shell",
    load: () => import("./commands/completion.ts"),
  },
  help: { group: "Other", summary: "Show help for a command", load: () => import("./commands/help.ts") },
  __complete: { group: "Other", summary: "", hidden: true, load: () => import("./commands/complete.ts") },
};

export function visibleCommands(): string[] {
  return Object.keys(COMMANDS).filter((name) => !COMMANDS[name]?.hidden);
}
