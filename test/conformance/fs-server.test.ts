import { fsSuite } from "../support/fs-suite.ts";

fsSuite(
  "fs, server",
  { mode: "server" },
  { readVersion: 20, readLatest: 30, publish: 40, listPrompts: 320, changes: 320 },
);
