import { existsSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { annotation } from "../../src/cli/annotations.ts";
import type { ValidateReport } from "../../src/validate/index.ts";
import { found, only, published, Repository, suiteWithGit, TOKEN } from "./validate-world.ts";
import { World } from "./world.ts";

suiteWithGit("validate", () => {
  test("what the registry itself wrote is clean, with and without a base, and in a clone", async () => {
    const repo = await published();
    expect(await repo.run("validate")).toMatchObject({ code: 0, out: "2 prompts, 3 versions: all is well\n", err: "" });
    const ran = await repo.validate("--base", "main");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.json()).toMatchObject({ ok: true, prompts: 2, versions: 3, fresh: 0, findings: [] });
    expect(ran.json<ValidateReport>().base).toBe(repo.git("rev-parse", "main").trim());
    repo.git("clone", "-q", ".", "clone");
    expect(existsSync(repo.path("clone/prompts/support/triage/.heads"))).toBe(false);
    expect(await repo.validate("clone", "--base", "origin/main")).toMatchObject({ code: 0 });
    expect(await repo.validate("clone/prompts", "--base", "origin/main")).toMatchObject({ code: 0 });
  });

  test("new versions, a moved label, a yank, a removal and a seal are fine", async () => {
    const repo = await published();
    await repo.push("support/triage", "Sort this, please: {{ticket}}\n");
    await repo.run("label", "support/triage", "production", "1.0.1");
    await repo.run("yank", "support/triage", "1.0.2");
    await repo.run("delete", "support/triage@1.0.0", "--yes", "-m", "leaked");
    await repo.push("new/prompt", "Hello {{who}}\n");
    repo.commit();
    const ran = await repo.validate("--base", "main");
    expect(ran.json(), ran.out).toMatchObject({ ok: true, prompts: 3, fresh: 2, findings: [] });
  });

  test("the copy that a tool made of a label's link is said to be one, and no prompt of its own", async () => {
    const repo = await published();
    await repo.run("label", "support/triage", "production", "1.0.0");
    const file = "prompts/support/triage/production.md";
    const text = repo.read(file);
    rmSync(repo.path(file));
    repo.file(file, text);
    const ran = await repo.validate();
    expect(found(ran)).toContain(`warn layout ${file}`);
    expect(ran.json()).toMatchObject({ prompts: 2, versions: 3 });
  });

  test("a published version can't be changed, emptied, removed, renamed or turned into a link", async () => {
    const repo = await published();
    const file = "prompts/support/triage/v1.0.0.md";
    const original = repo.read(file);
    const changes: readonly (readonly [what: string, rule: string, change: () => void])[] = [
      ["other text", "document", () => repo.file(file, original.replace("Sort", "Sort well"))],
      ["an unsealed text", "immutable", () => repo.file(file, "Sort: {{ticket}} now\n")],
      ["empty", "document", () => repo.file(file, "")],
      ["removed", "immutable", () => rmSync(repo.path(file))],
      ["renamed", "immutable", () => renameSync(repo.path(file), repo.path(file.replace("1.0.0", "9.0.0")))],
      [
        "a link",
        "immutable",
        () => {
          rmSync(repo.path(file));
          symlinkSync("v1.0.1.md", repo.path(file));
        },
      ],
    ];
    for (const [what, rule, change] of changes) {
      change();
      const ran = await repo.validate("--base", "main");
      expect(ran.code, what).toBe(1);
      expect(found(ran), what).toContain(`block ${rule} ${file}`);
      expect(found(ran), what).toContain(`block immutable ${file}`);
      rmSync(repo.path(file), { force: true });
      rmSync(repo.path(file.replace("1.0.0", "9.0.0")), { force: true });
      repo.file(file, original);
    }
    expect(await repo.validate("--base", "main")).toMatchObject({ code: 0 });
  });

  test("a version may be sealed as it stands, but not with other words", async () => {
    const repo = await published();
    const file = "prompts/support/hand/v1.0.0.md";
    repo.file(file, "By hand.\n");
    expect(found(await repo.validate("--base", "main"))).toEqual([`info unsealed ${file}`]);
    repo.commit();
    repo.git("checkout", "-q", "-B", "base");
    await repo.run("doctor", "--repair", "unsealed");
    expect(repo.read(file)).toContain("registry.digest");
    expect(found(await repo.validate("--base", "base"))).toEqual([]);
    repo.file(file, "By another hand.\n");
    expect(found(await repo.validate("--base", "base"))).toContain(`block immutable ${file}`);
  });

  test("line ends that a checkout changed are told from a change", async () => {
    const repo = await published();
    repo.file("prompts/plain/v1.0.0.md", "One\nTwo\n");
    repo.commit();
    repo.file("prompts/plain/v1.0.0.md", "One\r\nTwo\r\n");
    const ran = await repo.validate("--base", "HEAD");
    const [finding] = ran.json<ValidateReport>().findings.filter((f) => f.rule === "immutable");
    expect(finding?.message).toContain(".gitattributes");
  });

  test("what the base got since the work began is not removed by it, and can't be published twice", async () => {
    const repo = await published();
    repo.git("checkout", "-q", "main");
    await repo.push("support/triage", "Sort, from main: {{ticket}}\n");
    repo.commit();
    repo.git("checkout", "-q", "work");
    expect(await repo.validate("--base", "main")).toMatchObject({ code: 0 });
    rmSync(repo.path("prompts/support/triage/.heads"), { recursive: true });
    await repo.push("support/triage", "Sort, from work: {{ticket}}\n");
    expect(found(await repo.validate("--base", "main"))).toContain("block immutable prompts/support/triage/v1.0.2.md");
  });

  test("names and versions that are none are found", async () => {
    const repo = await published();
    const bad = [
      "prompts/Support/v1.0.0.md",
      "prompts/support/latest/v1.0.0.md",
      "prompts/con/v1.0.0.md",
      "prompts/a b/v1.0.0.md",
      "prompts/v1.0.0.md",
      "prompts/support/triage/v1.0.md",
      "prompts/support/triage/v1.0.0+build.md",
      "prompts/support/triage/V1.2.0.md",
      "prompts/support/triage/My Notes.md",
    ];
    for (const file of bad) repo.file(file, "text\n");
    const ran = await repo.validate("--base", "main");
    expect(ran.code).toBe(1);
    expect(found(ran).sort()).toEqual(bad.map((file) => `block name ${file}`).sort());
  });

  test("documents that would not be served are found, with the line", async () => {
    const repo = await published();
    repo.file("prompts/a/v1.0.0.md", "---\nmodel: m\na: [\n---\ntext\n");
    repo.file("prompts/a/v1.0.1.md", Buffer.from([0x61, 0xff]));
    repo.file("prompts/b/v1.0.0.md", repo.read("prompts/support/reply/v1.0.0.md"));
    repo.file("prompts/c/v1.0.0.md", "");
    writeFileSync(repo.path("prompts/c/v2.0.0.md"), Buffer.alloc(64 * 2 ** 20, 97));
    const ran = await repo.validate("--base", "main");
    expect(found(ran)).toEqual([
      "block document prompts/a/v1.0.0.md",
      "block document prompts/a/v1.0.1.md",
      "block document prompts/b/v1.0.0.md",
      "block document prompts/c/v1.0.0.md",
      "block document prompts/c/v2.0.0.md",
    ]);
    const { findings } = ran.json<ValidateReport>();
    expect(findings[0]?.line).toBeGreaterThanOrEqual(3);
    expect(findings[1]?.message).toContain("not UTF-8");
    expect(findings[2]?.message).toContain("sealed as");
    expect(findings[4]?.message).toContain("67108864 bytes");
  });

  test("the policy is asked about what is new, and its findings stand at their line", async () => {
    const repo = await published();
    repo.file("prompts/old/v1.0.0.md", `Use ${TOKEN}\n`);
    repo.commit();
    repo.git("checkout", "-q", "-B", "base");
    expect(found(await repo.validate("--base", "base"))).toEqual(["info unsealed prompts/old/v1.0.0.md"]);
    expect((await repo.validate()).code).toBe(1);
    repo.file("prompts/support/triage/v1.0.2.md", `---\nmodel: m\n---\nSort {{other}}\nwith ${TOKEN}\u202e\n`);
    const ran = await repo.validate("--base", "base");
    expect(ran.code).toBe(1);
    const findings = ran.json<ValidateReport>().findings.filter((f) => f.severity === "block");
    expect(findings.map(({ rule, line, column }) => [rule, line, column])).toEqual([
      ["bump", 1, 1],
      ["secret/github", 5, 6],
      ["invisible/bidi", 5, 46],
    ]);
    expect(findings[0]?.message).toContain("make it 2.0.0");
    expect(ran.out).not.toContain(TOKEN.slice(4, 12));
  });

  test("what its author allowed is a warning, that --strict blocks", async () => {
    const repo = await published();
    await repo.push("a", `Use ${TOKEN}\n`, "--allow", "secret/github", "--reason", "revoked");
    const ran = await repo.validate("--base", "main");
    expect(ran.code).toBe(0);
    expect(only(ran)).toMatchObject({ severity: "warn", rule: "secret/github" });
    expect(only(ran).message).toContain("allowed by who published it (revoked)");
    expect((await repo.validate("--base", "main", "--strict")).code).toBe(1);
  });

  test("the configuration's policy is asked, and that it changed is told", async () => {
    const repo = await published();
    const config = (text: string) => repo.file("prompt-registry.config.yaml", text);
    config("policy:\n  required: [description]\n");
    repo.file("prompts/a/v1.0.0.md", "text\n");
    const ran = await repo.validate("--base", "main");
    expect(found(ran)).toEqual([
      "warn configuration prompt-registry.config.yaml",
      "info unsealed prompts/a/v1.0.0.md",
      "block front-matter prompts/a/v1.0.0.md",
    ]);
    repo.commit();
    expect(found(await repo.validate("--base", "HEAD"))).toEqual(["info unsealed prompts/a/v1.0.0.md"]);
    config("policy: false\n");
    expect(found(await repo.validate("--base", "HEAD"))).toContain("warn configuration prompt-registry.config.yaml");
    config("polic: false\n");
    expect((await repo.run("validate")).code).toBe(8);
  });

  test("a base that is none, no repository, and no folder are wrong usage", async () => {
    const repo = await published();
    for (const base of ["nowhere", "--output=pwned", "main:prompts", "", "main..work"]) {
      const ran = await repo.run("validate", `--base=${base}`);
      expect(ran, base).toMatchObject({ code: 2, out: "" });
      expect(ran.err).toContain("is no commit here");
      expect(ran.err).toContain("fetch-depth: 0");
    }
    expect(existsSync(repo.path("pwned"))).toBe(false);
    expect(await repo.run("validate", "missing")).toMatchObject({ code: 2, out: "" });
    expect(await repo.run("validate", "README.md")).toMatchObject({ code: 2, out: "" });
    rmSync(repo.path(".git"), { recursive: true });
    const ran = await repo.run("validate", "--base", "main");
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain("is in no Git repository");
    expect(await repo.run("validate")).toMatchObject({ code: 0 });
  });

  test("annotations name files from the workspace, and are the format in a workflow", async () => {
    const repo = await published();
    repo.file("registry/prompts/a/v1.0.0.md", `100%, sure: ${TOKEN}\n`);
    const env = { GITHUB_ACTIONS: "true", GITHUB_WORKSPACE: repo.folder };
    const ran = await repo.runWith({ env }, "validate", "registry");
    expect(ran.code).toBe(1);
    expect(ran.out.split("\n")).toEqual([
      expect.stringMatching(/^::notice file=registry\/prompts\/a\/v1\.0\.0\.md,line=1,col=1,title=unsealed::/),
      "::error file=registry/prompts/a/v1.0.0.md,line=1,col=13,title=secret/github::this looks like a GitHub token; " +
        "take it out, and revoke it: it has been seen [ghp_… (40 characters)]",
      "1 prompt, 1 version: 1 problem",
      "",
    ]);
    expect((await repo.runWith({ env }, "validate", "registry", "--format", "text")).out).not.toContain("::");
    expect((await repo.runWith({ env }, "validate", "registry", "--json")).json()).toMatchObject({ ok: false });
  });

  test("a folder of plain files is checked, too", async () => {
    const world = new World();
    world.real = true;
    world.file("mine/support/triage.md", "Sort: {{ticket}}\n");
    world.file("mine/summary.prompt", `---\nversion: 2.1.0\n---\nUse ${TOKEN}\n`);
    world.file("mine/README.md", "about\n");
    const ran = await world.run("validate", "mine", "--json");
    expect(found(ran)).toEqual([
      "info layout summary.prompt",
      "block secret/github summary.prompt",
      "info layout support/triage.md",
    ]);
    expect(ran.json()).toMatchObject({ prompts: 2, versions: 2 });
  });

  test("a larger registry", async () => {
    const repo = new Repository();
    for (let i = 0; i < 300; i++) repo.file(`prompts/group${i % 10}/p${i}/v1.0.0.md`, `Text ${i}\n`);
    repo.commit();
    const ran = await repo.validate("--base", "main");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.json()).toMatchObject({ prompts: 300, versions: 300, fresh: 0 });
  });
});

test("an annotation escapes all that could end it or start another", () => {
  const finding = {
    rule: "name",
    severity: "warn",
    path: "",
    line: 2,
    column: 3,
    message: "50%\r\n::error::x",
  } as const;
  expect(annotation(finding, "a:b,c%\r\n::stop-commands::x.md")).toBe(
    "::warning file=a%3Ab%2Cc%25%0D%0A%3A%3Astop-commands%3A%3Ax.md,line=2,col=3,title=name::" +
      String.raw`50%25\u{d}\u{a}::error::x`,
  );
});
