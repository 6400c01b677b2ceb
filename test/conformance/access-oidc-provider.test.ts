import { generateKeyPairSync } from "node:crypto";
import { exportJWK } from "jose";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { PromptName } from "../../src/names.ts";
import { createAccess } from "../../src/server/access/index.ts";
import { type Answer, AUDIENCE, bearer, listen, refused } from "../support/oidc-lab.ts";

interface RealIssuer {
  callback(): Answer;
}

describe("tokens of a real issuer (oidc-provider)", () => {
  let issuer: string;
  let token: string;

  beforeAll(async () => {
    let answer: Answer = () => {};
    issuer = await listen((request, response) => answer(request, response));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    // It comes without types.
    const name: string = "oidc-provider";
    // It says that it is set up for a test only, and which Node it would like.
    for (const how of ["info", "warn"] as const) vi.spyOn(console, how).mockImplementation(() => {});
    const { Provider } = (await import(name)) as { Provider: new (issuer: string, options: object) => RealIssuer };
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: "ci",
          client_secret: "not-a-secret-outside-of-this-test",
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: [],
          id_token_signed_response_alg: "ES256",
        },
      ],
      jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: "one" }] },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => AUDIENCE,
          getResourceServerInfo: () => ({
            scope: "prompts",
            audience: AUDIENCE,
            accessTokenFormat: "jwt",
            accessTokenTTL: 600,
            jwt: { sign: { alg: "ES256" } },
          }),
        },
      },
    });
    answer = provider.callback();
    const response = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: "ci",
        client_secret: "not-a-secret-outside-of-this-test",
        scope: "prompts",
      }),
    });
    expect(response.status, await response.clone().text()).toBe(200);
    ({ access_token: token } = (await response.json()) as { access_token: string });
  });

  test("are taken, keys and all found by discovery", async () => {
    const map = [{ claims: { client_id: "ci", scope: "prompts" }, scopes: ["write:support"] }];
    const access = createAccess({ oidc: [{ issuer, audience: AUDIENCE, map, nameClaim: "client_id" }] });
    const principal = await access.authenticate(bearer(token));
    expect(principal).toEqual({
      id: `oidc:${issuer}#ci`,
      name: "ci",
      grants: [{ right: "write", prefix: "support" }],
    });
    expect(access.allows(principal, "write", { name: "support/a" as PromptName })).toBe(true);
    expect(access.allows(principal, "read", { name: "support/a" as PromptName })).toBe(false);
    expect(access.remembered(bearer(token))).toBe(principal);
  });

  test("are nobody's for another audience, and may nothing that no claim says", async () => {
    const map = [{ claims: { client_id: "other" }, scopes: ["admin"] }];
    const elsewhere = createAccess({ oidc: [{ issuer, audience: "https://other.example", map }] });
    await expect(elsewhere.authenticate(bearer(token))).rejects.toMatchObject(refused);
    const access = createAccess({ oidc: [{ issuer, audience: ["https://other.example", AUDIENCE], map }] });
    expect((await access.authenticate(bearer(token))).grants).toEqual([]);
  });

  test("are nobody's once one character is another", async () => {
    const map = [{ claims: { client_id: "ci" }, scopes: ["read"] }];
    const access = createAccess({ oidc: [{ issuer, audience: AUDIENCE, map }], throttle: false });
    for (let at = 0; at < token.length - 1; at += 7) {
      if (token[at] === ".") continue;
      const forged = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      await expect(access.authenticate(bearer(forged)), `${at}`).rejects.toMatchObject(refused);
    }
  });
});
