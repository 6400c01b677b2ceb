export { type CheckOptions, checkLinearizable, describeEvent, type Verdict } from "./check.ts";
export type { ClientCall, ClientEvent, ClientResult, Expectation, Seen } from "./model.ts";
export { type RunOptions, runHistory } from "./run.ts";
