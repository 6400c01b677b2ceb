/** Random choices that come again with the same seed; for tests that must fail the same way twice. */
export interface Random {
  /** A whole number from 0 to `below` - 1. */
  int(below: number): number;
  /** True with the given probability; default one half. */
  chance(probability?: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** A copy in random order. */
  shuffle<T>(items: readonly T[]): T[];
  /** Lower-case letters and digits, as names and labels are made of. */
  word(length?: number): string;
  /** A text with line breaks, spaces and characters beyond ASCII and beyond the BMP. */
  text(maxLength?: number): string;
  /** A valid prompt name of one to three segments. */
  name(): string;
  /** A valid version, now and then a prerelease. */
  version(): string;
  /** A generator of its own, so that one part of a test does not shift the choices of another. */
  fork(): Random;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const WORD = `${LETTERS}0123456789`;
const PIECES = [
  ...LETTERS,
  " ",
  " ",
  " ",
  "\n",
  "\t",
  "\r\n",
  "é",
  "日本",
  "🙂",
  "{{x}}",
  "#",
  "- ",
  ": ",
  '"',
  "\u2028",
];

/**
 * @example
 * const random = createRandom(7);
 * random.pick(["a", "b"]);
 */
export function createRandom(seed: number): Random {
  // mulberry32: small, and the same on every platform.
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  const int = (below: number) => Math.floor(next() * below);
  const pick = <T>(items: readonly T[]) => items[int(items.length)] as T;
  const word = (length = 1 + int(8)) =>
    pick([...LETTERS]) + Array.from({ length: length - 1 }, () => pick([...WORD])).join("");
  return {
    int,
    chance: (probability = 0.5) => next() < probability,
    pick,
    shuffle(items) {
      const copy = [...items];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [copy[i], copy[j]] = [copy[j] as (typeof copy)[number], copy[i] as (typeof copy)[number]];
      }
      return copy;
    },
    word,
    text: (maxLength = 200) => Array.from({ length: int(maxLength) }, () => pick(PIECES)).join(""),
    // A leading letter other than those of Windows device names keeps every name valid.
    name: () => Array.from({ length: 1 + int(3) }, () => `p${word()}`).join("/"),
    version: () =>
      `${int(4)}.${int(12)}.${int(4)}${next() < 0.2 ? `-${pick(["alpha", "beta", "rc"])}.${int(12)}` : ""}`,
    fork: () => createRandom(Math.floor(next() * 2 ** 32)),
  };
}
