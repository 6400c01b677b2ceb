import { mkdir, open, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { RegistryError } from "../errors.ts";
import { writeWhole } from "../whole-file.ts";
import type { CredentialOptions } from "./index.ts";

/** A file a service, so that two processes that store for two services can't overwrite each other. */
export function folderOf({ folder, env = process.env }: CredentialOptions): string {
  if (folder !== undefined) return folder;
  const home = env.HOME || env.USERPROFILE || homedir();
  let base = env.XDG_CONFIG_HOME || join(home, ".config");
  if (process.platform === "win32") base = env.APPDATA || join(home, "AppData", "Roaming");
  else if (process.platform === "darwin") base = env.XDG_CONFIG_HOME || join(home, "Library", "Application Support");
  return join(base, "prompt-registry", "credentials");
}

const fileOf = (folder: string, key: string) => join(folder, `${encodeURIComponent(key).replace(/\./g, "%2E")}.token`);

export async function readFileOf(folder: string, key: string): Promise<string | undefined> {
  const path = fileOf(folder, key);
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw unusable(path, "can't be read", error);
  });
  if (file === undefined) return undefined;
  try {
    const { mode } = await file.stat();
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw unusable(path, `may be read by others (mode ${(mode & 0o777).toString(8)}); run chmod 600 on it`);
    }
    const secret = (await file.readFile("utf8")).trim();
    return secret === "" ? undefined : secret;
  } finally {
    await file.close();
  }
}

export async function writeFileOf(folder: string, key: string, secret: string): Promise<string> {
  const path = fileOf(folder, key);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, `${secret}\n`, 0o600);
  } catch (error) {
    throw unusable(path, "can't be written", error);
  }
  return path;
}

/** Whether there was one. */
export async function deleteFile(folder: string, key: string): Promise<boolean> {
  const path = fileOf(folder, key);
  try {
    await rm(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw unusable(path, "can't be removed", error);
  }
}

function unusable(path: string, problem: string, cause?: unknown): RegistryError {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  const why = code === undefined ? "" : ` (${code})`;
  return new RegistryError("CONFIG", `the credential file ${path} ${problem}${why}`, {
    field: "credentials",
    path,
    cause,
  });
}
