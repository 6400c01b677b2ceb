import { expect, test } from "vitest";
import { createToken, hashToken, isToken, TOKEN_PATTERN, tokenId } from "./token.ts";

test("a token is its id, 256 random bits and a checksum", () => {
  const made = createToken();
  expect(made.token).toMatch(TOKEN_PATTERN);
  expect(made.token).toMatch(/^prg_[0-9a-z]{12}_[0-9A-Za-z]{49}$/);
  expect(tokenId(made.token)).toBe(made.id);
  expect(made.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(made.hash).toBe(hashToken(made.token));
  expect(JSON.stringify({ id: made.id, hash: made.hash })).not.toContain(made.token.slice(17, 40));
  expect(new Set(Array.from({ length: 200 }, () => createToken().token)).size).toBe(200);
});

test("every single wrong character is told without asking anybody", () => {
  const { token } = createToken();
  for (let i = 4; i < token.length; i++) {
    for (const other of ["0", "a", "Z", "_", "é", ""]) {
      if (token[i] === other) continue;
      expect(tokenId(token.slice(0, i) + other + token.slice(i + 1)), `${i} ${other}`).toBeUndefined();
    }
  }
  for (const text of ["", "prg_", `${token} `, ` ${token}`, `${token}\n`, token.toUpperCase(), token.slice(1)])
    expect(tokenId(text)).toBeUndefined();
});

test("only the token itself has its hash", () => {
  const { token, hash } = createToken();
  expect(isToken(token, hash)).toBe(true);
  expect(isToken(createToken().token, hash)).toBe(false);
  expect(isToken(token, undefined)).toBe(false);
  expect(isToken(token, "")).toBe(false);
  expect(isToken(token, hash.slice(2))).toBe(false);
  expect(isToken(hash, hash)).toBe(false);
});

test("a wrong token takes as long as a right one, wherever it is wrong, and where there is none", () => {
  const { token, hash } = createToken();
  const other = (at: number) => hash.slice(0, at) + (hash[at] === "0" ? "1" : "0") + hash.slice(at + 1);
  const stored: Readonly<Record<string, string | undefined>> = {
    right: hash,
    "wrong at once": other(0),
    "wrong at the end": other(63),
    absent: undefined,
  };
  const times: Record<string, number[]> = {};
  // In turn, so that whatever else the machine does meets all of them alike.
  for (let round = 0; round < 400; round++) {
    for (const [what, found] of Object.entries(stored)) {
      const started = process.hrtime.bigint();
      for (let i = 0; i < 20; i++) isToken(token, found);
      const list = times[what] ?? [];
      times[what] = list;
      if (round >= 100) list.push(Number(process.hrtime.bigint() - started));
    }
  }
  const medians = Object.values(times).map((list) => list.sort((a, b) => a - b)[list.length >> 1] as number);
  expect(Math.max(...medians) / Math.min(...medians), JSON.stringify(medians)).toBeLessThan(2);
});
