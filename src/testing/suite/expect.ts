import assert from "node:assert/strict";
import type { Outcome, ReadAnswer } from "../../driver.ts";
import { type ErrorCode, isRegistryError, RegistryError } from "../../errors.ts";

/** Plain data without prototypes and without keys that hold `undefined`: how an object was made is nobody's business. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).sort()) {
    const inner: unknown = (value as Record<string, unknown>)[key];
    if (inner !== undefined) copy[key] = plain(inner);
  }
  return copy;
}

export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [plain(actual), plain(expected)];
  try {
    assert.deepEqual(a, b);
  } catch {
    assert.fail(`${what}\n  got      ${shown(a)}\n  expected ${shown(b)}`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text;
}

/** Compares texts without printing a megabyte. */
export function sameText(actual: string | undefined, expected: string, what: string): void {
  if (actual === expected) return;
  if (actual === undefined) assert.fail(`${what}: there is no text`);
  let at = 0;
  while (actual[at] === expected[at]) at++;
  const part = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 10), at + 30));
  assert.fail(
    `${what}: the texts differ at ${at} (${actual.length} and ${expected.length} long): got ${part(actual)}, expected ${part(expected)}`,
  );
}

export function ok(condition: unknown, what: string): asserts condition {
  if (!condition) assert.fail(what);
}

/** The call must reject with a RegistryError of one of these codes. */
export async function rejects(
  call: () => Promise<unknown>,
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
): Promise<RegistryError> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    return isOneOf(error, codes, what);
  }
  assert.fail(`${what}: expected ${String(codes)}, but it gave ${shown(plain(value))}`);
}

export function isOneOf(error: unknown, codes: ErrorCode | readonly ErrorCode[], what: string): RegistryError {
  if (!isRegistryError(error)) {
    const stack = error instanceof Error ? error.stack : String(error);
    assert.fail(`${what}: only RegistryError may be thrown, not ${stack}`);
  }
  const wanted: readonly ErrorCode[] = typeof codes === "string" ? [codes] : codes;
  ok(wanted.includes(error.code), `${what}: expected ${wanted.join(" or ")}, got ${error.code}: ${error.message}`);
  ok(error instanceof RegistryError && error.message !== "", `${what}: the error says nothing`);
  return error;
}

type Narrow<T extends { readonly status: string }, S extends string> = Extract<T, { readonly status: S }>;

export function outcomeIs<S extends Outcome["status"]>(
  outcome: Outcome | undefined,
  status: S,
  what: string,
): Narrow<Outcome, S> {
  if (outcome?.status === status) return outcome as Narrow<Outcome, S>;
  if (outcome?.status === "failed")
    throw new Error(`${what}: expected ${status}, but it failed`, { cause: outcome.error });
  assert.fail(`${what}: expected the outcome ${status}, got ${shown(plain(outcome))}`);
}

export function answerIs<S extends ReadAnswer["status"]>(
  answer: ReadAnswer | undefined,
  status: S,
  what: string,
): Narrow<ReadAnswer, S> {
  if (answer?.status === status) return answer as Narrow<ReadAnswer, S>;
  assert.fail(`${what}: expected the answer ${status}, got ${shown(plain(answer))}`);
}
