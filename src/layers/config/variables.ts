import { isRegistryError, RegistryError, show } from "../../errors.ts";

/** How the text of a variable is read. What it means is for the schema to check. */
type Kind = "path" | "text" | "switch" | "list";

/** Variables and the settings they are; every value but a path that starts with `{` or `[` is read as JSON. */
const VARIABLES: Readonly<Record<string, readonly [setting: string, kind: Kind]>> = {
  PROMPT_REGISTRY_STORAGE: ["storage", "text"],
  PROMPT_REGISTRY_AUTHOR: ["author", "text"],
  PROMPT_REGISTRY_CONFIG: ["config", "path"],
  PROMPT_REGISTRY_CACHE: ["cache", "switch"],
  PROMPT_REGISTRY_FALLBACK: ["fallback", "list"],
  PROMPT_REGISTRY_RETRY: ["retry", "switch"],
  PROMPT_REGISTRY_TIMEOUT: ["timeout", "switch"],
  PROMPT_REGISTRY_CIRCUIT: ["circuit", "switch"],
  PROMPT_REGISTRY_LIMIT: ["limit", "text"],
  PROMPT_REGISTRY_READONLY: ["readonly", "switch"],
  PROMPT_REGISTRY_PREFIX: ["prefix", "text"],
  PROMPT_REGISTRY_MIRROR: ["mirror", "text"],
  PROMPT_REGISTRY_ROUTE: ["route", "text"],
  PROMPT_REGISTRY_TRACE: ["trace", "switch"],
  PROMPT_REGISTRY_POLICY: ["policy", "switch"],
};
/** Read elsewhere: secrets, and settings of the tests. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  "PROMPT_REGISTRY_TOKEN",
  "PROMPT_REGISTRY_TOKEN_ORIGIN",
  "PROMPT_REGISTRY_GITHUB_CLIENT_ID",
  "PROMPT_REGISTRY_CORPUS",
  "PROMPT_REGISTRY_SERVER_KILLS",
  "PROMPT_REGISTRY_HISTORY_CALLS",
  "PROMPT_REGISTRY_SOAK_MINUTES",
  "PROMPT_REGISTRY_FUZZ_RUNS",
  "PROMPT_REGISTRY_DEMO_DIR",
  "PROMPT_REGISTRY_S3_FULL",
  "PROMPT_REGISTRY_GITHUB_FULL",
  "PROMPT_REGISTRY_GITHUB_LIVE",
  "PROMPT_REGISTRY_NODE24",
]);
const SWITCH: Readonly<Record<string, boolean>> = {
  true: true,
  on: true,
  yes: true,
  "1": true,
  false: false,
  off: false,
  no: false,
  "0": false,
};

export interface Variables {
  readonly settings: Readonly<Record<string, unknown>>;
  /** What can't be read, and variables that are none: errors of `CONFIG`, for the caller to throw with what else is wrong. */
  readonly problems: readonly RegistryError[];
}

/** The settings in the environment. Only variables that mean a setting may have the prefix: another one is a typing error. */
export function readVariables(env: Readonly<Record<string, string | undefined>>): Variables {
  const settings: Record<string, unknown> = {};
  const problems: RegistryError[] = [];
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(env)) {
    if (!key.startsWith("PROMPT_REGISTRY_") || OTHER_VARIABLES.has(key) || value === undefined || value === "")
      continue;
    const known = VARIABLES[key];
    if (known === undefined) {
      unknown.push(key);
      continue;
    }
    try {
      settings[known[0]] = readValue(key, known[1], value.trim());
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      problems.push(error);
    }
  }
  if (unknown.length > 0) problems.push(noSettings(unknown));
  return { settings, problems };
}

function noSettings(names: readonly string[]): RegistryError {
  const what = names.length === 1 ? "is no setting" : "are no settings";
  return new RegistryError(
    "CONFIG",
    `${names.map((name) => show(name)).join(", ")} ${what}; known are ${Object.keys(VARIABLES).join(", ")}`,
    { field: names[0] as string },
  );
}

function readValue(key: string, kind: Kind, text: string): unknown {
  if (kind === "path") return text;
  if (text.startsWith("{") || text.startsWith("[")) {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new RegistryError("CONFIG", `${key} starts like JSON but is none${reasonOf(error)}`, { field: key });
    }
  }
  if (kind === "list") return text.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
  if (kind === "switch") return switchOf(key, text);
  return text;
}

function switchOf(key: string, text: string): unknown {
  const on = SWITCH[text.toLowerCase()];
  // Of these the one thing that is set most may stand alone.
  if (key === "PROMPT_REGISTRY_TIMEOUT") return on === false ? false : text;
  // A number of attempts, also if it is one; no attempt at all is none again.
  if (key === "PROMPT_REGISTRY_RETRY" && Number(text) > 0) return { attempts: text };
  if (on !== undefined) return on;
  if (key === "PROMPT_REGISTRY_CACHE") return { ttl: text };
  if (key === "PROMPT_REGISTRY_RETRY") return { attempts: text };
  return text;
}

/** Why a parser stopped, without the piece of the text that it may repeat, which may be a secret. */
function reasonOf(error: unknown): string {
  const reason =
    /^(?:Unexpected end of JSON input|Unexpected token '[!-~]'(?=,)|[A-Z][^"]{1,60} at position \d{1,9})/.exec(
      (error as Error).message,
    )?.[0];
  return reason === undefined ? "" : `: ${reason}`;
}
