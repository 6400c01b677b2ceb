import { fsSuite } from "../support/fs-suite.ts";

// Calls of the operating system, with some room: the point is that none of them grows with what is not asked for.
fsSuite(
  "fs, embedded",
  {},
  {
    readVersion: 10,
    readLatest: 15,
    readLabel: 30,
    readMany: 320,
    publish: 28,
    publishMany: 1200,
    moveHead: 90,
    listPrompts: 320,
    listPromptsWithHeads: 900,
    listVersions: 25,
    history: 220,
    changes: 320,
  },
);
