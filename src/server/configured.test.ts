import { describe, expect, it } from "vitest";
import type { CheckedConfig } from "../config.ts";
import { optionsOf } from "./configured.ts";

const optionsFor = (config: unknown) => optionsOf(config as CheckedConfig, "/");

describe("options of a configured server", () => {
  it("the feed is looked at less often where any part of a look is a request", () => {
    expect(optionsFor({ storage: { backend: "memory" }, server: { poll: 1234 } })).toMatchObject({ poll: 1234 });
    expect(optionsFor({ storage: { backend: "sqlite", path: "a" } })).not.toHaveProperty("poll");
    for (const config of [
      { storage: { backend: "s3", bucket: "b" } },
      { storage: { backend: "memory" }, route: [{ names: "a", storage: { backend: "github" } }] },
    ]) {
      expect(optionsFor(config)).toMatchObject({ poll: 5000 });
    }
    expect(optionsFor({ storage: { backend: "http" }, server: { poll: 100 } })).toMatchObject({ poll: 100 });
  });
});
