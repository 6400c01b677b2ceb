import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { load } from "js-yaml";
import { expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/table.ts";
import { description } from "../support/github-openapi/validate.ts";

const read = (file: string) => readFileSync(new URL(`../../examples/github-actions/${file}`, import.meta.url), "utf8");

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, { readonly name: string; readonly steps: readonly Step[] }>>;
}

test("the workflow has few rights, pinned actions, no secrets, and the check that the ruleset requires", async () => {
  const text = read("validate.yml");
  const workflow = load(text) as Workflow;
  expect(workflow.permissions).toEqual({ contents: "read" });
  expect(Object.keys(workflow.on)).toEqual(["pull_request", "merge_group"]);
  expect(text).not.toMatch(/\$\{\{[^}]*secrets/);
  const { steps = [], name } = workflow.jobs.validate ?? expect.unreachable();
  const actions = steps.flatMap((s) => s.uses ?? []);
  expect(actions.length).toBeGreaterThan(0);
  for (const action of actions) expect(action).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40}$/);
  expect(steps[0]?.with).toEqual({ "fetch-depth": 0, "persist-credentials": false });
  // What GitHub fills in before the shell runs could be a command of somebody else's.
  for (const { run } of steps) expect(run ?? "").not.toContain("${{");
  const line = steps.map((s) => s.run ?? "").find((run) => run.includes("validate")) ?? "";
  expect(line).toBe('"$TOOL" validate --base "$BASE"');
  const { command } = (await COMMANDS.validate?.load()) ?? expect.unreachable();
  expect(command.options).toHaveProperty("base");

  const ruleset = JSON.parse(read("ruleset.json")) as {
    rules: { type: string; parameters?: Record<string, unknown> }[];
  };
  const checks = ruleset.rules.find((r) => r.type === "required_status_checks")?.parameters?.required_status_checks;
  expect(checks).toEqual([{ context: name }]);
});

test("the ruleset is one to GitHub's own description", () => {
  const ruleset = JSON.parse(read("ruleset.json")) as { rules: { type: string }[] };
  expect(ruleset.rules.map((r) => r.type)).toEqual([
    "deletion",
    "non_fast_forward",
    "pull_request",
    "required_status_checks",
  ]);
  const body = description.paths["/repos/{owner}/{repo}/rulesets"]?.post?.body;
  const ajv = new Ajv({ strict: false, logger: false });
  for (const [name, schema] of Object.entries(description.schemas)) ajv.addSchema(schema, name);
  const check = ajv.compile(body?.schema ?? expect.unreachable());
  expect(check(ruleset), ajv.errorsText(check.errors)).toBe(true);
  const rules = [...ruleset.rules, { type: "no_such_rule" }];
  expect(check({ ...ruleset, rules })).toBe(false);
  expect(check({ ...ruleset, enforcement: "sometimes" })).toBe(false);
});
