import { rmSync, symlinkSync } from "node:fs";
import { expect, test } from "vitest";
import type { ValidateReport } from "../../src/validate/index.ts";
import { found, published, suiteWithGit } from "./validate-world.ts";

suiteWithGit("validate, of what points at versions", () => {
  test("labels, pins and latest must select what is there", async () => {
    const repo = await published();
    const head = "prompts/support/triage/latest.json";
    const json = JSON.parse(repo.read(head)) as Record<string, unknown>;
    const write = (change: Record<string, unknown>) => {
      repo.file(head, `${JSON.stringify({ ...json, generation: 9, ...change }, null, 2)}\n`);
      return repo.validate("--base", "main");
    };
    const label = await write({ labels: { production: "3.0.0" } });
    expect(label.json<ValidateReport>().findings[0]).toMatchObject({ severity: "block", rule: "pointer", path: head });
    expect(label.json<ValidateReport>().findings[0]?.line).toBe(
      repo
        .read(head)
        .split("\n")
        .findIndex((l) => l.includes('"production"')) + 1,
    );
    expect(found(await write({ pin: "7.0.0", latest: "7.0.0" }))).toContain(`block pointer ${head}`);
    expect(found(await write({ latest: "1.0.0" }))).toEqual([`warn head ${head}`]);
    expect(found(await write({ latest: "4.0.0" }))).toEqual([`block pointer ${head}`]);
    expect(found(await write({ name: "support/other" }))).toContain(`block head ${head}`);
    expect(
      found(await write({ generation: 0, deprecated: { at: "2026-11-24T05:00:00.000Z", message: "m" } })),
    ).toContain(`block head ${head}`);
    expect(await write({ deprecated: { at: "2026-11-24T05:00:00.000Z", message: "m" } })).toMatchObject({ code: 0 });
    repo.file(head, `{\n<<<<<<< HEAD\n  "a": 1\n=======\n>>>>>>> work\n}\n`);
    const conflict = await repo.validate();
    expect(conflict.json<ValidateReport>().findings).toContainEqual(
      expect.objectContaining({ rule: "head", line: 2, message: expect.stringContaining("merge conflict") }),
    );
  });

  test("links may name a version beside them, and nothing else", async () => {
    const repo = await published();
    repo.file("secret.md", "outside\n");
    const link = (target: string, path: string) => {
      rmSync(repo.path(path), { force: true, recursive: true });
      symlinkSync(target, repo.path(path));
    };
    link("../../../secret.md", "prompts/support/triage/production.md");
    link("/etc/passwd", "prompts/support/triage/staging.md");
    link("v9.9.9.md", "prompts/support/triage/latest.md");
    link("../..", "prompts/support/loop");
    link("/dev/zero", "prompts/support/triage/v5.0.0.md");
    link("v1.0.0.md", "prompts/support/triage/beta.md");
    rmSync(repo.path("prompts/support/reply/latest.md"));
    repo.file("prompts/support/reply/latest.md", "v1.0.1.md");
    const ran = await repo.validate("--base", "main");
    expect(found(ran)).toEqual([
      "block layout prompts/support/loop",
      "block pointer prompts/support/reply/latest.md",
      "warn pointer prompts/support/triage/beta.md",
      "block pointer prompts/support/triage/latest.md",
      "block pointer prompts/support/triage/production.md",
      "block pointer prompts/support/triage/staging.md",
      "block layout prompts/support/triage/v5.0.0.md",
    ]);
    link(".", "prompts/support");
    expect((await repo.validate("--base", "main")).code).toBe(1);
    rmSync(repo.path("prompts"), { recursive: true });
    link("..", "prompts");
    expect(await repo.run("validate", "--base", "main")).toMatchObject({ code: 2, out: "" });
  });

  test("digests in latest.json are those of the files they name", async () => {
    const repo = await published();
    const head = "prompts/support/triage/latest.json";
    const json = JSON.parse(repo.read(head)) as Record<string, unknown>;
    const digestOf = (version: string) =>
      /registry\.digest: "?(sha256:[0-9a-f]{64})/.exec(repo.read(`prompts/support/triage/v${version}.md`))?.[1] ?? "";
    const [first, second] = [digestOf("1.0.0"), digestOf("1.0.1")];
    expect(first).not.toBe("");
    // As they stand in a file of a repository, behind what yanks the same version.
    const yanked = { "1.0.1": { at: "2026-11-24T05:00:00.000Z" } };
    const write = (digests: unknown) => {
      repo.file(head, `${JSON.stringify({ ...json, generation: 9, latest: "1.0.0", yanked, digests }, null, 2)}\n`);
      return repo.validate("--base", "main");
    };
    expect(found(await write({ "1.0.0": first, "1.0.1": second }))).not.toContain(`block head ${head}`);
    const clean = (await write({ "1.0.0": first, "1.0.1": second })).json<ValidateReport>().findings.length;
    const wrong = await write({ "1.0.0": first, "1.0.1": first });
    expect(wrong.code).toBe(1);
    const { findings } = wrong.json<ValidateReport>();
    expect(findings).toHaveLength(clean + 1);
    const finding = findings.find(({ severity }) => severity === "block");
    expect(finding).toMatchObject({ rule: "head", path: head, column: 5 });
    expect(finding?.message).toContain(`its digest of 1.0.1 is ${first}, and the file has ${second}`);
    const lines = repo.read(head).split("\n");
    expect(lines[(finding?.line ?? 0) - 1]).toContain(`"1.0.1": "${first}"`);
    const github = await repo.run("validate", "--format", "github");
    expect(github.out).toMatch(
      new RegExp(`^::error file=${head},line=${finding?.line},col=5,title=head::its digest of 1\\.0\\.1 is `, "m"),
    );
    expect(found(await write({ "1.0.0": "sha256:none" }))).toContain(`block head ${head}`);
    expect(found(await write({ "7.0.0": first }))).toContain(`warn head ${head}`);
    expect(found(await write(["x"]))).toContain(`warn head ${head}`);
  });

  test("the digest of a removed version is that of the text it was", async () => {
    const repo = await published();
    const head = "prompts/support/triage/latest.json";
    await repo.push("support/triage", "Sort this, please: {{ticket}}\n");
    const digest = /registry\.digest: "?(sha256:[0-9a-f]{64})/.exec(repo.read("prompts/support/triage/v1.0.2.md"))?.[1];
    await repo.run("delete", "support/triage@1.0.2", "--yes", "-m", "leaked");
    const json = JSON.parse(repo.read(head)) as Record<string, unknown>;
    const write = (of: string | undefined) => {
      repo.file(head, `${JSON.stringify({ ...json, digests: { "1.0.2": of } }, null, 2)}\n`);
      return repo.validate();
    };
    expect(found(await write(digest))).toEqual([]);
    expect(found(await write(`sha256:${"0".repeat(64)}`))).toEqual([`block head ${head}`]);
  });
});
