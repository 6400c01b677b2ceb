import { describe, expect, it } from "vitest";
import { s3Failure } from "./failure.ts";

const told = (status: number, code: string, headers: Record<string, string> = {}) => ({
  ...{ name: code, Code: code, message: "m", $metadata: { httpStatusCode: status } },
  $response: { statusCode: status, headers },
});
const of = (error: unknown, mutates = false) => {
  const { code, outcome, message } = s3Failure(error, "reading s3://b/k", "s3://b", mutates);
  expect(message).not.toContain("\n");
  return [code, outcome, message] as const;
};

describe("what S3 says, as one line each", () => {
  it.each([
    [403, "AccessDenied", "FORBIDDEN", "final"],
    [403, "ExpiredToken", "UNAUTHENTICATED", "final"],
    [403, "InvalidAccessKeyId", "UNAUTHENTICATED", "final"],
    [403, "SignatureDoesNotMatch", "UNAUTHENTICATED", "final"],
    [403, "RequestTimeTooSkewed", "UNAUTHENTICATED", "final"],
    [404, "NoSuchBucket", "CONFIG", "final"],
    [503, "SlowDown", "RATE_LIMITED", "temporary"],
    [400, "RequestTimeout", "UNAVAILABLE", "temporary"],
    [400, "BadDigest", "UNAVAILABLE", "temporary"],
    [507, "Whatever", "NO_SPACE", "final"],
  ])("%i %s is %s, %s", (status, name, code, outcome) => {
    expect(of(told(status, name)).slice(0, 2)).toEqual([code, outcome]);
    expect(of(told(status, name), true).slice(0, 2)).toEqual([code, outcome]);
  });

  it("a bucket in another region is told with its region", () => {
    const headers = { "x-amz-bucket-region": "eu-central-1" };
    for (const [status, name] of [
      [301, "PermanentRedirect"],
      [400, "AuthorizationHeaderMalformed"],
      [400, "Odd"],
    ] as const) {
      const [code, outcome, message] = of(told(status, name, headers));
      expect([code, outcome]).toEqual(["CONFIG", "final"]);
      expect(message).toContain("eu-central-1");
    }
  });

  it("a write of which no reply came may have been carried out; a connection that was never made sent nothing", () => {
    const network = (code: string) => Object.assign(new Error(code), { code });
    expect(of(network("ECONNRESET"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "unknown"]);
    expect(of(network("ECONNRESET")).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
    expect(of(network("ECONNREFUSED"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
    expect(of(told(500, "InternalError"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "unknown"]);
    expect(of(Object.assign(new Error("slow"), { name: "TimeoutError" }), true).slice(0, 2)).toEqual([
      "TIMEOUT",
      "unknown",
    ]);
  });

  it("a foreign page is no answer of a store", () => {
    expect(of(told(404, "UnknownError")).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
  });
});
