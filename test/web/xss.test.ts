import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import type { WebPage } from "../../src/web/page.ts";
import { skipSuite } from "../support/skip.ts";
import { builtPage, SMALL_PAGE } from "../support/web-page.ts";
import { browserless, launch, QUIET } from "./browser.ts";
import { visit, type WebWorld, webWorld } from "./web-world.ts";
import { FRAGMENTS, VECTORS } from "./xss-vectors.ts";

/** As a note may be: one line, not too long. */
const note = (text: string) =>
  text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .slice(0, 190)
    .trim();
const body = (vector: string) => `${vector}\n\nThe end of {{it}}.\n`;
const textOf = (vector: string) =>
  `---\ntitle: ${JSON.stringify(vector)}\ndescription: ${JSON.stringify(note(vector))}\ntags: [${JSON.stringify(note(vector))}]\n---\n${body(vector)}`;

/** The vector in everything of a prompt that somebody may write, and that its page shows. */
async function plant({ driver }: PromptRegistry, name: string, vector: string): Promise<void> {
  const own = new PromptRegistry(driver, { author: note(vector) });
  const said = { message: note(vector) };
  await own.storePrompt({ name, version: "1.0.0", text: textOf(vector), ...said, labels: ["production"] });
  await own.yank(name, "1.0.0", said);
  await own.deprecate(name, said.message);
}

/** All of them in the lists of one prompt, and between two of its versions. */
async function plantAll({ driver }: PromptRegistry, name: string, vectors: readonly string[]): Promise<void> {
  for (const [i, vector] of vectors.entries()) {
    const own = new PromptRegistry(driver, { author: note(vector) });
    const said = { message: note(vector) };
    await own.storePrompt({ name, version: `1.${i}.0`, text: textOf(vector), ...said });
    await own.setLabel(name, "staging", `1.${i}.0`, said);
    await own.yank(name, `1.${i}.0`, said);
  }
  const text = vectors.map(textOf).join("\n");
  const own = new PromptRegistry(driver);
  await own.storePrompt({ name, version: "2.0.0", text: "nothing yet\n" });
  await own.storePrompt({ name, version: "2.1.0", text });
  await own.storePrompt({ name, version: "2.2.0", text: text.replaceAll("The end", "An end") });
}

/** In the browser. @returns what must never come of a text */
function findDangers(): string[] {
  const found: string[] = [];
  const never =
    "script,iframe,frame,object,embed,base,meta,link,style,img,picture,audio,video,source,math,animate,set,use";
  const more = "foreignObject,marquee,template,[action],[formaction],[srcdoc],[ping],[background],[srcset]";
  for (const element of document.querySelectorAll("#app *")) {
    if (element.matches(`${never},${more}`)) found.push(element.outerHTML.slice(0, 200));
    for (const { name, value } of element.attributes) if (/^on/i.test(name)) found.push(`${name}=${value}`);
    const link = element instanceof HTMLAnchorElement && element.hasAttribute("href") ? element : undefined;
    if (link !== undefined && !/^(?:https?:|mailto:)$/.test(link.protocol)) found.push(link.href);
    if (element.closest(".markdown") !== null && element.closest("a") === null) {
      element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      (element as HTMLElement).click();
    }
  }
  return found;
}

declare global {
  var dangers: typeof findDangers;
}
/** So that what runs in the browser can call it there. */
const INIT = `globalThis.dangers = ${findDangers.toString()};`;

/** In the browser: looks at each of these prompts, as text and rendered. */
async function readAll(names: readonly string[]): Promise<{ readonly text: string; readonly dangers: string[] }[]> {
  const seen: { text: string; dangers: string[] }[] = [];
  async function until<T>(find: () => T | null | undefined | false): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== null && found !== undefined && found !== false) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  for (const name of names) {
    location.hash = `#/p/${name}?v=1.0.0`;
    const isThere = () => document.querySelector("h1")?.textContent === name;
    const text = await until(() => isThere() && document.querySelector("pre.text.body")?.textContent);
    const dangers = globalThis.dangers();
    const radios = document.querySelectorAll<HTMLInputElement>('input[name="view"]');
    radios[1]?.click();
    await until(() => document.querySelector(".markdown"));
    dangers.push(...globalThis.dangers());
    seen.push({ text, dangers });
  }
  return seen;
}

const settled = (page: Page) =>
  page.waitForFunction(() => document.querySelector("h1") !== null && document.querySelector(".loading") === null);

async function show(page: Page, hash: string, ready: () => Promise<void>): Promise<void> {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  await ready();
  expect(await page.evaluate(findDangers)).toEqual([]);
}

if (browserless !== undefined) skipSuite("hostile texts in the page", browserless);
else
  describe("hostile texts", () => {
    let browser: Browser;
    let web: WebPage;
    let world: WebWorld;
    beforeAll(async () => {
      [browser, web] = await Promise.all([launch(), builtPage()]);
      world = await webWorld(web, { open: true });
      for (const [kind, vectors] of Object.entries(VECTORS)) {
        for (const [i, vector] of vectors.entries()) await plant(world.registry, `${kind}/v${i}`, vector);
        await plantAll(world.registry, `${kind}/all`, vectors);
      }
    });
    afterAll(async () => {
      await browser?.close();
      await world?.close();
    });

    test("what is looked for would be seen", async () => {
      const small = await webWorld(SMALL_PAGE, { open: true });
      try {
        const { page, context, watched } = await visit(browser, small.url);
        await page.evaluate(() => {
          globalThis.xss(1);
          confirm("sure?");
          document.body.append(Object.assign(new Image(), { src: "https://evil.example/x.png" }));
          const text = document.createElement("div");
          try {
            text.innerHTML = "<p>";
          } catch {}
          try {
            text.setAttribute("onclick", "xss(2)");
          } catch {}
          text.click();
        });
        await page.evaluate(() => fetch("https://evil.example/").catch(() => {}));
        await page.evaluate(() => open("https://evil.example/"));
        await expect.poll(() => watched.elsewhere).toContain("https://evil.example/");
        await expect.poll(() => watched.reports.join()).toMatch(/connect-src/);
        expect(watched.executed.slice(0, 2)).toEqual(["xss(1)", "confirm: sure?"]);
        await expect.poll(() => watched.executed.join()).toContain("window: ");
        expect(watched.reports.join()).toMatch(/img-src/);
        expect(watched.reports.join()).toMatch(/require-trusted-types-for/);
        await context.close();
      } finally {
        await small.close();
      }
    });

    test.each(Object.entries(VECTORS))("%s are text, wherever they are shown", async (kind, vectors) => {
      const { page, context, watched } = await visit(browser, world.url);
      await context.addInitScript(INIT);
      await page.reload();
      const main = page.getByRole("main");
      await page.getByRole("heading", { level: 1, name: "Prompts" }).waitFor();
      const names = vectors.map((_, i) => `${kind}/v${i}`);
      const seen = await page.evaluate(readAll, names);
      expect(seen.filter(({ dangers }) => dangers.length > 0)).toEqual([]);
      for (const [i, { text }] of seen.entries()) {
        const vector = vectors[i] as string;
        // A character that shows nothing of itself is marked, so it is not the same text any more.
        if (!/[\p{Cf}\p{Zl}\u00a0]/u.test(vector)) expect(text).toContain(vector);
      }
      const all = `${kind}/all`;
      await show(page, `#/p/${all}/versions`, () => main.getByText("2.2.0").first().waitFor());
      await show(page, `#/p/${all}/history`, () => main.getByText("publish").first().waitFor());
      const shown = await main.textContent();
      expect(vectors.filter((vector) => !shown?.includes(note(vector)))).toEqual([]);
      for (const [from, to] of ["2.0.0 2.1.0", "2.1.0 2.2.0"].map((ends) => ends.split(" ")))
        await show(page, `#/p/${all}/diff?from=${from}&to=${to}`, () => main.getByText("end of").first().waitFor());
      await show(page, `#/p/${all}/new`, () => main.getByRole("textbox").first().waitFor());
      await show(page, `#/?prefix=${kind}/`, () => page.getByRole("link", { name: "v0", exact: true }).waitFor());
      expect(watched).toEqual(QUIET);
      await context.close();
    });

    test("in the address of the page are text, or lead nowhere", async () => {
      await plant(world.registry, "a", "<img src=x onerror=xss(1)>");
      const { page, context, watched } = await visit(browser, world.url);
      const asked: string[] = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      for (const [i, fragment] of FRAGMENTS.entries()) {
        await page.goto("about:blank");
        await page.goto(`${world.url}/${i % 3 === 0 ? "?<img src=x onerror=xss(1)>" : ""}${fragment}`);
        await settled(page).catch((cause) => {
          throw new Error(`${fragment.slice(0, 200)} is never shown`, { cause });
        });
        expect([fragment, await page.evaluate(findDangers)]).toEqual([fragment, []]);
      }
      expect(asked.filter((path) => !/^\/(?:$|web\/[^/]+$|v1(?:\/(?:prompts|changes)(?:\/|$)|$))/.test(path))).toEqual(
        [],
      );
      expect(watched).toEqual(QUIET);
      await context.close();
    });

    test("in what is answered are text, whoever answers", async () => {
      const vector = "<img src=x onerror=xss(1)>";
      const link = "javascript:xss(1)";
      await plant(world.registry, "b", vector);
      const { page, context, watched } = await visit(browser, world.url);
      const hostile = (value: unknown): unknown => {
        if (typeof value === "string") return /^[0-9T:.-]+Z$/.test(value) ? value : `${link}${vector}`;
        if (Array.isArray(value)) return value.map(hostile);
        if (typeof value !== "object" || value === null) return value;
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, hostile(one)]));
      };
      const problem = { type: "/problems/invalid", code: "INVALID", outcome: "final", status: 400 };
      const answers = [
        {
          status: 400,
          body: JSON.stringify({
            ...problem,
            title: vector,
            detail: vector,
            context: { issues: [vector, link] },
            requestId: vector,
          }),
          contentType: "application/problem+json",
        },
        { status: 502, body: `<h1>${vector}</h1>`, contentType: "text/html" },
        { status: 200, body: `<h1>${vector}</h1>`, contentType: "text/html" },
      ];
      for (const path of ["#/", "#/p/b/diff?from=1.0.0&to=1.1.0", "#/p/b", "#/p/b/versions", "#/p/b/history"]) {
        for (const answer of path.length < 4 || path.includes("diff") ? [...answers, undefined] : [undefined]) {
          await page.goto("about:blank");
          await page.unroute(/\/v1\/prompts/).catch(() => {});
          await page.route(/\/v1\/prompts/, async (route) => {
            if (answer !== undefined) return route.fulfill(answer);
            const reply = await route.fetch();
            return route.fulfill({ response: reply, body: JSON.stringify(hostile(await reply.json())) });
          });
          await page.goto(`${world.url}/${path}`);
          await settled(page);
          expect(await page.evaluate(findDangers)).toEqual([]);
        }
      }
      // Who one is, and what is wrong with what one wrote.
      await page.goto("about:blank");
      await page.unroute(/\/v1\/prompts/);
      await page.route(/\/v1$/, async (route) => {
        const reply = await route.fetch();
        const service = (await reply.json()) as { readonly principal: { readonly grants: readonly object[] } };
        const grants = service.principal.grants.map((grant) => ({ ...grant, labels: undefined }));
        const principal = {
          id: `${link}${vector}`,
          name: `${link}${vector}`,
          grants: [...grants, { right: vector, prefix: vector }],
        };
        await route.fulfill({ response: reply, body: JSON.stringify({ ...service, principal }) });
      });
      await page.route(/\/versions\/1\.0\.1/, (route) => route.fulfill(answers[0] as (typeof answers)[number]));
      await page.goto(`${world.url}/#/p/b/new`);
      await page.getByRole("textbox", { name: "Text of the prompt" }).fill(vector);
      await page.getByRole("button", { name: "Publish 1.0.1" }).click();
      await page.getByRole("alert").getByText(vector).first().waitFor();
      await page.getByRole("banner").locator("summary").click();
      await page.getByText(vector).first().waitFor();
      expect(await page.evaluate(findDangers)).toEqual([]);
      expect({ ...watched, errors: [] }).toEqual(QUIET);
      await context.close();
    });
  });
