import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { found, published, suiteWithGit, TOKEN } from "./validate-world.ts";

suiteWithGit("validate takes care", () => {
  test("a submodule, a pipe and file names of any kind do no harm", async () => {
    const repo = await published();
    const inner = repo.path("prompts/sub");
    mkdirSync(inner);
    execFileSync("git", ["init", "-q"], { cwd: inner });
    writeFileSync(join(inner, "v1.0.0.md"), `Use ${TOKEN}`);
    execFileSync("mkfifo", [repo.path("prompts/support/pipe.md")]);
    const evil = "prompts/support/x\n::error file=a,line=1::forged%0A\u001b[31m.md";
    repo.file(evil, "text\n");
    writeFileSync(
      Buffer.concat([Buffer.from(repo.path("prompts/support/bad")), Buffer.from([0xff]), Buffer.from(".md")]),
      "x",
    );
    mkdirSync(repo.path("prompts/$(touch pwned)"));
    repo.file("prompts/$(touch pwned)/v1.0.0.md", "x\n");
    repo.git("add", "-A", "--", "prompts/support/triage");
    const ran = await repo.validate("--base", "main");
    expect(found(ran)).toEqual([
      "block name prompts/$(touch pwned)/v1.0.0.md",
      "block layout prompts/sub",
      "block name prompts/support/bad\ufffd.md",
      "block layout prompts/support/pipe.md",
      `block name ${evil}`,
    ]);
    expect(existsSync(repo.path("pwned"))).toBe(false);
    const github = await repo.run("validate", "--format", "github");
    const lines = github.out.trimEnd().split("\n");
    expect(lines.filter((l) => l.startsWith("::"))).toHaveLength(5);
    expect(lines).toHaveLength(6);
    expect(github.out).not.toContain("\u001b");
    const text = await repo.run("validate");
    expect(text.out.trimEnd().split("\n")).toHaveLength(6);
    expect(text.out).not.toContain("\u001b");
  });

  test("a repository's own settings make Git run nothing", async () => {
    const repo = await published();
    const pwned = repo.path("pwned");
    const script = repo.path("evil.sh");
    writeFileSync(script, `#!/bin/sh\ntouch ${JSON.stringify(pwned)}\n`);
    chmodSync(script, 0o755);
    for (const key of [
      "core.fsmonitor",
      "core.pager",
      "core.sshCommand",
      "diff.external",
      "filter.x.smudge",
      "filter.x.clean",
    ]) {
      repo.git("config", key, script);
    }
    repo.git("config", "alias.ls-tree", `!${script}`);
    repo.git("config", "alias.rev-parse", `!${script}`);
    repo.file(".gitattributes", "* filter=x diff=x\n");
    for (const hook of ["post-checkout", "post-index-change", "reference-transaction"]) {
      writeFileSync(repo.path(`.git/hooks/${hook}`), `#!/bin/sh\ntouch ${JSON.stringify(pwned)}\n`, { mode: 0o755 });
    }
    expect(await repo.validate("--base", "main")).toMatchObject({ code: 0 });
    expect(existsSync(pwned)).toBe(false);
  });
});
