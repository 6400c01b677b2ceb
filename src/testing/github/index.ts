export { checkRepository } from "./check.ts";
export { githubFaults } from "./faults.ts";
export { startGitHub } from "./server.ts";
export type {
  GitHubApp,
  GitHubExchange,
  GitHubFault,
  GitHubFaultReply,
  GitHubLimits,
  GitHubOAuthControls,
  GitHubOptions,
  GitHubQuota,
  GitHubRepositoryHandle,
  GitHubRepositoryOptions,
  GitHubRequest,
  GitHubRule,
  GitHubServer,
  GitHubTokenOptions,
  Permission,
} from "./types.ts";
