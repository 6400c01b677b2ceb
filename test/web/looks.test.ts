import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipSuite } from "../support/skip.ts";
import { builtPage } from "../support/web-page.ts";
import { browserless, launch, QUIET } from "./browser.ts";
import { visit, type WebWorld, webWorld } from "./web-world.ts";

const NAME = "support/triage";
const LONG = `${"a".repeat(60)}/${"b".repeat(60)}/${"c".repeat(60)}`;
const TEXT = `---
model: small
---
# Sort this ticket

Say *one* word of **these**, and [nothing else](https://example.com). Of \`{{ticket}}\`:

| kind | when |
|---|---|
| bug | it \`broke\` |

> ${"averylongword".repeat(30)}

1. {{ticket}}
2. <b>html</b>

\`\`\`json
${JSON.stringify({ kinds: "x".repeat(200) })}
\`\`\`
`;

type Step = (page: Page) => Promise<unknown>;
const click = (name: string | RegExp) => (page: Page) => page.getByRole("button", { name }).first().click();
const shown = (text: string | RegExp) => (page: Page) => page.getByText(text).first().waitFor();

/** Where somebody may be, by the address and what is done there. */
const VIEWS: Readonly<Record<string, readonly [string, ...Step[]]>> = {
  list: ["#/", shown("triage")],
  "below a prefix": ["#/?prefix=support/", shown("triage")],
  "nothing found": ["#/?text=nowhere", shown("Nothing matches")],
  "no such page": ["#/nowhere", shown("No such page")],
  "no such prompt": ["#/p/no/where", shown("There is no prompt")],
  text: [`#/p/${NAME}`, shown("Sort this ticket")],
  "a yanked version": [`#/p/${NAME}?v=1.2.0`, shown("was taken out")],
  rendered: [
    `#/p/${NAME}?v=1.1.0`,
    shown("Sort this ticket"),
    (page) => page.getByText("Rendered", { exact: true }).click(),
    (page) => page.getByRole("heading", { name: "Sort this ticket" }).waitFor(),
  ],
  "a long name": [`#/p/${LONG}`, shown("short")],
  versions: [`#/p/${NAME}/versions`, shown("too short")],
  history: [`#/p/${NAME}/history`, shown("deprecate")],
  diff: [`#/p/${NAME}/diff?from=1.0.0&to=1.1.0`, shown("nothing else")],
  "new version": [`#/p/${NAME}/new`, (page) => page.getByLabel("Text of the prompt").waitFor()],
  changes: [
    `#/p/${LONG}/new`,
    (page) => page.getByLabel("Text of the prompt").fill(TEXT),
    (page) => page.getByText("Changes", { exact: true }).click(),
    (page) => page.getByRole("region", { name: "Your changes" }).waitFor(),
  ],
  "new prompt": [
    "#/new",
    (page) => page.getByLabel("Name", { exact: true }).fill("Not A Name"),
    shown("can't be a segment"),
  ],
  "who one is": ["#/", (page) => page.getByRole("banner").locator("summary").click(), shown("What you may do here")],
  "moving a label": [`#/p/${NAME}`, click("Move production"), shown("for everybody who asks for")],
  "rolling back": [`#/p/${NAME}`, click(/^Roll back/), shown("It is pinned to the version you choose")],
  yanking: [`#/p/${NAME}/versions`, click("Yank 1.1.0"), shown("latest and ranges pass it over")],
  "signing in": [
    "#/",
    (page) => page.getByRole("banner").locator("summary").click(),
    click("Sign in with a token"),
    (page) => page.getByLabel("API token").waitFor(),
  ],
};

if (browserless !== undefined) skipSuite("how the page looks", browserless);
else
  describe("how the page looks", () => {
    let browser: Browser;
    let world: WebWorld;
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    beforeAll(async () => {
      const [launched, web] = await Promise.all([launch(), builtPage()]);
      browser = launched;
      world = await webWorld(web, { open: true });
      const { registry } = world;
      await registry.storePrompt({
        name: NAME,
        version: "1.0.0",
        text: "Sort this ticket: {{ticket}}\n",
        labels: ["production"],
      });
      await registry.storePrompt({ name: NAME, version: "1.1.0", text: TEXT, message: `${"longer ".repeat(20)}` });
      await registry.storePrompt({ name: NAME, version: "1.2.0", text: "Sort this ticket\n" });
      await registry.yank(NAME, "1.2.0", { message: "too short" });
      await registry.deprecate(NAME, "use support/sort");
      await registry.storePrompt({
        name: LONG,
        version: "1.0.0",
        text: "short\n",
        labels: ["production", "staging", "canary"],
      });
    });
    afterAll(async () => {
      await browser?.close();
      await world?.close();
    });

    async function go(page: Page, [hash, ...steps]: readonly [string, ...Step[]]): Promise<void> {
      // By another page, which ends whatever was open.
      for (const to of ["#/elsewhere", hash]) {
        await page.evaluate((given) => {
          location.hash = given;
        }, to);
        if (to !== hash) await shown("No such page")(page);
        await page.evaluate(() => document.querySelector("header details")?.removeAttribute("open"));
      }
      for (const step of steps) await step(page);
    }

    interface Found {
      readonly id: string;
      readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
    }

    /** What axe-core finds, each with the places: by all its rules, or by these. */
    async function faults(page: Page, ...rules: readonly string[]): Promise<string[]> {
      if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
      const violations = await page.evaluate(async (only) => {
        const { run } = (globalThis as unknown as { axe: { run(how: object): Promise<{ violations: Found[] }> } }).axe;
        const found = await run({ resultTypes: ["violations"], ...(only.length === 0 ? {} : { runOnly: only }) });
        return found.violations;
      }, rules);
      const place = ({ html, failureSummary = "" }: Found["nodes"][number]) => `${html} ${failureSummary}`;
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(place).join("; ")}`);
    }

    test("nothing that axe-core finds, in light and dark", async () => {
      const { page, context, watched } = await visit(browser, world.url);
      const found: Record<string, string[]> = {};
      for (const [name, view] of Object.entries(VIEWS)) {
        await page.emulateMedia({ colorScheme: "light" });
        await go(page, view);
        const inLight = await faults(page);
        await page.emulateMedia({ colorScheme: "dark" });
        // Nothing but colours is different.
        const inDark = await faults(page, "color-contrast", "link-in-text-block");
        const all = [...inLight, ...inDark.map((one) => `dark: ${one}`)];
        if (all.length > 0) found[name] = all;
      }
      expect(found).toEqual({});
      expect(watched).toEqual(QUIET);
      await context.close();
    });

    test("nothing is wider than a small phone", async () => {
      const { page, context, watched } = await visit(browser, world.url, { viewport: { width: 360, height: 640 } });
      const found: Record<string, number> = {};
      for (const [name, view] of Object.entries(VIEWS)) {
        await go(page, view);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > 360) found[name] = width;
      }
      expect(found).toEqual({});
      expect(watched).toEqual(QUIET);
      await context.close();
    });

    test("a page without its server says so, and asks for a token only where one is needed", async () => {
      const { page, context } = await visit(browser, world.url, { viewport: { width: 360, height: 640 } });
      await page.route("**/v1", (route) => route.abort());
      await page.reload();
      await page.getByRole("heading", { name: "The registry does not answer" }).waitFor();
      expect(await faults(page)).toEqual([]);
      await page.unroute("**/v1");
      await page.getByRole("button", { name: "Try again" }).click();
      await page.getByRole("heading", { name: "Prompts" }).waitFor();
      await context.close();
    });
  });
