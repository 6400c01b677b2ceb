import { FULL, githubSuite } from "../support/github-suite.ts";
import { skipSuite } from "../support/skip.ts";

if (!FULL) skipSuite("github, commits by one mutation", "slow: set PROMPT_REGISTRY_GITHUB_FULL=1");
else
  githubSuite({
    name: "github, commits by one mutation",
    server: "ours",
    third: 1,
    options: { writes: "graphql" },
    max: { publish: 2, publishMany: 2, moveHead: 2 },
  });
