// Builds the web page (web/) into dist/web/page: every file but index.html has its digest in its name, so that it may be
// kept for ever; page.json lists them for src/web/load.ts. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const CODINGS = {
  br: { ending: ".br", code: (bytes) => promisify(brotliCompress)(bytes, { params: quality(bytes) }) },
  gzip: { ending: ".gz", code: (bytes) => promisify(gzip)(bytes, { level: 9 }) },
};

function quality({ length }) {
  return { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: length };
}

/**
 * @param out a folder, which is made
 * @param source where index.html, style.css, icon.svg and src/main.tsx are
 */
export async function buildWeb(out, source = join(root, "web")) {
  mkdirSync(out, { recursive: true });
  const { script, style, inputs } = await bundle(source);
  const files = [];

  /** @returns what the page calls it by */
  async function put(name, type, bytes) {
    const digest = sha256(bytes);
    const file = name === "index.html" ? name : name.replace(".", `-${digest.slice(0, 16)}.`);
    const listed = { path: name === "index.html" ? "/" : `/web/${file}`, file, type, digest };
    writeFileSync(join(out, file), bytes);
    // What fits into one packet is none the faster for it.
    for (const [coding, { ending, code }] of Object.entries(bytes.length < 1024 ? {} : CODINGS)) {
      const coded = await code(bytes);
      if (coded.length >= bytes.length * 0.9) continue;
      writeFileSync(join(out, `${file}${ending}`), coded);
      listed.coded = { ...listed.coded, [coding]: sha256(coded) };
    }
    files.push(listed);
    // Relative, so that it holds behind a proxy that serves the page below some path.
    return `web/${file}`;
  }

  const text = "charset=utf-8";
  const licences = await put("licences.txt", `text/plain; ${text}`, Buffer.from(licencesOf(inputs)));
  const note = `/*! Others' work in here, and its licences: ${licences.slice("web/".length)} */\n`;
  const named = {
    app: await put("app.js", `text/javascript; ${text}`, Buffer.concat([script, Buffer.from(note)])),
    style: await put("style.css", `text/css; ${text}`, style),
    icon: await put("icon.svg", "image/svg+xml", readFileSync(join(source, "icon.svg"))),
  };
  const html = readFileSync(join(source, "index.html"), "utf8").replace(/\{\{(\w+)\}\}/g, (whole, key) => {
    if (named[key] === undefined) throw new Error(`web/index.html: nothing is called ${whole}`);
    return named[key];
  });
  await put("index.html", `text/html; ${text}`, Buffer.from(html));
  writeFileSync(join(out, "page.json"), `${JSON.stringify({ files }, null, 1)}\n`);
}

async function bundle(source) {
  const esbuild = await import("esbuild");
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { app: join(source, "src", "main.tsx"), style: join(source, "style.css") },
    outdir: "out",
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    format: "iife",
    // Not "browser": what packages put in for it may lean on innerHTML, which the page's policy forbids.
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    charset: "utf8",
    legalComments: "eof",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
  const find = (name) => Buffer.from(outputFiles.find(({ path }) => path.endsWith(name)).contents);
  return { script: find("app.js"), style: find("style.css"), inputs: Object.keys(metafile.inputs) };
}

/** Most packages take their licences out when they are minified, and all of them ask that these go with the copies. */
function licencesOf(inputs) {
  const folders = new Set(inputs.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]));
  folders.delete(undefined);
  const found = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
    if (file === undefined) throw new Error(`${name}, which is bundled into the web page, has no licence`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(root, folder, file), "utf8").trim()}\n`;
  });
  return ["The web page of prompt-registry is made with these libraries.\n", ...found].join(`\n${"-".repeat(72)}\n\n`);
}

/** Every file that the page is built of, for the build's fingerprint. */
export function webSources(source = join(root, "web")) {
  if (!existsSync(source)) return [];
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
