import type { CheckedConfig } from "../config.ts";
import type { Context } from "./command.ts";

/** What `--storage`, the environment and the configuration file say together, of the folder that the command was called in. */
export async function configuredFor({ io, storage }: Pick<Context, "io" | "storage">): Promise<CheckedConfig> {
  const { loadConfig } = await import("../config.ts");
  const { cwd, env, signal } = io;
  return loadConfig(storage === undefined ? {} : { storage }, { cwd, env, signal });
}
