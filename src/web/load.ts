import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RegistryError } from "../errors.ts";
import { ENDINGS, type Listed, type WebFile, type WebPage } from "./page.ts";

export interface WebPageOptions {
  /** Where the files are. Default: those of this package. */
  readonly folder?: string | undefined;
}

/**
 * Reads the web page that this package brings, once, to be served from memory.
 *
 * @throws RegistryError CONFIG where its files are not there, or not as they were built
 * @example
 * import { serve } from "prompt-registry/server";
 * import { loadWebPage } from "prompt-registry/web";
 *
 * const server = await serve(registry, { access, web: await loadWebPage() });
 * console.log(`open ${server.url} in a browser`);
 */
export async function loadWebPage(options: WebPageOptions = {}): Promise<WebPage> {
  const { folder = ownFolder() } = options;
  try {
    const { files } = JSON.parse(await readFile(join(folder, "page.json"), "utf8")) as {
      readonly files: readonly Listed[];
    };
    const read = await Promise.all(
      files.map(async (listed) => [listed.path, await readListed(folder, listed)] as const),
    );
    return Object.freeze({ files: Object.freeze(Object.fromEntries(read)) });
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "are not there" : "are not as they were built";
    throw new RegistryError(
      "CONFIG",
      `the files of the web page ${why}; install the package again (in a clone: npm run build), or serve without it (--no-web)`,
      { field: "web", path: folder, cause },
    );
  }
}

/** The same two steps up from src/web, dist/web and dist/cli, so that it is found from sources and from bundles, too. */
function ownFolder(): string {
  if ((import.meta.url as string | undefined) === undefined) {
    const what = "this program is a bundle without the files of the web page; say where the package's dist/web/page is";
    throw new RegistryError("CONFIG", what, { field: "folder" });
  }
  return fileURLToPath(new URL("../../dist/web/page/", import.meta.url));
}

async function readListed(folder: string, { path, file, type, digest, coded = {} }: Listed): Promise<WebFile> {
  const [bytes, br, gzip] = await Promise.all([
    readWhole(join(folder, file), digest),
    coded.br === undefined ? undefined : readWhole(join(folder, `${file}${ENDINGS.br}`), coded.br),
    coded.gzip === undefined ? undefined : readWhole(join(folder, `${file}${ENDINGS.gzip}`), coded.gzip),
  ]);
  const forms = { ...(br === undefined ? {} : { br }), ...(gzip === undefined ? {} : { gzip }) };
  return Object.freeze({ type, digest, lasting: path !== "/", bytes, coded: Object.freeze(forms) });
}

/** An upgrade that was cut off must not leave a page of two versions. */
async function readWhole(path: string, digest: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  if (createHash("sha256").update(bytes).digest("hex") !== digest) throw new Error(`${path} is damaged`);
  return bytes;
}
