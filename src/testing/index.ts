export {
  askOf,
  commitOf,
  createClock,
  createIds,
  type DocumentOptions,
  documentOf,
  type HeadInput,
  headOf,
  labelEntry,
  seedPrompts,
  type TestPrompts,
  testRegistry,
  tombstoneOf,
} from "./builders.ts";
export {
  type CountingDriver,
  type Counts,
  count,
  type DriverMethod,
  type Fault,
  type FaultyDriver,
  fault,
} from "./layers.ts";
export {
  type CheckOptions,
  type ClientCall,
  type ClientEvent,
  type ClientResult,
  checkLinearizable,
  describeEvent,
  type Expectation,
  type RunOptions,
  runHistory,
  type Seen,
  type Verdict,
} from "./linearizability/index.ts";
export { createRandom, type Random } from "./random.ts";
export { driverSuite, suiteTests } from "./suite/index.ts";
export type { BudgetOperation, Damage, SuiteOptions, SuiteRunner, SuiteSkip } from "./suite/types.ts";
export { type NastyText, texts } from "./texts.ts";
