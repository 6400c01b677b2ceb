import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { fs } from "../../src/drivers/fs/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import type { WebPage } from "../../src/web/page.ts";
import { skipSuite } from "../support/skip.ts";
import { builtPage } from "../support/web-page.ts";
import { browserless, launch, QUIET } from "./browser.ts";
import { signIn, visit, webWorld } from "./web-world.ts";

const NAME = "support/triage";
const OLD = "---\nmodel: small\n---\nSort this ticket: {{ticket}}\n";
const NEW = "---\nmodel: small\n---\nSort this ticket: {{ticket}}\nAnswer with one word.\n";
const folder = mkdtempSync(join(tmpdir(), "prompt-registry-journey-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STORES: Readonly<Record<string, () => Promise<StorageDriver>>> = {
  memory: async () => memory(),
  folder: async () => fs({ path: join(folder, "files") }),
  sqlite: () => sqlite({ path: join(folder, "registry.db") }),
};

const button = (page: Page, name: string | RegExp) =>
  page.getByRole("button", { name, exact: typeof name === "string" });
const inDialog = (page: Page, name: string | RegExp) =>
  page.getByRole("dialog").getByRole("button", { name, exact: typeof name === "string" });

if (browserless !== undefined) skipSuite("the page in a browser", browserless);
else
  describe("the page", () => {
    let browser: Browser;
    let web: WebPage;
    beforeAll(async () => {
      [browser, web] = await Promise.all([launch(), builtPage()]);
    });
    afterAll(() => browser?.close());

    test.each(Object.keys(STORES))("from signing in to deprecating, over %s", async (store) => {
      const world = await webWorld(web, { driver: await (STORES[store] as () => Promise<StorageDriver>)() });
      const { registry, url } = world;
      try {
        await registry.storePrompt({ name: NAME, version: "1.0.0", text: OLD, labels: ["production"] });
        await registry.storePrompt({ name: "support/reply", version: "1.0.0", text: "Answer politely.\n" });
        await registry.storePrompt({ name: "other/greeting", version: "1.0.0", text: "Say hello.\n" });
        const token = await world.token("ada", "read", "write:support", "promote:support");
        const { page, context, watched } = await visit(browser, url);

        await signIn(page, token);
        await page.getByRole("heading", { level: 1, name: "Prompts" }).waitFor();
        expect(await page.getByRole("rowheader").allTextContents()).toEqual(["other/greeting", "support/reply", NAME]);
        await page.getByRole("searchbox").fill("triage");
        await expect.poll(() => page.getByRole("rowheader").count()).toBe(1);
        await page.getByRole("link", { name: "triage", exact: true }).click();
        await page.getByRole("heading", { level: 1, name: NAME }).waitFor();
        await page.getByText("Sort this ticket").waitFor();

        // Published once, however often it is clicked.
        await page.getByRole("link", { name: "New version" }).click();
        await page.getByRole("textbox", { name: "Text of the prompt" }).fill(NEW);
        await page.getByText("Changes", { exact: true }).click();
        await page.getByRole("region", { name: "Your changes" }).getByText("Answer with one word.").waitFor();
        await page.getByRole("radio", { name: /^minor/ }).check();
        await page.getByRole("textbox", { name: "Message" }).fill("shorter answers");
        await button(page, "Publish 1.1.0").dblclick();
        await page.getByText("latest is").getByText("1.1.0").waitFor();
        expect(await registry.getPrompt(NAME)).toMatchObject({
          version: "1.1.0",
          text: NEW,
          message: "shorter answers",
        });
        expect((await registry.listVersions(NAME).all()).map(({ version }) => version)).toEqual(["1.1.0", "1.0.0"]);

        await page.getByRole("link", { name: "Diff", exact: true }).click();
        await page
          .getByRole("region", { name: /Changes from 1\.0\.0 to 1\.1\.0/ })
          .getByText("Answer with one word.")
          .waitFor();

        await page.getByRole("link", { name: "Prompt", exact: true }).click();
        await button(page, "Move production").click();
        await page.getByRole("dialog").getByText("Answer with one word.").waitFor();
        await page.getByRole("dialog").getByRole("textbox", { name: /Why/ }).fill("tried it on staging");
        await inDialog(page, "Move production to 1.1.0").dblclick();
        await page.getByText("production is on 1.1.0 now.").waitFor();
        expect((await registry.getPrompt(`${NAME}@production`)).version).toBe("1.1.0");

        await button(page, /^Roll back/).click();
        await inDialog(page, "Roll back to 1.0.0").dblclick();
        await page.getByText("latest was rolled back to 1.0.0.").waitFor();
        expect((await registry.getPrompt(NAME)).version).toBe("1.0.0");
        await button(page, /^Unpin/).click();
        await inDialog(page, "Unpin latest").click();
        await page.getByText("latest follows the highest version again.").waitFor();

        await page.getByRole("link", { name: "Versions", exact: true }).click();
        await button(page, "Yank 1.1.0").click();
        await page.getByRole("dialog").getByRole("textbox", { name: "Why" }).fill("too short");
        await inDialog(page, "Yank 1.1.0").click();
        await page.getByText("1.1.0 was yanked.").waitFor();
        expect((await registry.getPrompt(NAME)).version).toBe("1.0.0");

        await page.getByRole("link", { name: "Prompt", exact: true }).click();
        await button(page, "Deprecate…").click();
        await page.getByRole("dialog").getByRole("textbox").fill("use support/reply");
        await inDialog(page, "Deprecate").click();
        await page.getByText(`${NAME} is deprecated.`).waitFor();

        await page.getByRole("link", { name: "History", exact: true }).click();
        await page.getByRole("cell", { name: "deprecate", exact: true }).waitFor();
        const history = await registry.history(NAME).all();
        const made = history
          .filter(({ by }) => by === "ada")
          .map(({ action, label, from, to }) => [action, label, from, to]);
        expect(made.reverse()).toEqual([
          ["publish", undefined, undefined, "1.1.0"],
          ["label", "production", "1.0.0", "1.1.0"],
          ["rollback", undefined, "1.1.0", "1.0.0"],
          ["unpin", undefined, "1.0.0", undefined],
          ["yank", undefined, undefined, "1.1.0"],
          ["deprecate", undefined, undefined, undefined],
        ]);
        // One heading says what each of them was.
        expect(await page.getByRole("row").count()).toBe(history.length + 1);
        expect(watched).toEqual(QUIET);
        await context.close();
      } finally {
        await world.close();
      }
    });
  });
