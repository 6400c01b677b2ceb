import { closeSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { load } from "js-yaml";
import { isRegistryError, RegistryError, show } from "./errors.ts";
import { isWaitedFor, openAtOnce, readPipe } from "./pipe.ts";

const FILES = ["prompt-registry.config.json", "prompt-registry.config.yaml", "prompt-registry.config.yml"];

/** More than any configuration has. */
const MAX_BYTES = 4 * 2 ** 20;

interface FileOptions {
  readonly cwd?: string | undefined;
  readonly configFile?: string | false | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The settings in the configuration file.
 *
 * @param named a file that a variable names
 * @throws RegistryError CONFIG; ABORTED while a pipe is waited for
 */
export async function readConfigFile(
  options: FileOptions,
  named: string | undefined,
): Promise<Record<string, unknown>> {
  const { signal, cwd = process.cwd() } = options;
  const wanted = options.configFile ?? named;
  if (wanted === false) return {};
  if (wanted !== undefined) return (await parseFile(resolve(cwd, wanted), true, signal)) ?? {};
  const found: { path: string; config: Record<string, unknown> }[] = [];
  for (const path of FILES) {
    const config = await parseFile(resolve(cwd, path), false, signal);
    if (config !== undefined) found.push({ path, config });
  }
  if (found.length > 1) {
    throw new RegistryError("CONFIG", `there are ${found.map((f) => f.path).join(" and ")}; keep one of them`, {
      field: "config",
    });
  }
  return found[0]?.config ?? {};
}

async function parseFile(
  path: string,
  required: boolean,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readText(path, signal);
  } catch (error) {
    if (isRegistryError(error)) throw error;
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new RegistryError("CONFIG", `the configuration file ${show(path)} can't be read`, {
      field: "config",
      path,
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = path.endsWith(".json") ? JSON.parse(text) : load(text);
  } catch (error) {
    const at = placeOf(error, text);
    const where = at === undefined ? "" : `: see line ${at.line}, column ${at.column}`;
    throw new RegistryError("CONFIG", `the configuration file ${show(path)} does not parse${where}`, {
      field: "config",
      path,
      ...at,
    });
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new RegistryError("CONFIG", `the configuration file ${show(path)} must hold a mapping of settings`, {
    field: "config",
    path,
  });
}

async function readText(path: string, signal: AbortSignal | undefined): Promise<string> {
  const fd = openAtOnce(path);
  let mine = true;
  try {
    // Synchronous, as it is once at the start: to load node:fs/promises alone takes longer than these small files.
    if (!(await isWaitedFor(fd))) return readFileSync(fd, "utf8");
    mine = false;
    const tooLong = () => new Error(`it has more than ${MAX_BYTES} bytes`);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      await readPipe(fd, { signal, maxBytes: MAX_BYTES, tooLong }),
    );
  } finally {
    if (mine) closeSync(fd);
  }
}

/** Where a parser stopped. Its message may repeat what stands there, which may be a secret. */
function placeOf(error: unknown, text: string): { readonly line: number; readonly column: number } | undefined {
  const { mark, message = "" } = error as { mark?: { line?: unknown; column?: unknown }; message?: string };
  if (typeof mark?.line === "number" && typeof mark.column === "number") {
    return { line: mark.line + 1, column: mark.column + 1 };
  }
  const position = / at position (\d{1,15})(?: \(line \d+ column \d+\))?$/.exec(message)?.[1];
  if (position === undefined) return undefined;
  const lines = text.slice(0, Number(position)).split("\n");
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 };
}
