import { inspect } from "node:util";
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
    expect(of(network("EHOSTUNREACH"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "unknown"]);
    const connecting = Object.assign(network("EHOSTUNREACH"), { syscall: "connect" });
    expect(of(connecting, true).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
    expect(of(network("HPE_INVALID_CONSTANT"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "unknown"]);
    expect(of(network("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), true)[1]).toBe("unknown");
    expect(of(network("CERT_HAS_EXPIRED"), true).slice(0, 2)).toEqual(["CONFIG", "final"]);
    expect(of(new TypeError("x is not a function"), true).slice(0, 2)).toEqual(["INTERNAL", "unknown"]);
    expect(of(new TypeError("x is not a function")).slice(0, 2)).toEqual(["INTERNAL", "final"]);
    expect(of(told(500, "InternalError"), true).slice(0, 2)).toEqual(["UNAVAILABLE", "unknown"]);
    expect(of(Object.assign(new Error("slow"), { name: "TimeoutError" }), true).slice(0, 2)).toEqual([
      "TIMEOUT",
      "unknown",
    ]);
  });

  it("a foreign page is no answer of a store", () => {
    expect(of(told(404, "UnknownError")).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
    expect(of(told(302, "UnknownError")).slice(0, 2)).toEqual(["UNAVAILABLE", "temporary"]);
  });

  it("an expired token is that, also where the reply names the region of the bucket", () => {
    const [code] = of(told(400, "ExpiredToken", { "x-amz-bucket-region": "eu-central-1" }));
    expect(code).toBe("UNAUTHENTICATED");
  });

  it("nothing secret is left in the cause: not the request, nor what a reply repeats of it", () => {
    const canary = "CANARY-token";
    const req = { _header: `Authorization: ${canary}\r\nx-amz-security-token: ${canary}` };
    const error = Object.assign(new Error(`The token ${canary} is not valid`), {
      ...told(403, "SignatureDoesNotMatch"),
      ...{ StringToSign: canary, CanonicalRequest: `x-amz-security-token:${canary}`, "Token-0": canary },
      message: `The token ${canary} is not valid`,
    });
    Object.defineProperty(error, "$response", { value: { statusCode: 403, headers: {}, body: { req } } });
    const failure = s3Failure(error, "reading s3://b/k", "s3://b", true);
    const options = { depth: 20, showHidden: true, maxStringLength: null };
    expect(inspect(failure, options)).not.toContain(canary);
    expect(inspect(failure)).toContain("SignatureDoesNotMatch");
    const long = "CANARY+token/9".repeat(4);
    const strange = { ...told(400, "InvalidArgument"), message: `x-amz-security-token: ${long} is not understood` };
    expect(inspect(s3Failure(strange, "reading", "s3://b", false), options)).not.toContain("CANARY");
    // What a store says is not always a text.
    const element = { ...told(400, "InvalidArgument"), message: { b: long } };
    expect(s3Failure(element as never, "reading", "s3://b", true)).toMatchObject({ code: "INTERNAL" });
    const own = new Error(`the helper said ${long}`);
    expect(inspect(s3Failure(own, "reading", "s3://b", false), options)).not.toContain("CANARY");
    const broken = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", $response: { body: { req } } });
    expect(inspect(s3Failure(broken, "reading", "s3://b", true), options)).not.toContain(canary);
  });
});
