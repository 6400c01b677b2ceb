// Swaps a folder of the registry for a symbolic link to somewhere else and back, as fast as it can, until it is killed.
import { renameSync, symlinkSync, unlinkSync } from "node:fs";

export interface SwapOptions {
  /** The folder, a place to keep it meanwhile, and where the link leads. */
  readonly folder: string;
  readonly park: string;
  readonly outside: string;
}

const { folder, park, outside } = JSON.parse(process.argv[2] as string) as SwapOptions;

function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

let swaps = 0;
let count = 0;
process.on("message", () => process.send?.(swaps));

function swap(): void {
  const link = `${park}-link`;
  attempt(() => symlinkSync(outside, link));
  if (!attempt(() => renameSync(folder, park))) return;
  if (attempt(() => renameSync(link, folder))) swaps++;
  attempt(() => unlinkSync(folder));
  while (!attempt(() => renameSync(park, folder))) {
    // A writer that found nothing there has made the folder anew.
    attempt(() => renameSync(folder, `${park}-${count++}`));
  }
}

function loop(): void {
  for (let i = 0; i < 20; i++) swap();
  setTimeout(loop, 1);
}

loop();
