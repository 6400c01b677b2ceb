import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { ServerResponse } from "node:http";
import { exportJWK, exportSPKI, type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createAccess, type OidcIssuer, type OidcOptions } from "../../src/server/access/index.ts";
import { AUDIENCE, bearer, listen, refused } from "../support/oidc-lab.ts";

describe("tokens of an issuer whose keys are ours", () => {
  interface Key {
    readonly kid: string;
    readonly privateKey: KeyObject;
    readonly publicKey: KeyObject;
  }
  const rsa = (kid: string): Key => ({ kid, ...generateKeyPairSync("rsa", { modulusLength: 2048 }) });
  const good = rsa("good");
  const other = rsa("good");
  const late = rsa("late");
  let issuer: string;
  let published: Key[];
  let asked: string[];
  let broken: ((response: ServerResponse) => void) | undefined;

  beforeAll(async () => {
    issuer = await listen((request, response) => {
      asked.push(request.url ?? "");
      if (broken !== undefined) return broken(response);
      const send = (body: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
      if (request.url === "/.well-known/openid-configuration") send({ issuer, jwks_uri: `${issuer}/jwks` });
      else if (request.url === "/jwks") {
        const keys = published.map(async ({ kid, publicKey }) => ({
          ...(await exportJWK(publicKey)),
          kid,
          use: "sig",
        }));
        Promise.all(keys).then((all) => send({ keys: all }));
      } else response.writeHead(404).end();
    });
  });
  beforeEach(() => {
    published = [good];
    asked = [];
    broken = undefined;
  });

  const now = Math.floor(Date.now() / 1000);
  const claims = () => ({
    iss: issuer,
    aud: AUDIENCE,
    sub: "repo:acme/prompts:ref:refs/heads/main",
    repository: "acme/prompts",
    ref: "refs/heads/main",
    iat: now,
    exp: now + 300,
  });

  function sign(payload: JWTPayload, key: Key = good, header: Partial<JWTHeaderParameters> = {}): Promise<string> {
    return new SignJWT(payload).setProtectedHeader({ alg: "RS256", kid: key.kid, ...header }).sign(key.privateKey);
  }

  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  function raw(header: unknown, payload: unknown, signature: (input: string) => string = () => ""): string {
    const input = `${part(header)}.${part(payload)}`;
    return `${input}.${signature(input)}`;
  }

  const config = (): OidcIssuer => ({
    issuer,
    audience: AUDIENCE,
    map: [
      { claims: { repository: "acme/prompts", ref: "refs/heads/main" }, scopes: ["write:support", "promote::beta"] },
      { claims: { repository: ["acme/prompts", "acme/other"] }, scopes: ["read"] },
      { claims: { groups: "ops" }, scopes: ["promote::production"] },
      { claims: { level: 3, staff: true }, scopes: ["admin:staff"] },
    ],
  });
  const open = (options: OidcOptions = {}) =>
    createAccess({ oidc: [config()], throttle: false, recheck: 0, oidcOptions: options });

  test("grant what their claims are mapped to, whole and by type", async () => {
    const access = open();
    const scopesOf = async (more: JWTPayload) => {
      const { grants } = await access.authenticate(bearer(await sign({ ...claims(), ...more })));
      return grants.map(({ right, prefix, labels = [] }) => [right, prefix, ...labels].join(":"));
    };
    expect(await scopesOf({})).toEqual(["write:support", "promote::beta", "read:"]);
    expect(await scopesOf({ ref: "refs/heads/main2" })).toEqual(["read:"]);
    expect(await scopesOf({ ref: "refs/heads/MAIN" })).toEqual(["read:"]);
    expect(await scopesOf({ repository: "acme/other" })).toEqual(["read:"]);
    expect(await scopesOf({ repository: "evil/prompts" })).toEqual([]);
    expect(await scopesOf({ repository: "x", groups: ["dev", "ops"] })).toEqual(["promote::production"]);
    expect(await scopesOf({ repository: "x", groups: "opsx" })).toEqual([]);
    expect(await scopesOf({ repository: "x", groups: [["ops"]] })).toEqual([]);
    expect(await scopesOf({ repository: "x", level: 3, staff: true })).toEqual(["admin:staff"]);
    expect(await scopesOf({ repository: "x", level: "3", staff: "true" })).toEqual([]);
  });

  test("name the author, on one line", async () => {
    const name = async (nameClaim: string, more: JWTPayload) => {
      const access = createAccess({ oidc: [{ ...config(), nameClaim }] });
      return (await access.authenticate(bearer(await sign({ ...claims(), ...more })))).name;
    };
    expect(await name("repository", {})).toBe("acme/prompts");
    expect(await name("email", {})).toBe(claims().sub);
    expect(await name("email", { email: "a\r\nb\u202ec" })).toBe("a  b c");
    expect((await name("email", { email: "é".repeat(500) })).length).toBe(200);
  });

  test("are taken within a minute of their time, and not beyond", async () => {
    const access = open();
    for (const times of [{ exp: now - 30 }, { nbf: now + 30 }])
      expect(await access.authenticate(bearer(await sign({ ...claims(), ...times })))).toBeDefined();
    for (const times of [{ exp: now - 90 }, { nbf: now + 120 }, { exp: 0 }, { exp: -1 }])
      await expect(access.authenticate(bearer(await sign({ ...claims(), ...times })))).rejects.toMatchObject(refused);
  });

  test("that are forged in any way are nobody's", async () => {
    const access = open();
    const { exp: _, ...endless } = claims();
    const { sub: __, ...nobody } = claims();
    const spki = await exportSPKI(good.publicKey);
    const hmac = (secret: string) => (input: string) => createHmac("sha256", secret).update(input).digest("base64url");
    const jwk = await exportJWK(other.publicKey);
    const forged: Record<string, string> = {
      "alg none": raw({ alg: "none", kid: "good" }, claims()),
      "alg None": raw({ alg: "None", kid: "good" }, claims()),
      "alg none with a signature": raw({ alg: "none", kid: "good" }, claims(), () => "AAAA"),
      "no alg": raw({ kid: "good" }, claims()),
      "the public key as the secret": raw({ alg: "HS256", kid: "good" }, claims(), hmac(spki)),
      "the public key as the secret, as a JWK": raw(
        { alg: "HS256", kid: "good" },
        claims(),
        hmac(JSON.stringify(await exportJWK(good.publicKey))),
      ),
      "an empty secret": raw({ alg: "HS256", kid: "good" }, claims(), hmac("x")),
      "somebody else's key under the right kid": await sign(claims(), other),
      "a key in the header": await sign(claims(), other, { jwk }),
      "a key elsewhere": await sign(claims(), other, { jku: "http://127.0.0.1:1/jwks" }),
      "an unknown kid": await sign(claims(), other, { kid: "unknown" }),
      "another algorithm of the same key": await new SignJWT(claims())
        .setProtectedHeader({ alg: "PS256", kid: "good" })
        .sign(good.privateKey),
      "an unknown critical header": raw({ alg: "RS256", kid: "good", crit: ["x"], x: 1 }, claims()),
      "another issuer": await sign({ ...claims(), iss: "https://evil.example" }),
      "an issuer that only begins alike": await sign({ ...claims(), iss: `${issuer}/` }),
      "no issuer": await sign({ ...claims(), iss: undefined as unknown as string }),
      "another audience": await sign({ ...claims(), aud: "https://other.example" }),
      "no audience": await sign({ ...claims(), aud: undefined as unknown as string }),
      "no end": await sign(endless),
      "no subject": await sign(nobody),
      "an empty subject": await sign({ ...claims(), sub: "" }),
      "a long subject": await sign({ ...claims(), sub: "x".repeat(256) }),
      "other claims under the signature": (await sign(claims())).replace(
        /\.[^.]+\./,
        `.${part({ ...claims(), repository: "acme/secret" })}.`,
      ),
      "no signature": `${(await sign(claims())).split(".").slice(0, 2).join(".")}.`,
      "no third part": (await sign(claims())).split(".").slice(0, 2).join("."),
      "no JSON": "e30.bm90anNvbg.AAAA",
      "more than any token has": await sign({ ...claims(), filler: "x".repeat(20_000) }),
    };
    for (const [what, token] of Object.entries(forged))
      await expect(access.authenticate(bearer(token)), what).rejects.toMatchObject(refused);
    expect(await access.authenticate(bearer(await sign(claims())))).toBeDefined();
  });

  test("never speak for another issuer", async () => {
    const second = await listen((request, response) => {
      const send = (body: unknown) => response.end(JSON.stringify(body));
      if (request.url === "/jwks") exportJWK(other.publicKey).then((jwk) => send({ keys: [{ ...jwk, kid: "good" }] }));
      else send({ issuer: second, jwks_uri: `${second}/jwks` });
    });
    const access = createAccess({
      oidc: [config(), { issuer: second, audience: AUDIENCE, map: [{ claims: { sub: "x" }, scopes: ["read"] }] }],
    });
    await expect(access.authenticate(bearer(await sign(claims(), other)))).rejects.toMatchObject(refused);
    const own = { ...claims(), iss: second, sub: "x" };
    expect((await access.authenticate(bearer(await sign(own, other)))).id).toBe(`oidc:${second}#x`);
    await expect(access.authenticate(bearer(await sign(own, good)))).rejects.toMatchObject(refused);
  });

  test("make one question for the keys, and one more for a key that is new", async () => {
    const access = open({ cooldown: 0 });
    const token = await sign(claims());
    await Promise.all(Array.from({ length: 20 }, () => access.authenticate(bearer(token))));
    await access.authenticate(bearer(token));
    expect(asked).toEqual(["/.well-known/openid-configuration", "/jwks"]);
    published = [good, late];
    expect(await access.authenticate(bearer(await sign(claims(), late)))).toBeDefined();
    expect(asked.length).toBe(3);
  });

  test("with keys that nobody knows do not make the server ask again and again", async () => {
    const access = open();
    await access.authenticate(bearer(await sign(claims())));
    for (let i = 0; i < 5; i++) {
      const token = await sign(claims(), other, { kid: `unknown-${i}` });
      await expect(access.authenticate(bearer(token))).rejects.toMatchObject(refused);
    }
    expect(asked.length).toBe(2);
  });

  const failures: Record<string, (response: ServerResponse) => void> = {
    "an error": (response) => response.writeHead(500).end("boom"),
    "no connection": (response) => response.destroy(),
    "something else": (response) => response.end("<html>"),
    "a redirect": (response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "too much": (response) => response.end("x".repeat(2 << 20)),
    "another issuer's name": (response) =>
      response.end(JSON.stringify({ issuer: "https://evil.example", jwks_uri: `${issuer}/jwks` })),
    "keys over an open line": (response) =>
      response.end(JSON.stringify({ issuer, jwks_uri: "http://keys.example/jwks" })),
  };
  test.each(Object.entries(failures))(
    "can't be judged while the issuer gives %s: that is no denial",
    async (_, fail) => {
      broken = fail;
      const access = open({ pause: 40 });
      const token = await sign(claims());
      const error = await access.authenticate(bearer(token)).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary" });
      const questions = asked.length;
      await expect(access.authenticate(bearer(token))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(asked.length).toBe(questions);
      broken = undefined;
      await expect.poll(() => access.authenticate(bearer(token)), { timeout: 5000 }).toBeDefined();
    },
  );

  test("are still taken while the issuer is away, by the keys that are known", async () => {
    const access = open();
    await access.authenticate(bearer(await sign(claims())));
    broken = failures["no connection"];
    expect(await access.authenticate(bearer(await sign({ ...claims(), iat: now - 1 })))).toBeDefined();
  });
});

test.each([
  [{ issuer: "http://issuer.example" }, "must be an https: URL"],
  [{ issuer: "https://user:pass@issuer.example" }, "must be an https: URL"],
  [{ jwksUri: "http://keys.example" }, "must be an https: URL"],
  [{ audience: [] }, "audience"],
  [{ audience: "" }, "audience"],
  [{ algorithms: ["HS256"] }, "is not taken"],
  [{ algorithms: ["none"] }, "is not taken"],
  [{ map: [] }, "nobody gets in"],
  [{ map: [{ claims: {}, scopes: ["read"] }] }, "everybody there would get in"],
  [{ map: [{ claims: { sub: "x" }, scopes: ["own"] }] }, "no right that is known"],
])("an issuer with %j is refused at start", (wrong, message) => {
  const map = [{ claims: { sub: "x" }, scopes: ["read"] }];
  const issuer = { issuer: "https://issuer.example", audience: AUDIENCE, map, ...wrong } as OidcIssuer;
  expect(() => createAccess({ oidc: [issuer] })).toThrow(message);
});
