import { test } from "vitest";

/**
 * Records that a suite can't run here, and why. It counts as one skipped test; `npm test` repeats the reason at the end.
 *
 *     if (strace === undefined) skipSuite("fs faults", "strace is not installed");
 *     else describe("fs faults", () => { … });
 */
export function skipSuite(name: string, reason: string): void {
  if (reason.trim() === "") throw new TypeError(`skipSuite(${JSON.stringify(name)}): a skip needs a reason`);
  process.stderr.write(`skipped: ${name}: ${reason}\n`);
  // scripts/test.mjs reads name and reason back from this title.
  test.skip(`${name} [skipped: ${reason}]`, () => {});
}
