import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { buildWeb } from "../../scripts/build-web.mjs";
import { loadWebPage } from "../../src/web/load.ts";
import type { WebFile, WebPage } from "../../src/web/page.ts";

function fileOf(path: string, type: string, text: string): WebFile {
  const bytes = Buffer.from(text);
  const coded = text.length < 1024 ? {} : { br: brotliCompressSync(bytes), gzip: gzipSync(bytes) };
  return { type, digest: createHash("sha256").update(bytes).digest("hex"), lasting: path !== "/", bytes, coded };
}

/** A page for tests of how it is served; nobody looks at it. */
export const SMALL_PAGE: WebPage = {
  files: {
    "/": fileOf("/", "text/html; charset=utf-8", "<!doctype html><title>small</title>"),
    "/web/app-0123456789abcdef.js": fileOf("/web/", "text/javascript; charset=utf-8", "// script\n".repeat(500)),
    "/web/style-0123456789abcdef.css": fileOf("/web/", "text/css; charset=utf-8", "body{}"),
  },
};

/** The page as it is now, built of its sources. */
export async function builtPage(): Promise<WebPage> {
  const folder = mkdtempSync(join(tmpdir(), "prompt-registry-web-"));
  try {
    await buildWeb(folder);
    return await loadWebPage({ folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
