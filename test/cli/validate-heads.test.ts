import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import type { ValidateReport } from "../../src/validate/index.ts";
import { found, published, Repository, suiteWithGit } from "./validate-world.ts";

const HEAD = "prompts/support/triage/latest.json";
const HEADS = "prompts/support/triage/.heads";

interface Head {
  generation: number;
  labels: Record<string, string>;
  history: object[];
  yanked: object;
}

const headOf = (repo: Repository) => JSON.parse(repo.read(HEAD)) as Head;
const messages = (ran: { json<T>(): T }) =>
  ran
    .json<ValidateReport>()
    .findings.map(({ message }) => message)
    .join("\n");

/** Main has moved production and yanked, and so has the work, more often, from where both began. */
async function diverged(): Promise<Repository> {
  const repo = await published();
  for (const label of ["staging", "beta", "gamma"]) await repo.run("label", "support/triage", label, "1.0.1");
  repo.commit("work");
  repo.git("checkout", "-q", "main");
  await repo.run("label", "support/triage", "production", "1.0.1");
  await repo.run("yank", "support/triage", "1.0.0");
  repo.commit("main");
  repo.git("checkout", "-q", "work");
  return repo;
}

function merge(repo: Repository): void {
  expect(() => repo.git("merge", "-q", "main")).toThrow();
}

suiteWithGit("validate, of heads that were changed on both sides", () => {
  test("a merge that keeps one side undoes what main's history says, and is blocked", async () => {
    const repo = await diverged();
    const before = await repo.validate("--base", "main");
    expect(before.code).toBe(1);
    expect(found(before)).toContain(`block head ${HEAD}`);
    merge(repo);
    const conflict = await repo.validate("--base", "main");
    expect(messages(conflict)).toContain("merge conflict; take the base's");
    repo.git("checkout", "-q", "--ours", HEAD);
    repo.commit("merged");
    const ran = await repo.validate("--base", "main");
    expect(ran.code).toBe(1);
    expect(found(ran)).toContain(`block head ${HEAD}`);
    expect(messages(ran)).toMatch(/it lacks "label production 1\.0\.1 .* make your move again: prompt-registry label/);
    // The way out that it tells.
    repo.git("checkout", "-q", "main", "--", HEAD);
    expect(await repo.run("label", "support/triage", "staging", "1.0.1")).toMatchObject({ code: 0 });
    await repo.run("doctor", "--fix");
    repo.commit("again");
    expect(await repo.run("validate", "--base", "main")).toMatchObject({ code: 0 });
    expect(headOf(repo).labels).toEqual({ production: "1.0.1", staging: "1.0.1" });
    expect(headOf(repo).history.length).toBe(4);
    repo.git("clone", "-q", ".", "clone");
    expect((await repo.run("resolve", "support/triage@production", "--storage", "file:./clone")).out).toContain(
      "1.0.1",
    );
  });

  test("histories put together by hand are warned of where a pointer went back without a word", async () => {
    const repo = await diverged();
    const ours = headOf(repo);
    const theirs = JSON.parse(repo.git("show", `main:${HEAD}`)) as Head;
    merge(repo);
    const history = [...theirs.history, ...ours.history.slice(1)];
    repo.file(HEAD, JSON.stringify({ ...ours, generation: 9, history }));
    repo.commit("merged");
    const ran = await repo.validate("--base", "main");
    expect(messages(ran)).toContain("production goes from 1.0.1 to 1.0.0, and no new entry");
    expect(messages(ran)).toContain("1.0.0 is yanked no more");
  });

  test("a branch that is behind, a new prompt and a history that was cut are fine; a latest.json that is gone is not", async () => {
    const repo = await published();
    repo.git("checkout", "-q", "main");
    await repo.run("label", "support/triage", "production", "1.0.1");
    repo.commit("main");
    repo.git("checkout", "-q", "work");
    expect(found(await repo.validate("--base", "main"))).toEqual([]);
    repo.git("merge", "-q", "main");
    const head = headOf(repo);
    const entry = { at: "2026-11-24T05:00:00.000Z", action: "label", label: "beta", to: "1.0.0" };
    const long = (count: number, skip: number) =>
      JSON.stringify({
        ...{ ...head, generation: 2000, labels: { ...head.labels, beta: "1.0.0" } },
        history: [
          ...head.history.slice(skip),
          ...Array.from({ length: count }, (_, i) => ({ ...entry, commit: `c${i}` })),
        ],
      });
    for (const [count, skip, code] of [
      [998, 0, 0],
      [999, 1, 0],
      [1000, 2, 0],
      [998, 1, 1],
      [500, 1, 1],
    ] as const) {
      repo.file(HEAD, long(count, skip));
      expect((await repo.validate("--base", "main")).code, `${count} ${skip}`).toBe(code);
    }
    rmSync(repo.path(HEAD));
    expect(found(await repo.validate("--base", "main"))).toContain(`block head ${HEAD}`);
    await repo.push("new/prompt", "Hello\n", "--label", "production");
    repo.git("checkout", "-q", "HEAD", "--", HEAD);
    expect(await repo.validate("--base", "main")).toMatchObject({ code: 0 });
  });
});

suiteWithGit("validate, of .heads in Git", () => {
  async function committed(): Promise<Repository> {
    const repo = await published();
    repo.file(".gitignore", ".changed\n.tmp-*\n");
    repo.commit("with .heads");
    return repo;
  }

  test("is told once to leave it out, and nothing is said of what Git does not know", async () => {
    const repo = await committed();
    const ran = await repo.validate("--base", "main");
    expect(found(ran)).toEqual([`warn layout ${HEADS}`]);
    expect(messages(ran)).toContain("git rm -r --cached");
    repo.git("rm", "-r", "-q", "--cached", HEADS);
    repo.file(".gitignore", ".heads/\n");
    repo.file(`${HEADS}/000000000001.json`, "<<<<<<< HEAD\n");
    expect(found(await repo.validate("--base", "main"))).toEqual([]);
  });

  test("a merge conflict, damage, and what contradicts latest.json block", async () => {
    const repo = await committed();
    const first = `${HEADS}/000000000001.json`;
    const sound = repo.read(first);
    repo.file(first, `{\n<<<<<<< HEAD\n${sound}=======\n${sound}>>>>>>> work\n`);
    const conflict = await repo.validate("--base", "main");
    expect(conflict.json<ValidateReport>().findings).toContainEqual(
      expect.objectContaining({ rule: "head", severity: "block", path: first, line: 2 }),
    );
    repo.file(first, sound.replace("1.0.0", "1.0.1"));
    expect(found(await repo.validate())).toContain(`block head ${first}`);
    repo.file(first, sound);
    const other = headOf(repo);
    repo.file(HEAD, JSON.stringify({ ...other, labels: { production: "1.0.1" } }));
    expect(found(await repo.validate())).toContain(`block head ${first}`);
    repo.file(HEAD, JSON.stringify(other));
    await repo.run("label", "support/triage", "beta", "1.0.1");
    repo.commit("beta");
    expect(found(await repo.validate("--base", "main"))).toEqual([`warn layout ${HEADS}`]);
    repo.file(HEAD, JSON.stringify(other));
    expect(found(await repo.validate())).toContain(`block head ${HEADS}/000000000002.json`);
  });
});

suiteWithGit("validate in a sparse checkout", () => {
  async function sparse(): Promise<Repository> {
    const repo = await published();
    await repo.push("outside/a", "One\n", "--label", "production");
    repo.commit("outside");
    repo.git("branch", "-f", "main");
    repo.git("sparse-checkout", "set", "--cone", "prompts/support/reply");
    expect(existsSync(repo.path("prompts/outside/a/v1.0.0.md"))).toBe(false);
    return repo;
  }

  test("what is not checked out is there as Git has it", async () => {
    const repo = await sparse();
    for (const options of [[], ["--base", "main"]]) {
      const ran = await repo.validate(...options);
      expect(ran.json(), ran.out).toMatchObject({ ok: true, findings: [], prompts: 3, versions: 4 });
    }
    await repo.push("support/reply", "Answer {{customer}} well.\n");
    expect((await repo.validate("--base", "main")).json()).toMatchObject({ ok: true, versions: 5, fresh: 1 });
  });

  test("and what the work does to it there is judged", async () => {
    const repo = await sparse();
    const file = "prompts/support/triage/v1.0.0.md";
    const index = (text: string) => {
      const oid = execFileSync("git", ["hash-object", "-w", "--stdin"], { cwd: repo.folder, input: text });
      repo.git("update-index", "--cacheinfo", `100644,${oid.toString().trim()},${file}`);
      repo.git("update-index", "--skip-worktree", file);
    };
    index("Changed.\n");
    expect(found(await repo.validate("--base", "main"))).toContain(`block immutable ${file}`);
    repo.git("rm", "-q", "--cached", "--sparse", file);
    expect(found(await repo.validate("--base", "main"))).toContain(`block immutable ${file}`);
    // One that is there in spite of it is judged as it is there.
    repo.git("reset", "-q", "--mixed");
    mkdirSync(repo.path("prompts/support/triage"), { recursive: true });
    repo.file(file, "Otherwise.\n");
    expect(found(await repo.validate("--base", "main"))).toContain(`block immutable ${file}`);
  });

  test("what a partial clone has not got is not held against it", async () => {
    const repo = await sparse();
    repo.git("config", "uploadpack.allowFilter", "true");
    repo.git("clone", "-q", "--filter=blob:none", "--no-checkout", `file://${repo.folder}`, "part");
    const git = (...args: string[]) => execFileSync("git", args, { cwd: repo.path("part"), stdio: "ignore" });
    git("sparse-checkout", "set", "--cone", "prompts/support/reply");
    git("checkout", "-q", "main");
    for (const options of [[], ["--base", "origin/main"]]) {
      const ran = await repo.validate("part", ...options);
      expect(ran.json(), ran.out).toMatchObject({ ok: true, versions: 4 });
    }
  });
});

suiteWithGit("a switch of branches", () => {
  test("serves the labels of the branch that is checked out, and leaks none into the next change", async () => {
    const repo = await published();
    const served = async () => (await repo.run("list", "support/triage", "--json")).out;
    await repo.run("label", "support/triage", "production", "1.0.1");
    await repo.run("label", "support/triage", "exp", "1.0.1");
    repo.commit("exp");
    repo.git("checkout", "-q", "main");
    expect((await repo.run("resolve", "support/triage@production")).out).toContain("1.0.0");
    expect((await repo.run("resolve", "support/triage@exp")).code).toBe(3);
    expect(await served()).not.toContain("exp");
    expect((await repo.run("doctor")).out).not.toContain("support/triage");
    repo.git("checkout", "-q", "-b", "honest");
    await repo.run("label", "support/triage", "staging", "1.0.1");
    repo.commit("staging");
    expect(await repo.run("validate", "--base", "main")).toMatchObject({ code: 0 });
    expect(headOf(repo).labels).toEqual({ production: "1.0.0", staging: "1.0.1" });
    expect(headOf(repo).history.length).toBe(2);
    repo.git("checkout", "-q", "work");
    expect((await repo.run("resolve", "support/triage@exp")).out).toContain("1.0.1");
  });
});

suiteWithGit("init in a work tree", () => {
  test("keeps what is each clone's own out of Git, and changes no .gitignore that is there", async () => {
    const repo = new Repository();
    const ran = await repo.run("init", "--json");
    expect(ran.json()).toMatchObject({ status: "created", gitignore: "prompts/.gitignore" });
    await repo.push("a", "One\n", "--label", "production");
    repo.commit();
    expect(repo.git("ls-files").trim().split("\n")).toEqual([
      "prompt-registry.config.json",
      "prompts/.gitignore",
      ...["latest.json", "latest.md", "production.md", "v1.0.0.md"].map((file) => `prompts/a/${file}`),
    ]);
    expect(await repo.run("validate", "--strict")).toMatchObject({ code: 0 });
    expect(await repo.run("doctor")).toMatchObject({ code: 0 });

    const other = new Repository();
    other.file("prompts/.gitignore", "*.bak\n");
    const warned = await other.run("init");
    expect(warned).toMatchObject({ code: 0, out: expect.not.stringContaining("gitignore") });
    expect(warned.err).toContain('write ".heads/" into prompts/.gitignore');
    expect(other.read("prompts/.gitignore")).toBe("*.bak\n");

    const own = new Repository();
    own.file(".gitignore", "node_modules\n.heads/\n");
    expect(await own.run("init")).toMatchObject({ code: 0, err: expect.not.stringContaining("heads") });
    expect(existsSync(own.path("prompts"))).toBe(false);
  });
});
