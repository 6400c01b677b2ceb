import { emulatedGitHubProblem } from "../support/emulate-github.ts";
import { githubSuite } from "../support/github-suite.ts";
import { skipSuite } from "../support/skip.ts";

const problem = emulatedGitHubProblem();
if (problem !== undefined) skipSuite("github over emulate", problem);
else githubSuite({ name: "github over emulate", server: "emulate", third: 1 });
