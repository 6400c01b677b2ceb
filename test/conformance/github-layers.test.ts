import { composed } from "../support/composed.ts";
import { githubSuite } from "../support/github-suite.ts";

// No second handle: those with a cache of their own see each other's changes after its TTL, which is their contract.
githubSuite({
  name: "github without GraphQL, under cache, fallback and retry",
  server: "ours without GraphQL",
  third: 2,
  another: false,
  wrap: (driver) => composed(driver),
});
