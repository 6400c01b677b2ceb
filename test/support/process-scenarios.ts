import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sealDocument } from "../../src/document.ts";
import { type FsOptions, fs } from "../../src/drivers/fs/index.ts";
import { parseName } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { parseVersion } from "../../src/semver.ts";
import { inspect, type State } from "./process-check.ts";
import { faultyIo, type MadeCall } from "./process-faults.ts";
import { ending, perform, type Step } from "./process-steps.ts";

export type Layout = Pick<FsOptions, "hardLinks" | "links" | "mode">;

/** An operation on a prepared registry. Doing it twice must end as doing it once. */
export interface Scenario {
  readonly title: string;
  readonly layout: Layout;
  readonly prepare?: (registry: PromptRegistry, path: string) => Promise<void>;
  readonly step: Step;
}

export const BOTH: Layout = { hardLinks: "auto", links: "symlink" };
export const NEITHER: Layout = { hardLinks: "never", links: "text" };

const NAME = "support/triage";
const text = (what: string) => `${what} {{ticket}}\n${`line of ${what}\n`.repeat(40)}`;
const store = (version: string, more: object = {}, name = NAME): Step => ({
  method: "storePrompt",
  args: [{ name, version, text: text(`${name} ${version}`), ...more }],
});

/** What is there before each operation: two prompts, three versions, labels, something yanked. */
async function usual(registry: PromptRegistry): Promise<void> {
  for (const version of ["1.0.0", "1.1.0", "2.0.0-rc.1"]) {
    await registry.storePrompt({ name: NAME, version, text: text(`${NAME} ${version}`) });
  }
  await registry.storePrompt({ name: "other", version: "0.1.0", text: text("other 0.1.0"), labels: ["production"] });
  await registry.setLabel(NAME, "production", "1.0.0");
  await registry.yank(NAME, "2.0.0-rc.1");
}

/** The sealed text that a restore brings back: the same on every run, since its time is given. */
const COPY = sealDocument({
  name: parseName(NAME),
  version: parseVersion("0.9.0"),
  text: text("to be removed"),
  createdAt: "2026-01-01T00:00:00.000Z",
});

const IMPORTED = [
  { name: NAME, version: "1.2.0", text: text("imported 1.2.0"), labels: ["staging"] },
  { name: NAME, text: COPY.text },
  { name: "imported/one", version: "1.0.0", text: text("imported") },
  { name: "other", version: "0.1.0", text: text("other 0.1.0") },
];

/** As files without a version are imported. */
const BUMPED = [
  { name: NAME, bump: "patch", text: text("next") },
  { name: "other", bump: "patch", text: text("other 0.1.0") },
  { name: "brand/new", bump: "patch", text: text("first") },
];

async function untidy(registry: PromptRegistry, path: string): Promise<void> {
  await registry.rollback(NAME, { to: "1.0.0" });
  const folder = join(path, "prompts", NAME);
  // A link of old, and one that is missing: projections to be put right.
  rmSync(join(folder, "latest.md"), { force: true });
  symlinkSync("v1.1.0.md", join(folder, "latest.md"));
  rmSync(join(path, "prompts/other/production.md"), { force: true });
}

function scenariosOf(layout: Layout): Scenario[] {
  const list: Omit<Scenario, "layout">[] = [
    { title: "store, first of all", prepare: async () => {}, step: store("1.0.0", {}, "new/deep/prompt") },
    { title: "store, first version", step: store("1.0.0", {}, "support/new") },
    { title: "store, next version", step: store("1.2.0") },
    { title: "store, same again", step: store("1.1.0") },
    { title: "store, older version", step: store("1.0.5") },
    { title: "store with labels", step: store("1.2.0", { labels: ["production", "staging"] }) },
    { title: "store with a guard", step: store("1.2.0", { expect: "1.1.0" }) },
    { title: "label", step: { method: "setLabel", args: [NAME, "production", "1.1.0"] } },
    { title: "rollback", step: { method: "rollback", args: [NAME, { to: "1.0.0" }] } },
    { title: "delete a version", step: { method: "deleteVersion", args: [NAME, "1.1.0"] } },
    { title: "delete a prompt", step: { method: "deletePrompt", args: ["other"] } },
    {
      title: "restore a version",
      prepare: async (registry) => {
        await usual(registry);
        await registry.storePrompt({ name: NAME, text: COPY.text });
        await registry.deleteVersion(NAME, "0.9.0");
      },
      step: { method: "restoreVersion", args: [{ name: NAME, version: "0.9.0", text: COPY.text }] },
    },
    {
      title: "copy",
      prepare: async (registry, path) => {
        await registry.storePrompt({ name: "here", version: "0.1.0", text: text("here before") });
        const source = new PromptRegistry(fs({ path: join(path, "source") }));
        await usual(source);
        await source.storePrompt({ name: NAME, text: COPY.text });
        await source.deleteVersion(NAME, "0.9.0");
        await source.rollback(NAME, { to: "1.0.0" });
        await source.storePrompt({ name: "z/last", version: "1.0.0", text: text("z/last") });
      },
      step: { method: "copy", args: [] },
    },
    { title: "import of next versions", step: { method: "storePrompts", args: [BUMPED] } },
    { title: "import", step: { method: "storePrompts", args: [IMPORTED] } },
  ];
  if (layout.links === "symlink") {
    list.push({
      title: "doctor",
      prepare: async (registry, path) => {
        await usual(registry);
        await untidy(registry, path);
      },
      step: { method: "doctor", args: [{ fix: true, minTempAge: 0 }] },
    });
  }
  return list.map((scenario) => ({ ...scenario, layout }));
}

// The protocols are the same whether calls block or not; some of each kind show that both ways of running keep them.
const IN_SERVER = ["store, first version", "store with labels", "delete a version", "import", "doctor"];

export const scenarios: readonly Scenario[] = [
  ...scenariosOf(BOTH),
  ...scenariosOf(NEITHER),
  ...scenariosOf({ ...BOTH, mode: "server" }).filter(({ title }) => IN_SERVER.includes(title)),
];

export function titleOf({ title, layout }: Scenario): string {
  return `${title} (${layout.hardLinks === "never" ? "no links" : "links"}${layout.mode === "server" ? ", server" : ""})`;
}

/** A scenario with the folder it starts from, and what readers see before and after. */
export interface Stage {
  readonly scenario: Scenario;
  readonly template: string;
  readonly before: State;
  readonly after: State;
}

/** Prepares a scenario, and plays it once undisturbed. */
export async function stage(scenario: Scenario, template: string): Promise<Stage> {
  await prepare(scenario, template);
  const open = (path: string) => new PromptRegistry(fs({ path, ...scenario.layout }));
  const before = await clean(open(template), scenario);
  const played = `${template}-played`;
  copy(template, played);
  const [result] = await ending(() => perform(open(played), scenario.step), scenario.step);
  if (result?.ok !== true) throw new Error(`${scenario.title} fails undisturbed: ${JSON.stringify(result)}`);
  const after = await clean(open(played), scenario);
  rmSync(played, { recursive: true });
  return { scenario, template, before, after };
}

async function clean(registry: PromptRegistry, { title }: Scenario): Promise<State> {
  const { state, problems } = await inspect(registry);
  if (problems.length > 0) throw new Error(`${title}, undisturbed: ${problems.join("; ")}`);
  return state;
}

async function prepare(scenario: Scenario, path: string): Promise<void> {
  const registry = new PromptRegistry(fs({ path, ...scenario.layout }));
  mkdirSync(path, { recursive: true });
  await (scenario.prepare ?? usual)(registry, path);
  writeFileSync(join(path, "README"), "not a prompt\n");
}

export function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}

/** The calls of a scenario that is left undisturbed. */
export async function callsOf({ scenario, template }: Stage, path: string): Promise<readonly MadeCall[]> {
  copy(template, path);
  const { io, calls } = faultyIo();
  const registry = new PromptRegistry(fs({ path, ...scenario.layout, io }));
  await perform(registry, scenario.step);
  rmSync(path, { recursive: true, force: true });
  return [...calls];
}
