import { lstat, mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { OWN_PATTERNS } from "../drivers/fs/layout.ts";
import { createWhole } from "../whole-file.ts";

const FILE = ".gitignore";
const HEADS = /^\/?(?:\*\*\/)?\.heads\/?\s*$/m;
const TEXT = [
  "# What is each clone's own, by prompt-registry init. In Git, latest.json is what counts.",
  ...OWN_PATTERNS,
  "",
].join("\n");

/** What was done, or is left to a person. */
export type Ignored =
  | { readonly status: "created"; readonly file: string }
  | { readonly status: "missing"; readonly file: string };

/**
 * Keeps what is each clone's own out of Git, where the folder of a registry lies in a work tree of it. A file that is there is
 * never changed.
 *
 * @returns `undefined` where there is nothing to do
 */
export async function ignoreOwn(storage: string, cwd: string): Promise<Ignored | undefined> {
  const { parseLocation } = await import("../config.ts");
  const place = parseLocation(storage);
  if (place.backend !== "file") return undefined;
  const path = resolve(cwd, place.path);
  if (!(await isInGit(path))) return undefined;
  const prompts = resolve(path, place.dir ?? "prompts");
  for (const folder of [path, prompts]) {
    if (HEADS.test(await readFile(join(folder, FILE), "utf8").catch(() => ""))) return undefined;
  }
  const file = join(prompts, FILE);
  try {
    await mkdir(prompts, { recursive: true });
    await createWhole(file, TEXT);
    return { status: "created", file };
  } catch {
    // There already, with other lines, or not to be written: nothing that the registry could not do without.
    return { status: "missing", file };
  }
}

async function isInGit(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if ((await lstat(join(path, ".git")).catch(() => undefined)) !== undefined) return true;
    if (dirname(path) === path) return false;
  }
}
