export { isEnough, nextVersion, promisedStep, requiredBump } from "./bump.ts";
export { checkPublication, createPolicy } from "./check.ts";
export { type Contract, type NeededBump, neededBump, readContract, type Step, type Variable } from "./contract.ts";
export { checkAllowance, type Enforced, enforce, findingLine, readOverride, withOverride } from "./enforce.ts";
export { type GuardOptions, guardOf } from "./guard.ts";
export { hideSecrets, mask } from "./secrets.ts";
export {
  type Allowance,
  DEFAULT_SEVERITIES,
  POLICY_RULES,
  type PolicyFinding,
  type PolicyOptions,
  type PolicyRule,
  type Publication,
  type PublishPolicy,
  type Severity,
} from "./types.ts";
