import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import type { StorageDriver } from "../../src/driver.ts";
import { type GithubNative, type GithubOptions, github } from "../../src/drivers/github/index.ts";
import { parseName } from "../../src/names.ts";
import type { GitHubRepositoryHandle, GitHubServer } from "../../src/testing/github/index.ts";
import { documentOf } from "../../src/testing/index.ts";

/** Git on a bare repository, without a shell and without anybody's configuration. */
export function git(gitDir: string, args: readonly string[], options: { input?: string | Uint8Array } = {}) {
  return execFileSync("git", ["--git-dir", gitDir, ...args], {
    input: options.input ?? "",
    stdio: ["pipe", "pipe", "pipe"],
    maxBuffer: 2 ** 28,
    env: gitEnv(),
  });
}

export function gitEnv(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: tmpdir(),
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "hand",
    GIT_AUTHOR_EMAIL: "hand@example.org",
    GIT_COMMITTER_NAME: "hand",
    GIT_COMMITTER_EMAIL: "hand@example.org",
  };
}

export type TreeEdit =
  | { readonly path: string; readonly bytes: Uint8Array | string; readonly mode?: "100644" | "120000" }
  | { readonly path: string; readonly bytes?: undefined };

/** A commit made by Git itself, behind everybody's back. */
export function commitByGit(gitDir: string, branch: string, edits: readonly TreeEdit[], message = "by hand"): void {
  const ref = `refs/heads/${branch}`;
  const parts: (string | Uint8Array)[] = [
    `commit ${ref}\ncommitter hand <hand@example.org> ${Math.floor(Date.now() / 1000)} +0000\n`,
    `data ${Buffer.byteLength(message)}\n${message}\nfrom ${ref}^0\n`,
  ];
  for (const edit of edits) {
    if (edit.bytes === undefined) parts.push(`D ${edit.path}\n`);
    else {
      const bytes = Buffer.from(edit.bytes as Uint8Array);
      parts.push(`M ${edit.mode ?? "100644"} inline ${edit.path}\ndata ${bytes.length}\n`, bytes, "\n");
    }
  }
  const input = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  git(gitDir, ["fast-import", "--quiet"], { input });
}

export function fileAt(gitDir: string, branch: string, path: string): Buffer {
  return git(gitDir, ["cat-file", "blob", `refs/heads/${branch}:${path}`]);
}

export type Github = StorageDriver<GithubNative>;

/** What tests want other than users do: no waiting between commits, nothing answered without asking. */
export function testOptions(server: GitHubServer, place: GitHubRepositoryHandle = server): GithubOptions {
  return {
    owner: place.owner,
    repo: place.repo,
    branch: place.defaultBranch,
    token: server.token,
    baseUrl: server.url,
    spacing: 0,
    documentMaxAge: 0,
  };
}

export function openGithub(
  server: GitHubServer,
  place: GitHubRepositoryHandle = server,
  options: Partial<GithubOptions> = {},
): Promise<Github> {
  return github({ ...testOptions(server, place), ...options });
}

/** The change that publishes a version. */
export const publish = (name: string, version: string, text?: string) => ({
  name: parseName(name),
  add: [documentOf(name, version, text)],
});
