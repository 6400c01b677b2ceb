import { githubSuite } from "../support/github-suite.ts";

// Reads are the same as in the other suites: here is what writes, and what a lost reply makes of it.
githubSuite({
  name: "github, commits by one mutation",
  server: "ours",
  third: 1,
  options: { writes: "graphql" },
  only: /^(?:I[127] |I13 atomic|I5 guard|I11 (?:entries come|concurrent)|budget: (?:writing|a plain|storePrompts|setting))|through the registry/,
  // The first write to many reads the tree once.
  max: { publish: 2, publishMany: 3, moveHead: 2 },
});
