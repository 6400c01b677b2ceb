import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildWeb } from "../../scripts/build-web.mjs";
import { loadWebPage } from "./load.ts";

const folder = mkdtempSync(join(tmpdir(), "prompt-registry-load-web-"));
const source = join(folder, "source");
const built = join(folder, "built");

beforeAll(async () => {
  mkdirSync(join(source, "src"), { recursive: true });
  writeFileSync(
    join(source, "index.html"),
    '<link rel="icon" href="{{icon}}"><script src="{{app}}"></script>{{style}}',
  );
  writeFileSync(
    join(source, "style.css"),
    Array.from({ length: 100 }, (_, i) => `.a${i} { margin: 0 ${i}px }\n`).join(""),
  );
  writeFileSync(join(source, "icon.svg"), "<svg/>");
  writeFileSync(join(source, "src", "main.tsx"), 'document.title = ["a", "é"].map((one: string) => one).join();\n');
  await buildWeb(built, source);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The built page with one file changed. */
function changed(name: string, change: (path: string) => void): string {
  const copy = join(folder, name);
  cpSync(built, copy, { recursive: true });
  change(copy);
  return copy;
}

const first = (ending: string) => readdirSync(built).find((name) => name.endsWith(ending)) as string;

describe("loadWebPage", () => {
  it("gives every file by its path, in every coding that pays", async () => {
    const { files } = await loadWebPage({ folder: built });
    const paths = Object.keys(files).sort();
    expect(paths).toEqual([
      "/",
      expect.stringMatching(/^\/web\/app-[0-9a-f]{16}\.js$/),
      expect.stringMatching(/^\/web\/icon-[0-9a-f]{16}\.svg$/),
      expect.stringMatching(/^\/web\/licences-[0-9a-f]{16}\.txt$/),
      expect.stringMatching(/^\/web\/style-[0-9a-f]{16}\.css$/),
    ]);
    const html = Buffer.from(files["/"]?.bytes ?? []).toString();
    // Relative: a proxy may serve it below some path.
    for (const path of paths.filter((path) => /app|style|icon/.test(path))) expect(html).toContain(path.slice(1));
    expect(html).not.toMatch(/["']\/|\{\{/);
    const style = files[paths.find((path) => path.includes("style")) as string];
    expect(brotliDecompressSync(style?.coded.br ?? Buffer.alloc(0))).toEqual(style?.bytes);
    expect(gunzipSync(style?.coded.gzip ?? Buffer.alloc(0))).toEqual(style?.bytes);
    expect(files["/"]?.coded).toEqual({});
    expect(Object.values(files).map(({ lasting }) => lasting)).toContain(true);
    expect(files["/"]?.lasting).toBe(false);
  });

  it("gives what nobody can change", async () => {
    const page = await loadWebPage({ folder: built });
    expect([page, page.files, ...Object.values(page.files)].every(Object.isFrozen)).toBe(true);
  });

  it("says what to do where the files are not there", async () => {
    await expect(loadWebPage({ folder: join(folder, "nowhere") })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringMatching(/are not there; install the package again.*--no-web/),
    });
    const cut = changed("cut", (copy) => rmSync(join(copy, first(".js"))));
    await expect(loadWebPage({ folder: cut })).rejects.toMatchObject({ code: "CONFIG" });
  });

  it.each([".js", ".css", ".css.br", ".css.gz", "page.json"])("gives nothing where %s is damaged", async (ending) => {
    const damaged = changed(`damaged${ending}`, (copy) => writeFileSync(join(copy, first(ending)), "{}"));
    await expect(loadWebPage({ folder: damaged })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("are not as they were built"),
    });
  });
});

describe("the build", () => {
  it("makes the same bytes of the same sources, wherever they are", async () => {
    const moved = join(folder, "moved");
    cpSync(source, moved, { recursive: true });
    const again = join(folder, "again");
    await buildWeb(again, moved);
    expect(readdirSync(again)).toEqual(readdirSync(built));
    for (const name of readdirSync(again))
      expect(readFileSync(join(again, name))).toEqual(readFileSync(join(built, name)));
  });

  it("stops at a placeholder that nothing stands for", async () => {
    const wrong = join(folder, "wrong");
    cpSync(source, wrong, { recursive: true });
    writeFileSync(join(wrong, "index.html"), "{{other}}");
    await expect(buildWeb(join(folder, "never"), wrong)).rejects.toThrow("nothing is called {{other}}");
  });
});
