import { describe, expect, test } from "vitest";
import { serverPlaces } from "./configured.ts";
import { accessSchema, auditSchema, tokensSchema } from "./schema.ts";

describe("where tokens are kept", () => {
  test.each([
    ["file:./t.jsonl", { backend: "file", path: "./t.jsonl" }],
    ["sqlite:./r.db", { backend: "sqlite", path: "./r.db" }],
    ["postgres://ada@host/db", { backend: "postgres", url: "postgres://ada@host/db" }],
  ])("%s", (text, place) => {
    expect(tokensSchema.parse(text)).toEqual(place);
    expect(auditSchema.parse(text)).toEqual(place);
  });

  test.each(["memory:", "./t.jsonl", "file:", "snapshot:./x", "file:./x?mode=server", "s3://bucket/x", 7, true, {}])(
    "%j is no place",
    (value) => {
      expect(tokensSchema.safeParse(value).success).toBe(false);
      expect(auditSchema.safeParse(value).success).toBe(false);
    },
  );

  test("a password is repeated by no message", () => {
    const { error } = tokensSchema.safeParse("postgresx://ada:hunter2@host/db");
    expect(error?.message).not.toContain("hunter2");
  });

  test("is said by the command line, then the configuration, then the storage", async () => {
    const storage = { backend: "sqlite", path: "r.db" } as const;
    const file = (path: string) => ({ backend: "file", path }) as const;
    expect(await serverPlaces({ storage })).toEqual({ tokens: storage, audit: storage });
    const server = { tokens: file("t"), audit: false } as const;
    expect(await serverPlaces({ storage, server })).toEqual(server);
    const given = { tokens: "file:./u", audit: "file:./a" };
    expect(await serverPlaces({ storage, server }, given)).toEqual({ tokens: file("./u"), audit: file("./a") });
    expect((await serverPlaces({ storage }, { audit: "none" })).audit).toBe(false);
    await expect(serverPlaces({ storage }, { tokens: "nowhere" })).rejects.toMatchObject({ code: "CONFIG" });
  });
});

const issuer = {
  issuer: "https://issuer.example",
  audience: "https://prompts.example",
  map: [{ claims: { repository: "acme/prompts" }, scopes: ["write:support"] }],
};

test("access is taken as it is documented", () => {
  const parsed = accessSchema.parse({
    anonymous: ["read:public"],
    protectedLabels: ["production"],
    oidc: [{ ...issuer, nameClaim: "actor", algorithms: ["ES256"] }],
  });
  expect(parsed.oidc?.[0]?.audience).toEqual(["https://prompts.example"]);
  expect(parsed).toMatchObject({ anonymous: ["read:public"], protectedLabels: ["production"] });
});

test.each([
  [{ anonymous: ["write"] }, "can only be read"],
  [{ anonymous: ["admin"] }, "can only be read"],
  [{ anonymous: ["readable"] }, "no right that is known"],
  [{ protectedLabels: ["Production"] }, "must start with"],
  [{ protectedLabels: ["latest"] }, "reserved"],
  [{ oidc: [issuer, issuer] }, "names an issuer twice"],
  [{ oidc: [{ ...issuer, algorithms: ["HS256"] }] }, "Invalid option"],
  [{ oidc: [{ ...issuer, algorithms: ["none"] }] }, "Invalid option"],
  [{ oidc: [{ ...issuer, issuer: "issuer.example" }] }, "Invalid URL"],
  [{ oidc: [{ ...issuer, map: [] }] }, "Too small"],
  [{ oidc: [{ ...issuer, map: [{ claims: {}, scopes: ["read"] }] }] }, "must name at least one claim"],
  [{ oidc: [{ ...issuer, map: [{ claims: { a: null }, scopes: ["read"] }] }] }, "Invalid input"],
  [{ oidc: [{ ...issuer, map: [{ claims: { a: "b" }, scopes: ["own"] }] }] }, "no right that is known"],
  [{ oidc: [{ ...issuer, secret: "x" }] }, "Unrecognized key"],
  [{ open: true }, "Unrecognized key"],
])("%j is refused", (value, message) => {
  expect(accessSchema.safeParse(value).error?.message).toContain(message);
});
