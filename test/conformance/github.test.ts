import { githubSuite } from "../support/github-suite.ts";

// As most will have it: GraphQL for reads of many, Git objects for commits. A warm read of an unchanged
// branch is one 304; the first list, and the first write to many, read the tree once.
githubSuite({
  name: "github",
  server: "ours",
  third: 0,
  max: {
    readVersion: 1,
    readLatest: 1,
    readLabel: 1,
    readMany: 1,
    publish: 4,
    publishMany: 5,
    moveHead: 4,
    listPrompts: 2,
    listPromptsWithHeads: 1,
    listVersions: 1,
    history: 1,
    changes: 1,
  },
});
