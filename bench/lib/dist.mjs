import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What is measured: `dist/`, built first when it is missing, or another build to compare with. */
export async function openDist(other) {
  const folder = other === undefined ? join(root, "dist") : resolve(other);
  const { build, isFresh } = await import("../../scripts/build.mjs");
  if (!existsSync(join(folder, "index.js"))) {
    if (other !== undefined) throw new Error(`there is no build in ${other}`);
    console.log("building…");
    await build();
  } else if (other === undefined && !isFresh()) {
    console.log("notice: dist/ is older than the sources; `npm run build` renews it");
  }
  return {
    folder,
    load: (path) => import(pathToFileURL(join(folder, path)).href),
    has: (path) => existsSync(join(folder, path)),
  };
}
