import { describe, expect, test } from "vitest";
import { failureOf, isProblem } from "./failure.ts";

const problem = {
  type: "/problems/not-found",
  title: "Not found",
  status: 404,
  detail: "there is no prompt a",
  code: "NOT_FOUND",
  outcome: "final",
};

describe("failures", () => {
  test("a problem of the server is believed", async () => {
    const failure = await failureOf(Response.json({ ...problem, requestId: "r" }, { status: 404 }), false);
    expect(failure).toMatchObject({ kind: "problem", status: 404, outcome: "final", isOutage: false });
  });

  test.each(["<html>", '"text"', "{}", "null", JSON.stringify({ ...problem, type: "https://proxy.example" })])(
    "a 404 with %s is some proxy's and says nothing about the registry",
    async (body) => {
      const failure = await failureOf(new Response(body, { status: 404 }), false);
      expect(failure).toMatchObject({ kind: "foreign", outcome: "temporary", isOutage: true });
      expect((await failureOf(new Response(body, { status: 404 }), true)).outcome).toBe("unknown");
    },
  );

  test("how long to wait is told where it is known", async () => {
    const busy = {
      ...problem,
      type: "/problems/rate-limited",
      code: "RATE_LIMITED",
      status: 429,
      outcome: "temporary",
    };
    const failure = await failureOf(Response.json(busy, { status: 429, headers: { "Retry-After": "7" } }), false);
    expect(failure).toMatchObject({ retryAfter: 7, isOutage: true });
  });

  test("another shape is no problem", () => {
    expect(isProblem({ ...problem, outcome: "maybe" })).toBe(false);
    expect(isProblem(problem)).toBe(true);
  });
});
