import { fs } from "../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { aftermath, between, describeError, inspect, type State, sameState } from "./process-check.ts";
import type { Stage } from "./process-scenarios.ts";
import { type Ending, ending, perform } from "./process-steps.ts";

/** Codes that tell the caller the truth about an error of the operating system. */
const FITTING: Readonly<Record<string, readonly string[]>> = {
  EIO: ["UNAVAILABLE"],
  ENOSPC: ["NO_SPACE"],
  EDQUOT: ["NO_SPACE"],
  EMFILE: ["UNAVAILABLE"],
  EACCES: ["FORBIDDEN"],
  EROFS: ["READ_ONLY"],
  ETIMEDOUT: ["UNAVAILABLE"],
  // Answers to a repeated call whose first reply was lost. Where they can't be told from the truth, nobody expects them.
  EEXIST: ["UNAVAILABLE", "INTERNAL"],
  ENOENT: ["UNAVAILABLE", "INTERNAL"],
};

/** All that is wrong with what a crash left of an operation that was (`acked`) or was not acknowledged. */
export async function judgeCrash(stage: Stage, path: string, acked: boolean): Promise<string[]> {
  const { before, after } = stage;
  const now = await inspect(open(stage, path));
  const problems = [...now.problems, ...(acked ? sameState(after, now.state) : between(before, after, now.state))];
  return [...problems, ...(await judgeAgain(stage, path, open(stage, path)))];
}

/**
 * All that is wrong with how an operation ended that met an error, and with what it left.
 *
 * @param again the registry that met it, which must work on; without it, a new one
 */
export async function judgeError(
  stage: Stage,
  path: string,
  first: Ending,
  error: string,
  again?: PromptRegistry,
): Promise<string[]> {
  const { before, after } = stage;
  const now = await inspect(open(stage, path));
  const problems = [...now.problems];
  for (const one of first) {
    // What is not about one prompt is about all.
    const only = (state: State): State => {
      if (one.name === null) return state;
      return state[one.name] === undefined ? {} : { [one.name]: state[one.name] as State[string] };
    };
    const [b, a, n] = [only(before), only(after), only(now.state)];
    if (one.ok) problems.push(...sameState(a, n).map((p) => `said yes, but ${p}`));
    else if (one.outcome === "unknown") problems.push(...between(b, a, n));
    else problems.push(...sameState(b, n).map((p) => `said ${one.code} (${one.outcome}), but ${p}`));
    if (!one.ok && FITTING[error]?.includes(one.code) !== true) {
      problems.push(`${error} became ${one.code} (${one.outcome}): ${one.message}`);
    }
  }
  return [...problems, ...(await judgeAgain(stage, path, again ?? open(stage, path)))];
}

/** Doing it (once more) must succeed and end as if nothing had happened. */
async function judgeAgain(stage: Stage, path: string, registry: PromptRegistry): Promise<string[]> {
  const { step } = stage.scenario;
  const second = await ending(() => perform(registry, step), step);
  const problems = second.filter((one) => !one.ok).map((one) => `a second try fails: ${JSON.stringify(one)}`);
  // What doctor reports at the end includes what verify would say here.
  const now = await inspect(open(stage, path), { verify: false });
  problems.push(...[...now.problems, ...sameState(stage.after, now.state)].map((p) => `after a second try: ${p}`));
  problems.push(...(await aftermath({ path, ...stage.scenario.layout }).catch((e) => [`doctor: ${describeError(e)}`])));
  return problems;
}

function open({ scenario }: Stage, path: string): PromptRegistry {
  return new PromptRegistry(fs({ path, ...scenario.layout }));
}
