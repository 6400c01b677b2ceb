import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { RegistryError } from "../../errors.ts";
import type { Label, PromptName } from "../../names.ts";
import { type AccessOptions, createAccess } from "./access.ts";
import { issueToken } from "./issue.ts";
import { memoryTokens, type TokenStore } from "./store.ts";
import { createToken } from "./token.ts";

const bearer = (token: string, address: string | undefined = "192.0.2.1") => ({
  authorization: `Bearer ${token}`,
  address,
});

/** A store that counts how often it is asked. */
function counted(): TokenStore & { asked: number } {
  const store = memoryTokens();
  return Object.assign(Object.create(store) as TokenStore, {
    asked: 0,
    get(this: { asked: number }, id: string) {
      this.asked++;
      return store.get(id);
    },
  });
}

async function opened(options: Partial<AccessOptions> = {}) {
  const tokens = memoryTokens();
  const access = createAccess({ tokens, throttle: false, ...options });
  const { token, record } = await issueToken(tokens, { name: "ci", scopes: ["read", "write:support"] });
  return { tokens, access, token, record };
}

const refused = { code: "UNAUTHENTICATED", outcome: "final" };

describe("who asks", () => {
  test("is told by a token", async () => {
    const { access, token, record } = await opened();
    const principal = await access.authenticate(bearer(token));
    expect(principal).toEqual({
      id: `token:${record.id}`,
      name: "ci",
      grants: [
        { right: "read", prefix: "" },
        { right: "write", prefix: "support" },
      ],
    });
    expect(access.remembered(bearer(token))).toEqual(principal);
    expect(await access.authenticate({ authorization: `bearer  ${token}`, address: undefined })).toEqual(principal);
    const name = "support/triage" as PromptName;
    expect(access.allows(principal, "write", { name })).toBe(true);
    expect(access.allows(principal, "promote", { name, label: "production" as Label })).toBe(false);
    expect(access.allows(principal, "write", {})).toBe(false);
    await access.close();
  });

  test("is nobody without an option that says so, from this machine too", async () => {
    const access = createAccess({});
    const { token } = createToken();
    for (const address of [undefined, "127.0.0.1", "::1"]) {
      await expect(access.authenticate({ authorization: undefined, address })).rejects.toMatchObject(refused);
      await expect(access.authenticate(bearer(token, address))).rejects.toMatchObject(refused);
      expect(access.remembered({ authorization: undefined, address })).toBeUndefined();
    }
  });

  test("is nobody with anything but a token that is there", async () => {
    const { access, token, record } = await opened();
    const other = createToken().token;
    const forged = `${token.slice(0, 17)}${other.slice(17)}`;
    const wrong = [
      ...["", "Bearer", "Bearer ", `Basic ${token}`, token, `Bearer ${token} x`, `Bearer ${other}`, `Bearer ${forged}`],
      ...[
        `Bearer ${token.slice(0, -1)}`,
        `Bearer ${record.hash}`,
        `Bearer ${record.id}`,
        `Bearer ${"x".repeat(20_000)}`,
      ],
      ...["Bearer a.b.c", `Bearer ${token}, Bearer ${token}`, `Bearer ${token}\n`, "Bearer \u0000"],
    ];
    for (const authorization of wrong) {
      const request = { authorization, address: undefined };
      const error = await access.authenticate(request).catch((thrown: unknown) => thrown);
      expect(error, authorization.slice(0, 40)).toMatchObject(refused);
      if (authorization.length > 10) expect(JSON.stringify(error)).not.toContain(authorization.slice(7, 40));
      expect(access.remembered(request)).toBeUndefined();
    }
  });

  test("is nobody from the very next request on after a revocation", async () => {
    const { tokens, access, token, record } = await opened();
    await access.authenticate(bearer(token));
    await tokens.revoke(record.id, new Date().toISOString());
    expect(access.remembered(bearer(token))).toBeUndefined();
    await expect(access.authenticate(bearer(token))).rejects.toMatchObject(refused);
  });

  test("is not told by an answer that was on its way when the token was revoked", async () => {
    const store = memoryTokens();
    const { token, record } = await issueToken(store, { name: "ci", scopes: ["read"] });
    let go: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let first = true;
    const slow = Object.assign(Object.create(store) as TokenStore, {
      async get(id: string) {
        const found = await store.get(id);
        if (first) {
          first = false;
          await held;
        }
        return found;
      },
    });
    const access = createAccess({ tokens: slow });
    const early = access.authenticate(bearer(token));
    await sleep(1);
    await slow.revoke(record.id, new Date().toISOString());
    await expect(access.authenticate(bearer(token))).rejects.toMatchObject(refused);
    go();
    await early;
    expect(access.remembered(bearer(token))).toBeUndefined();
  });

  test("is nobody once the token has ended, by the clock", async () => {
    let now = Date.now();
    const { access, tokens } = await opened({ now: () => now });
    const { token } = await issueToken(tokens, { name: "short", scopes: ["read"], lifetime: 1000 }, () => now);
    await access.authenticate(bearer(token));
    now += 999;
    expect(access.remembered(bearer(token))).toBeDefined();
    now += 1;
    expect(access.remembered(bearer(token))).toBeUndefined();
    await expect(access.authenticate(bearer(token))).rejects.toMatchObject(refused);
  });

  test("a time that can't be read has passed", async () => {
    const { access, tokens } = await opened();
    const made = createToken();
    const record = { id: made.id, hash: made.hash, name: "x", scopes: ["admin"], createdAt: "?", expiresAt: "soon" };
    await tokens.create(record);
    await expect(access.authenticate(bearer(made.token))).rejects.toMatchObject(refused);
  });

  test("is nobody from another network than the token is for", async () => {
    const { access, tokens } = await opened();
    const { token } = await issueToken(tokens, { name: "net", scopes: ["read"], cidrs: ["10.0.0.0/8", "::1"] });
    const inside = ["10.1.2.3", "::ffff:10.9.9.9", "::1"];
    const outside = ["192.0.2.1", "::2", "::ffff:11.0.0.1", undefined, "10.1.2.3, 192.0.2.1"];
    for (const address of inside) expect((await access.authenticate(bearer(token, address))).name).toBe("net");
    for (const address of outside) {
      const request = { authorization: `Bearer ${token}`, address };
      expect(access.remembered(request)).toBeUndefined();
      await expect(access.authenticate(request)).rejects.toMatchObject(refused);
    }
    expect(access.remembered(bearer(token, "10.1.2.3"))).toBeDefined();
  });
});

describe("callers without credentials", () => {
  test("may read, where that was said, and what is wrong is not nothing", async () => {
    const { access, token } = await opened({ anonymous: ["read:public"] });
    const request = { authorization: undefined, address: "192.0.2.1" };
    const principal = await access.authenticate(request);
    expect(principal).toMatchObject({ id: "anonymous", name: "anonymous" });
    expect(access.remembered(request)).toBe(principal);
    expect(access.allows(principal, "read", { name: "public/a" as PromptName })).toBe(true);
    expect(access.allows(principal, "read", { name: "publicity" as PromptName })).toBe(false);
    expect(access.allows(principal, "write", { name: "public/a" as PromptName })).toBe(false);
    await expect(access.authenticate(bearer(`${token}x`))).rejects.toMatchObject(refused);
    await expect(access.authenticate({ authorization: "", address: undefined })).rejects.toMatchObject(refused);
  });

  test.each(["write", "admin", "promote:a", "import"])("may never be given %s", (scope) => {
    expect(() => createAccess({ anonymous: ["read", scope] })).toThrow("can only be let read");
  });
});

describe("asking the store", () => {
  test("happens once for many requests, and again after a second", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const tokens = counted();
      const access = createAccess({ tokens });
      const { token } = await issueToken(tokens, { name: "a", scopes: ["read"] });
      await Promise.all(Array.from({ length: 50 }, () => access.authenticate(bearer(token))));
      expect(tokens.asked).toBe(1);
      vi.advanceTimersByTime(999);
      await access.authenticate(bearer(token));
      expect(tokens.asked).toBe(1);
      vi.advanceTimersByTime(1);
      expect(access.remembered(bearer(token))).toBeUndefined();
      await access.authenticate(bearer(token));
      expect(tokens.asked).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test("that fails is no answer about the token", async () => {
    const secret = "postgres://user:hunter2@host";
    const store = memoryTokens();
    const { token } = await issueToken(store, { name: "a", scopes: ["read"] });
    const broken = Object.assign(Object.create(store) as TokenStore, {
      get: async () => {
        throw new RegistryError("CONFIG", `no ${secret}`);
      },
    });
    const error = await createAccess({ tokens: broken })
      .authenticate(bearer(token))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "UNAVAILABLE", outcome: "temporary", context: { retryAfter: 1000 } });
    expect(JSON.stringify(error)).not.toContain("hunter2");
  });

  test("is never done for what can't be a token", async () => {
    const tokens = counted();
    const access = createAccess({ tokens });
    const { token } = createToken();
    for (const text of [`${token.slice(0, -1)}!`, "prg_x", `${token.slice(0, 20)}AAAA${token.slice(24)}`])
      await expect(access.authenticate(bearer(text))).rejects.toMatchObject(refused);
    expect(tokens.asked).toBe(0);
  });

  test("remembers only so many", async () => {
    const { tokens, access } = await opened({ maxRemembered: 3 });
    const made = await Promise.all(
      Array.from({ length: 5 }, (_, i) => issueToken(tokens, { name: `t${i}`, scopes: ["read"] })),
    );
    for (const { token } of made) await access.authenticate(bearer(token));
    const remembered = made.map(({ token }) => access.remembered(bearer(token)) !== undefined);
    expect(remembered).toEqual([false, false, true, true, true]);
  });

  test("notes when a token was used, at most once a minute", async () => {
    let now = Date.now();
    const { tokens, access, token, record } = await opened({ now: () => now, recheck: 0 });
    const touch = vi.spyOn(tokens, "touch");
    for (let i = 0; i < 5; i++) await access.authenticate(bearer(token));
    expect(touch).toHaveBeenCalledTimes(1);
    now += 60_000;
    await access.authenticate(bearer(token));
    expect(touch).toHaveBeenCalledTimes(2);
    await access.close();
    expect((await tokens.get(record.id))?.lastUsedAt).toBe(new Date(now).toISOString());
  });
});

test("an address that guesses is slowed down, and nobody else, nor who was let in before", async () => {
  const tokens = memoryTokens();
  const access = createAccess({ tokens, throttle: { failures: 3, interval: 60_000, spare: 2 }, recheck: 0 });
  const [old, first, fresh] = [
    await issueToken(tokens, { name: "old", scopes: ["read"] }),
    await issueToken(tokens, { name: "first", scopes: ["read"] }),
    await issueToken(tokens, { name: "fresh", scopes: ["read"] }),
  ];
  await access.authenticate(bearer(old.token));
  const guess = () => access.authenticate(bearer(createToken().token)).catch((thrown: unknown) => thrown);
  for (let i = 0; i < 3; i++) expect(await guess()).toMatchObject(refused);
  // What may be a token is looked at for a while, also at an address from which much comes that is none.
  expect((await access.authenticate(bearer(first.token))).name).toBe("first");
  await expect(access.authenticate(bearer("prg_none"))).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(await guess()).toMatchObject(refused);
  const error = (await guess()) as RegistryError;
  expect(error).toMatchObject({ code: "RATE_LIMITED", outcome: "temporary" });
  expect(error.context.retryAfter).toBeGreaterThan(50_000);
  await expect(access.authenticate(bearer(fresh.token))).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect((await access.authenticate(bearer(old.token))).name).toBe("old");
  expect((await access.authenticate(bearer(fresh.token, "192.0.2.2"))).name).toBe("fresh");
  // Sending nothing is no guess.
  await expect(access.authenticate({ authorization: undefined, address: "192.0.2.1" })).rejects.toMatchObject(refused);
});
