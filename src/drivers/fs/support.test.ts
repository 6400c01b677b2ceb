/** What the tests of this folder share. It is named as a test, as nothing of it belongs into the package. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { StorageDriver } from "../../driver.ts";
import { type FsOptions, fs } from "./index.ts";
import { type CallName, type FsIo, nodeIo, watched } from "./io.ts";

export interface Bench {
  /** A path at which nothing is. */
  path(): string;
  open(path: string, options?: Omit<FsOptions, "path">): StorageDriver;
}

/** Folders that are gone after the tests of a file. */
export function bench(): Bench {
  const root = mkdtempSync(join(tmpdir(), "fs-driver-"));
  let count = 0;
  afterAll(() => rmSync(root, { recursive: true, force: true }), 60_000);
  return {
    path: () => join(root, `r${++count}`),
    open: (path, options = {}) => fs({ path, ...options }),
  };
}

/** Counts calls by name. */
export function counting(): { readonly io: FsIo; readonly calls: Partial<Record<CallName, number>>; reset(): void } {
  const calls: Partial<Record<CallName, number>> = {};
  const io = watched(nodeIo, (name) => {
    calls[name] = (calls[name] ?? 0) + 1;
  });
  return {
    io,
    calls,
    reset() {
      for (const name of Object.keys(calls) as CallName[]) delete calls[name];
    },
  };
}

/** Writes files as by hand: text, or `-> target` for a link. */
export function drop(path: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(path, "prompts", name);
    mkdirSync(dirname(file), { recursive: true });
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), file);
    else writeFileSync(file, text);
  }
}

/** Every path below the folder of prompts, dotfiles too, sorted. */
export function tree(path: string): string[] {
  return (readdirSync(join(path, "prompts"), { recursive: true }) as string[]).sort();
}

/** Makes folders look as if nothing had happened in them for a while, as far as a program can. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 130));
}

export function age(file: string, ms: number): void {
  const then = statSync(file).mtimeMs - ms;
  utimesSync(file, then / 1000, then / 1000);
}

// The other files import this one, and are not to run its test once more.
if (expect.getState().testPath?.endsWith("support.test.ts") === true) {
  it("counts both ways of calling", async () => {
    const { io, calls, reset } = counting();
    io.sync.lstat(tmpdir());
    await io.async.lstat(tmpdir());
    expect(calls).toEqual({ lstat: 2 });
    reset();
    expect(calls).toEqual({});
  });
}
