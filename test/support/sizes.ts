// How much of a proof runs each time, and the variables that ask for more.

/** A whole number above 0 from the environment. */
export function runsFrom(variable: string, otherwise: number): number {
  const given = Number(process.env[variable] ?? "");
  return Number.isInteger(given) && given > 0 ? given : otherwise;
}

/** Calls of each of the 8 clients of a history. All were run with 500 before a release. */
export const HISTORY_CALLS = runsFrom("PROMPT_REGISTRY_HISTORY_CALLS", 80);

/**
 * Of the points at which a process is stopped or a system call fails, every how many. The shim, which does all of them in the
 * driver's own calls, is faster than strace by far.
 */
export const STRACE_EVERY = process.env.PROCESS_FULL === "1" ? 1 : 4;

/**
 * Tests of the contract's suite that together take longer than all the others, over a store that is asked by requests. Where
 * several suites run over one, each of these is run in one of them, and everywhere when asked for. The first of each three
 * needs a way to write behind the driver's back.
 */
export const SLOW = [
  "I9 no flipped byte is ever served, and verify finds each",
  "I4 a pointer is never seen on a removed version, while the removal itself moves it away",
  "I4 a label never resolves to something that is not there, while versions are published, labelled and deleted",
  "I4 latest never resolves to something that is not there, while versions are published and deleted",
  "I3 a read of many asks answers every one of them",
  "I4 a label is never seen before the version that comes with it",
  "I5 latest never moves back while versions are published in order",
  "I5 latest is the highest stable version whatever the order of publishing (40 random orders)",
  "I1 what one handle does, every other handle sees at its next read",
  "I9 cut, emptied, zeroed, doubled and foreign bytes are never served, and verify finds each",
  "I6 no event is lost between cursors while several handles write",
  "I4 every prompt that is listed can be read, while others are published and removed",
];
