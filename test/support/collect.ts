import { driverSuite, type SuiteOptions } from "../../src/testing/index.ts";

export interface Collected {
  readonly title: string;
  readonly error?: Error;
}

/** Runs the driver suite with a runner of its own, one test after the other, and gives back how each went. */
export async function collectSuite(
  options: Omit<SuiteOptions, "runner" | "log">,
  only?: (title: string) => boolean,
): Promise<Collected[]> {
  const tests: { title: string; run: () => Promise<void> }[] = [];
  driverSuite({
    ...options,
    log: () => {},
    runner: {
      describe: (_, define) => define(),
      it: (title, run) => tests.push({ title, run }),
    },
  });
  const results: Collected[] = [];
  for (const { title, run } of tests) {
    if (only?.(title) === false) continue;
    try {
      await run();
      results.push({ title });
    } catch (error) {
      results.push({ title, error: error as Error });
    }
  }
  return results;
}
