export { junitOf } from "./junit.ts";
export { checkConformance } from "./run.ts";
export type { CheckResult, ConformanceOptions, ConformanceReport } from "./types.ts";
