import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import type { ValidateFinding, ValidateReport } from "../../src/validate/index.ts";
import { skipSuite } from "../support/skip.ts";
import { type Ran, World } from "./world.ts";

export const TOKEN = `gh${"p_"}${"a1B2c3D4e5F6".repeat(3)}`;

const ENV = {
  ...{ GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
  ...{ GIT_AUTHOR_NAME: "Ada", GIT_AUTHOR_EMAIL: "ada@example.com" },
  ...{ GIT_COMMITTER_NAME: "Ada", GIT_COMMITTER_EMAIL: "ada@example.com" },
};

export function hasGit(): boolean {
  try {
    execFileSync("git", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A real folder registry, in a real repository. */
export class Repository extends World {
  constructor(copied?: string) {
    super();
    this.real = true;
    if (copied === undefined) this.git("init", "-q", "-b", "main");
    else cpSync(copied, this.folder, { recursive: true, verbatimSymlinks: true });
  }

  git(...args: string[]): string {
    return execFileSync("git", args, { cwd: this.folder, env: { ...process.env, ...ENV }, encoding: "utf8" });
  }

  commit(message = "change"): void {
    this.git("add", "-A");
    this.git("commit", "-q", "--allow-empty", "-m", message);
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  read(file: string): string {
    return readFileSync(this.path(file), "utf8");
  }

  async push(name: string, text: string, ...options: string[]): Promise<void> {
    this.file("push.txt", text);
    const ran = await this.run("push", name, "push.txt", ...options);
    expect(ran, ran.err).toMatchObject({ code: 0 });
    rmSync(this.path("push.txt"));
  }

  validate(...options: string[]): Promise<Ran> {
    return this.run("validate", ...options, "--json");
  }
}

export const found = (ran: Ran) =>
  ran.json<ValidateReport>().findings.map(({ severity, rule, path }) => `${severity} ${rule} ${path}`);
export const only = (ran: Ran): ValidateFinding => {
  const { findings } = ran.json<ValidateReport>();
  expect(findings).toHaveLength(1);
  return findings[0] as ValidateFinding;
};

let template: string | undefined;

/** Three versions of two prompts and a label, committed on main. Made once, and then copied. */
export async function published(): Promise<Repository> {
  const repo = new Repository(template);
  if (template !== undefined) return repo;
  await repo.push("support/triage", "Sort: {{ticket}}\n", "--label", "production");
  await repo.push("support/triage", "Sort this: {{ticket}}\n");
  await repo.push("support/reply", "Answer {{customer}}.\n");
  repo.file("README.md", "# Prompts\n");
  repo.file("prompts/README.md", "# Prompts\n");
  repo.file(".gitignore", ".heads/\n.changed\n.tmp-*\n");
  repo.commit("published");
  repo.git("checkout", "-q", "-b", "work");
  template = mkdtempSync(join(tmpdir(), "prompt-registry-validate-"));
  cpSync(repo.folder, template, { recursive: true, verbatimSymlinks: true });
  return repo;
}

afterAll(() => {
  if (template !== undefined) rmSync(template, { recursive: true, force: true });
});

/** A suite for which Git must be there. */
export function suiteWithGit(name: string, suite: () => void): void {
  if (hasGit()) describe(name, suite);
  else skipSuite(name, "git is not installed");
}
