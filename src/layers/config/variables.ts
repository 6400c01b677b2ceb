import { RegistryError, show } from "../../errors.ts";

/** How the text of a variable is read. What it means is for the schema to check. */
type Kind = "text" | "switch" | "list";

/** Variables and the settings they are; every value that starts with `{` or `[` is read as JSON. */
const VARIABLES: Readonly<Record<string, readonly [setting: string, kind: Kind]>> = {
  PROMPT_REGISTRY_STORAGE: ["storage", "text"],
  PROMPT_REGISTRY_AUTHOR: ["author", "text"],
  PROMPT_REGISTRY_CONFIG: ["config", "text"],
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

/**
 * The settings in the environment. Only variables that mean a setting may have the prefix: another one is a typing error.
 *
 * @throws RegistryError CONFIG naming every variable that is none
 */
export function readVariables(env: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(env)) {
    if (!key.startsWith("PROMPT_REGISTRY_") || OTHER_VARIABLES.has(key) || value === undefined || value === "")
      continue;
    const known = VARIABLES[key];
    if (known === undefined) unknown.push(key);
    else found[known[0]] = readValue(key, known[1], value.trim());
  }
  if (unknown.length === 0) return found;
  const what = unknown.length === 1 ? "is no setting" : "are no settings";
  throw new RegistryError(
    "CONFIG",
    `${unknown.map((k) => show(k)).join(", ")} ${what}; known are ${Object.keys(VARIABLES).join(", ")}`,
    { field: unknown[0] as string, issues: unknown },
  );
}

function readValue(key: string, kind: Kind, text: string): unknown {
  if (text.startsWith("{") || text.startsWith("[")) {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new RegistryError("CONFIG", `${key} starts like JSON but is none: ${(error as Error).name}`, {
        field: key,
      });
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
