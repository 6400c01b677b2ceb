import { afterEach, describe, expect, test, vi } from "vitest";
import { Api } from "./api.ts";
import { asFailure } from "./failure.ts";

const BASE = new URL("https://registry.example/below/v1");

function answering(reply: () => Response | Promise<Response>) {
  const fetched = vi.fn(async (_url: URL, _init: RequestInit) => reply());
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

const failed = (work: Promise<unknown>) => work.then(() => expect.unreachable(), asFailure);

afterEach(() => vi.unstubAllGlobals());

describe("the client", () => {
  test.each([
    "..",
    "../../../openapi.json",
    "a/../../b",
    "%2e%2e/x",
    "a b",
    "a?form=raw",
    "a#b",
    "a\\b",
    "^1.2",
    "./a",
  ])("a selector %j leads nowhere else", async (selector) => {
    const fetched = answering(() => Response.json({}));
    const failure = await failed(new Api(BASE, "prg_x").document("support/triage", selector));
    for (const [url] of fetched.mock.calls) {
      expect(url.pathname.startsWith("/below/v1/prompts/support/triage/-/labels/")).toBe(true);
    }
    expect(failure.outcome).not.toBe("unknown");
  });

  test("asks below the path that the page is served at, with the token in its header alone", async () => {
    const fetched = answering(() => Response.json({ items: [] }));
    await new Api(BASE, "prg_x").prompts({ prefix: "a/", text: "" });
    const [[url, init] = []] = fetched.mock.calls;
    expect(String(url)).toBe("https://registry.example/below/v1/prompts?prefix=a%2F&include=heads");
    expect(init).toMatchObject({ headers: { Authorization: "Bearer prg_x" }, redirect: "error", cache: "no-store" });
  });

  test("a lost answer to a change leaves its outcome open, that to a question does not", async () => {
    answering(() => Promise.reject(new TypeError("Failed to fetch")));
    const api = new Api(BASE, undefined);
    expect((await failed(api.publish("a", "1.0.0", "text", {}))).outcome).toBe("unknown");
    expect((await failed(api.head("a"))).outcome).toBe("temporary");
  });

  test.each(['"text"', "<html>", "[]", '{"items":{}}', '{"items":[{"name":1}]}', ""])(
    "200 with %j is no answer of the registry",
    async (body) => {
      answering(() => new Response(body));
      expect(await failed(new Api(BASE, undefined).prompts({}))).toMatchObject({ kind: "foreign", isOutage: true });
    },
  );

  test("what was published is written once, and a label moves only from where it was seen", async () => {
    const fetched = answering(() => Response.json({ name: "a", status: "created", version: "1.0.0" }));
    const api = new Api(BASE, undefined);
    await api.publish("a", "1.0.0", "text", { labels: "x,y", expect: "none" });
    await api.moveLabel("a", "production", "1.0.0", "sha256:0");
    await api.moveLabel("a", "production", "1.0.0", undefined);
    const headers = fetched.mock.calls.map(([, init]) => init.headers);
    expect(headers[0]).toMatchObject({ "If-None-Match": "*" });
    expect(headers[1]).toMatchObject({ "If-Match": '"sha256:0"' });
    expect(headers[2]).toMatchObject({ "If-None-Match": "*" });
    expect(String(fetched.mock.calls[0]?.[0])).toMatch(/\/versions\/1\.0\.0\?labels=x%2Cy&expect=none$/);
  });

  test("whoever is not known is told once, wherever it shows", async () => {
    const problem = {
      type: "/problems/unauthenticated",
      title: "t",
      status: 401,
      detail: "d",
      code: "UNAUTHENTICATED",
      outcome: "final",
    };
    answering(() => Response.json(problem, { status: 401 }));
    const told = vi.fn();
    await failed(new Api(BASE, "prg_x", told).head("a"));
    expect(told).toHaveBeenCalledOnce();
  });
});
