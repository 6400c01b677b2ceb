import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { type GithubOptions, github } from "../../src/drivers/github/index.ts";
import { startGitHub } from "../../src/testing/github/index.ts";
import { type BudgetOperation, driverSuite, type SuiteOptions } from "../../src/testing/index.ts";
import { EMULATE_PROBLEMS, startEmulatedGitHub } from "./emulate-github.ts";
import { recordGitHub } from "./github-openapi/record.ts";
import { validateExchange } from "./github-openapi/validate.ts";
import { commitByGit, fileAt, type Github } from "./github-world.ts";
import { SLOW } from "./sizes.ts";

export const FULL = process.env.PROMPT_REGISTRY_GITHUB_FULL === "1";

export interface GithubSuite {
  readonly name: string;
  readonly server: "ours" | "ours without GraphQL" | "emulate";
  /** Which third of the slow tests is run here, 0 to 2; all of it where `PROMPT_REGISTRY_GITHUB_FULL` is 1. */
  readonly third: number;
  readonly options?: Partial<GithubOptions>;
  readonly wrap?: (driver: StorageDriver) => StorageDriver;
  /** Whether a second handle sees at once what the first one did; not so with a cache of its own. */
  readonly another?: boolean;
  readonly max?: Partial<Record<BudgetOperation, number>>;
  /** Which tests are run; all where `PROMPT_REGISTRY_GITHUB_FULL` is 1. */
  readonly only?: RegExp;
}

interface Place {
  readonly options: GithubOptions;
  readonly gitDir: string | undefined;
}

interface Server {
  place(): Promise<Place>;
  close(): Promise<void>;
}

async function start(kind: GithubSuite["server"]): Promise<Server> {
  const common = { spacing: 0, documentMaxAge: 0, branch: "main" };
  if (kind === "emulate") {
    const server = await startEmulatedGitHub();
    const recorder = await recordGitHub(server.url);
    const { owner } = server;
    const { url: baseUrl } = recorder;
    let places = 0;
    return {
      async place() {
        const repo = await server.addRepository();
        // Each token has a limit of its own.
        const token = `${server.token}_${++places}`;
        return { options: { ...common, owner, token, baseUrl, repo }, gitDir: undefined };
      },
      async close() {
        await recorder.close();
        await server.stop();
        const problems = recorder.problems.filter((problem) => !EMULATE_PROBLEMS.includes(problem));
        if (problems.length > 0) throw new Error(`not as GitHub's description says:\n${problems.join("\n")}`);
      },
    };
  }
  const limits = { core: 1e8, graphql: 1e8 };
  const server = await startGitHub({ graphql: kind === "ours", limits, validate: validateExchange });
  return {
    async place() {
      const { owner, repo, gitDir } = await server.addRepository({ name: `r-${randomUUID()}` });
      return { options: { ...common, owner, repo, token: server.token, baseUrl: server.url }, gitDir };
    },
    async close() {
      await server.checkRepositories();
      await server.close();
    },
  };
}

/** The public suite over a GitHub, each storage a repository of its own. */
export function githubSuite(suite: GithubSuite): void {
  const { name, options = {}, wrap = (driver) => driver, another = true, max, only = /^/ } = suite;
  let server: Server;
  const places = new Map<StorageDriver, { readonly place: Place; readonly inner: Github }>();
  beforeAll(async () => {
    server = await start(suite.server);
  });
  afterAll(async () => {
    await server.close();
  });
  const open = async (place: Place) => {
    const inner = await github({ ...place.options, ...options });
    const driver = wrap(inner);
    places.set(driver, { place, inner });
    return driver;
  };
  const placeOf = (driver: StorageDriver) => places.get(driver)?.place as Place;
  const damage: SuiteOptions["damage"] = (driver, prompt, version, edit) => {
    const gitDir = placeOf(driver).gitDir as string;
    const path = `prompts/${prompt}/v${version}.md`;
    commitByGit(gitDir, "main", [{ path, bytes: edit(Uint8Array.from(fileAt(gitDir, "main", path))) }]);
  };
  const isPart = !FULL && suite.only !== undefined;
  const elsewhereToo = "the same as in other suites; PROMPT_REGISTRY_GITHUB_FULL=1 runs it here too";
  const pick = (title: string, run: () => Promise<void>) =>
    only.test(title) ? it(title, run) : it.skip(`${title} [skipped: ${elsewhereToo}]`, run);
  const elsewhere = SLOW.filter((_, i) => !FULL && i % 3 !== suite.third);
  driverSuite({
    name,
    runner: { describe, it: isPart ? Object.assign(pick, { skip: it.skip }) : it },
    open: async () => open(await server.place()),
    another: another ? (driver) => open(placeOf(driver)) : undefined,
    reopen: async (driver) => {
      await driver.close();
      return open(placeOf(driver));
    },
    damage: suite.server === "emulate" || !another ? undefined : damage,
    skip: elsewhere.map((test) => ({
      test,
      reason: "slow: it is run in another suite, and here with PROMPT_REGISTRY_GITHUB_FULL=1",
    })),
    ...(max === undefined
      ? {}
      : { budgets: { calls: (driver) => places.get(driver)?.inner.native.calls() ?? 0, max } }),
  });
}
