import { RegistryError } from "../../errors.ts";

/** What is told at most, in characters; one message may repeat a whole document. */
const MOST = 2000;
const CAUSES = 5;

/** Shapes of what must not be in a log, each with what may stay of it. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, "…"],
  // A password may hold an @ that should have been escaped.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"']*@/gi, "$1…@"],
  [/\b(Bearer|Basic|token)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 …"],
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,2}/g, "…"],
  [/\b(?:prg_|gh[pousr]_|github_pat_|sk-|xox[a-z]-|(?:AKIA|ASIA)(?=[A-Z0-9]{12}))[A-Za-z0-9_-]{8,}/g, "…"],
  [
    /((?:password|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|signature|credential|authorization)[A-Za-z_-]*["']?\s*[=:]\s*["']?)[^\s"'&;,]+/gi,
    "$1…",
  ],
];

/**
 * Why something failed, for the log of the server: the message of an error and of what caused it, on one line and without
 * what looks like a secret. Of an unexpected error also where it was thrown.
 */
export function reasonOf(error: unknown): string {
  const parts: string[] = [];
  let at: unknown = error;
  for (; at !== undefined && at !== null && parts.length < CAUSES; at = (at as { cause?: unknown }).cause) {
    parts.push(one(at));
  }
  let text = parts.join(" <- ");
  for (const [shape, stays] of SECRETS) text = text.replace(shape, stays);
  return text.replace(/\s+/g, " ").slice(0, MOST);
}

function one(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof RegistryError) return `${error.code}: ${error.message}`;
  const { code } = error as { code?: unknown };
  const what = typeof code === "string" && !error.message.includes(code) ? `${error.name} ${code}` : error.name;
  const place = /^\s+at .*?([^/\\(]+:\d+:\d+)\)?$/m.exec(error.stack ?? "")?.[1];
  return `${what}: ${error.message}${place === undefined ? "" : ` (${place})`}`;
}
