// How much of a proof runs each time, and the variables that ask for more.

/** A whole number above 0 from the environment. */
export function runsFrom(variable: string, otherwise: number): number {
  const given = Number(process.env[variable] ?? "");
  return Number.isInteger(given) && given > 0 ? given : otherwise;
}

/** Calls of each of the 8 clients of a history. All were run with 500 before a release. */
export const HISTORY_CALLS = runsFrom("PROMPT_REGISTRY_HISTORY_CALLS", 150);
