import { describe, expect, it } from "vitest";
import { auditTrail, httpWorld } from "../../../test/support/http-world.ts";
import { openAccess } from "../handler.ts";
import { ROUTES, type RouteSpec } from "../protocol/routes.ts";

const ELSEWHERE: readonly Readonly<Record<string, string>>[] = [
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
  { "sec-fetch-site": "" },
  { "sec-fetch-site": "something new" },
  { "sec-fetch-site": "cross-site", origin: "http://registry.test" },
  { origin: "https://evil.example" },
  { origin: "http://registry.test.evil.example" },
  { origin: "http://registry.test:8080" },
  { origin: "http://registry.test@evil.example" },
  { origin: "null" },
  { origin: "" },
];
const HERE: readonly Readonly<Record<string, string>>[] = [
  {},
  { "sec-fetch-mode": "cors" },
  { "sec-fetch-site": "same-origin" },
  { "sec-fetch-site": "same-origin", origin: "https://public.example" },
  { "sec-fetch-site": "none" },
  { origin: "http://registry.test" },
  { origin: "https://registry.test" },
  { origin: "http://registry.test:8080", host: "registry.test:8080" },
];
const guarded = (ROUTES as readonly RouteSpec[]).filter(({ mutates, right }) => mutates === true || right === "admin");
const pathOf = ({ path }: RouteSpec) =>
  path.replace("{name}", "a").replace("{version}", "1.0.0").replace("{label}", "production");

describe("what a browser says another site's page has sent", () => {
  it.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s is refused",
    async (_, route) => {
      const audit = auditTrail();
      const { send, registry } = httpWorld({ access: openAccess(), audit });
      await registry.storePrompt({ name: "a", version: "1.0.0", text: "t", labels: ["production"] });
      const before = await registry.getPrompt("a@production");
      for (const headers of ELSEWHERE) {
        const reply = await send(route.method, pathOf(route), { headers });
        expect([reply.status, reply.json.code, reply.json.context]).toEqual([403, "FORBIDDEN", { field: "origin" }]);
      }
      expect((await registry.getPrompt("a@production")).digest).toBe(before.digest);
      // Of a stranger the first, and how many more there were.
      expect(audit.entries.map(({ outcome, code }) => [outcome, code])).toEqual([["denied", "FORBIDDEN"]]);
    },
  );

  it("is not asked of reading, which it is told nothing of", async () => {
    const { send, registry } = httpWorld({ access: openAccess() });
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "t" });
    const reply = await send("GET", "/v1/prompts", { headers: { "sec-fetch-site": "cross-site" } });
    expect([reply.status, reply.headers.get("access-control-allow-origin")]).toEqual([200, null]);
  });

  it.each(HERE)("%j is let through", async (headers) => {
    const { send } = httpWorld({ access: openAccess() });
    const json = { bump: "minor", text: "t" };
    expect((await send("POST", "/v1/prompts/a/-/versions", { headers, json })).status).toBe(201);
    expect((await send("GET", "/v1/check", { headers })).status).toBe(200);
  });

  it("gets no answer to the question whether it may", async () => {
    const { send } = httpWorld({ access: openAccess() });
    const asked = { origin: "https://evil.example", "access-control-request-method": "PUT" };
    const reply = await send("OPTIONS", "/v1/prompts/a/-/versions/1.0.0", { headers: asked });
    expect(reply.status).toBe(405);
    expect([...reply.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});
