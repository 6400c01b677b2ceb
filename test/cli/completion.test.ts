import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { visibleCommands } from "../../src/cli/table.ts";
import { stocked, World } from "./world.ts";

async function offered(world: World, ...words: string[]): Promise<string[]> {
  const ran = await world.run("__complete", "--", ...words);
  expect(ran).toMatchObject({ code: 0, err: "" });
  return ran.out.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t", 1)[0] as string]));
}

test.each([
  [[""], visibleCommands()],
  [["ver"], ["versions", "verify"]],
  [
    ["--json", "--storage", "x", "ver"],
    ["versions", "verify"],
  ],
  [["get", "--r"], ["--raw"]],
  [["get", "support/t"], ["support/triage"]],
  [
    ["get", "support/triage@"],
    ["production", "staging", "latest", "2.0.0", "1.1.0", "1.0.0"].map((p) => `support/triage@${p}`),
  ],
  [
    ["get", "support/triage@1"],
    ["support/triage@1.1.0", "support/triage@1.0.0"],
  ],
  [["get", "support/triage", ""], []],
  [["diff", "support/triage@1.0.0", "@st"], ["@staging"]],
  [["label", "support/triage", "p"], ["production"]],
  [["label", "support/triage", "production", "2"], ["2.0.0"]],
  [
    ["yank", "support/triage", "1"],
    ["1.1.0", "1.0.0"],
  ],
  [["push", "support/reply", ""], [":file"]],
  [["push", "support/triage", "--label", "s"], ["staging"]],
  [
    ["push", "a", "--bump", "m"],
    ["major", "minor"],
  ],
  [["push", "a", "-m", "x", ""], [":file"]],
  [["import", ""], [":folder"]],
  [["completion", "z"], ["zsh"]],
  [["help", "dele"], ["delete"]],
  [["nonsense", ""], []],
  [["get", "Nothing Valid"], []],
])("completes %j", async (words, expected) => {
  expect(await offered(await stocked(), ...words)).toEqual(expected);
});

test("completion is silent when the storage does not work", async () => {
  const world = new World((driver) => ({
    ...driver,
    listPrompts: () => Promise.reject(new Error("away")),
  }));
  expect(await offered(world, "get", "a")).toEqual([]);
});

test.each(["bash", "zsh", "fish"])("the script for %s", async (shell) => {
  const world = new World();
  const ran = await world.run("completion", shell);
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toContain("__complete");
  expect((await world.run("completion", shell, "--json")).json()).toEqual({ shell, script: ran.out });
  const parsed = spawnSync(shell, ["-n"], { input: ran.out, encoding: "utf8" });
  // Only where that shell is installed.
  if (parsed.error === undefined) expect(parsed).toMatchObject({ status: 0, stderr: "" });
});

test.runIf(spawnSync("bash", ["--version"]).status === 0)(
  "bash puts the candidates where it expects them",
  async () => {
    const world = new World();
    world.file("script.bash", (await world.run("completion", "bash")).out);
    // Answers what the last word calls for, as the real command would.
    world.file(
      "bin/prompt-registry",
      `#!/bin/bash\nlast="\${@: -1}"\ncase "$last" in\n  support/triage@*) printf 'support/triage@production\\tlabel\\nsupport/triage@1.0.0\\n' ;;\n  fil) echo :file ;;\n  *) printf 'support/triage\\tx\\n' ;;\nesac\n`,
    );
    chmodSync(join(world.folder, "bin/prompt-registry"), 0o755);
    world.file("file with space", "");
    const complete = (line: string) => {
      const code = `source ./script.bash; COMP_LINE="$1"; COMP_POINT=\${#1}; compopt() { :; }; _prompt_registry; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const ran = spawnSync("bash", ["--norc", "-c", code, "bash", line], {
        cwd: world.folder,
        encoding: "utf8",
        env: { PATH: `${join(world.folder, "bin")}:${process.env.PATH}` },
      });
      expect(ran.stderr).toBe("");
      return ran.stdout.trimEnd().split("\n");
    };
    expect(complete("prompt-registry get sup")).toEqual(["support/triage"]);
    expect(complete("prompt-registry get ")).toEqual(["support/triage"]);
    // bash itself splits at the @ and replaces only what follows it.
    expect(complete("prompt-registry get support/triage@p")).toEqual(["production", "1.0.0"]);
    expect(complete("prompt-registry push a fil")).toEqual(["file with space"]);
  },
);
