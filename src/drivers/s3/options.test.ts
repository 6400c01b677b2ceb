import { describe, expect, it } from "vitest";
import { parseLocation } from "../../config.ts";
import { checkStorage } from "../../config-schema.ts";
import { resolveOptions, type S3Options } from "./options.ts";

describe("options of S3", () => {
  it("a location says the same as its parts", () => {
    const location = "s3://prompts/team/a?region=eu-central-1&endpoint=https%3A%2F%2Fs3.example&forcePathStyle=true";
    expect(checkStorage(parseLocation(location))).toEqual({
      backend: "s3",
      ...{ bucket: "prompts", prefix: "team/a", region: "eu-central-1" },
      ...{ endpoint: "https://s3.example", forcePathStyle: true },
    });
    expect(checkStorage(parseLocation("s3://prompts"))).toEqual({ backend: "s3", bucket: "prompts" });
    expect(checkStorage(parseLocation("s3://prompts?feedInterval=10m"))).toMatchObject({ feedInterval: 600_000 });
    expect(checkStorage(parseLocation("s3://prompts?feedInterval=0"))).toMatchObject({ feedInterval: 0 });
    const locked = checkStorage(parseLocation("s3://prompts?conditionalWrites=lock:sqlite:./locks.db"));
    expect(locked).toMatchObject({ conditionalWrites: { lock: "sqlite:./locks.db" } });
    const alone = checkStorage(parseLocation("s3://prompts?conditionalWrites=single-writer"));
    expect(alone).toMatchObject({ conditionalWrites: "single-writer" });
  });

  it("what is wrong is refused, without a secret in the message", () => {
    for (const location of ["s3://", "s3:bucket", "s3://b?secretAccessKey=hunter2", "s3://user:hunter2@b"]) {
      expect(() => parseLocation(location)).toThrow(/^(?!.*hunter2).*s3:…/);
    }
    expect(() => checkStorage(parseLocation("s3://prompts?regoin=x"))).toThrow(/regoin/);
    const bad: [Partial<S3Options>, RegExp][] = [
      [{ bucket: "" }, /bucket/],
      [{ prefix: "a//b" }, /prefix/],
      [{ prefix: "a/../b" }, /prefix/],
      [{ endpoint: "https://user:hunter2@host" }, /^(?!.*hunter2).*endpoint/],
      [{ endpoint: "ftp://host" }, /endpoint/],
      [{ kmsKeyId: "k" }, /kmsKeyId/],
      [{ webIdentityTokenFile: "f" }, /roleArn/],
      [{ conditionalWrites: { lock: "memory:" } }, /lock/],
      [{ concurrency: 0 }, /concurrency/],
      [{ feedInterval: -1 }, /feedInterval/],
      [{ profile: "p", credentials: { accessKeyId: "a", secretAccessKey: "hunter2" } }, /^(?!.*hunter2).*credentials/],
    ];
    for (const [options, message] of bad)
      expect(() => resolveOptions({ bucket: "prompts", ...options })).toThrow(message);
  });

  it("the location names bucket and prefix, and nothing else", () => {
    const credentials = { accessKeyId: "AKIA", secretAccessKey: "hunter2" };
    const { location } = resolveOptions({
      bucket: "prompts",
      prefix: "/team/",
      endpoint: "https://s3.example",
      credentials,
    });
    expect(location).toBe("s3://prompts/team");
  });
});
