import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PromptRegistry } from "../../src/registry.ts";
import { openAccess } from "../../src/server/handler.ts";
import { serve } from "../../src/server/node/serve.ts";
import type { WebPage } from "../../src/web/page.ts";
import { skipSuite } from "../support/skip.ts";
import { builtPage } from "../support/web-page.ts";
import { browserless, launch, QUIET } from "./browser.ts";
import { signIn, visit, type WebWorld, type WorldOptions, webWorld } from "./web-world.ts";

const NAME = "support/triage";
const heading = (page: Page, name: string) => page.getByRole("heading", { level: 1, name, exact: true });
const field = (page: Page) => page.getByRole("textbox", { name: "Text of the prompt" });

if (browserless !== undefined) skipSuite("the page in a browser", browserless);
else
  describe("the page", () => {
    let browser: Browser;
    let web: WebPage;
    const closing: (() => Promise<unknown>)[] = [];
    beforeAll(async () => {
      [browser, web] = await Promise.all([launch(), builtPage()]);
    });
    afterAll(() => browser?.close());
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close();
    });

    async function world(options: WorldOptions = {}): Promise<WebWorld> {
      const made = await webWorld(web, options);
      closing.push(() => made.close());
      await made.registry.storePrompt({
        name: NAME,
        version: "1.0.0",
        text: "Sort: {{ticket}}\n",
        labels: ["production"],
      });
      await made.registry.storePrompt({ name: NAME, version: "1.1.0", text: "Sort it: {{ticket}}\n" });
      await made.registry.storePrompt({ name: NAME, version: "1.2.0", text: "Please sort: {{ticket}}\n" });
      return made;
    }

    async function open(url: string, options: Parameters<typeof visit>[2] = {}) {
      const visited = await visit(browser, url, options);
      closing.push(() => visited.context.close());
      return visited;
    }

    test("a label that somebody else was faster with is not moved, and who it was is said", async () => {
      const { registry, url, token } = await world();
      const { page, watched } = await open(url, { hash: `#/p/${NAME}` });
      await signIn(page, await token("ada", "read", "promote"));
      await page.getByRole("button", { name: "Move production", exact: true }).click();
      const dialog = page.getByRole("dialog", { name: "Move production" });
      await dialog.getByRole("button", { name: "Move production to 1.2.0" }).waitFor();
      // In the moment between the click and the server.
      const bob = new PromptRegistry(registry.driver, { author: "bob" });
      await page.route(
        "**/labels/production",
        async (route) => {
          if (route.request().method() === "PUT") await bob.setLabel(NAME, "production", "1.1.0");
          await route.continue();
        },
        { times: 1 },
      );
      await dialog.getByRole("button", { name: "Move production to 1.2.0" }).click();
      await dialog.getByRole("alert").waitFor();
      await dialog.getByText("bob moved production from 1.0.0 to 1.1.0").waitFor();
      expect((await registry.getPrompt(`${NAME}@production`)).version).toBe("1.1.0");
      // Who has seen it may go on.
      await dialog.getByRole("button", { name: "Move production to 1.2.0" }).click();
      await dialog.waitFor({ state: "detached" });
      expect((await registry.getPrompt(`${NAME}@production`)).version).toBe("1.2.0");
      expect(watched).toEqual(QUIET);
    });

    test("what others change shows by itself, and is told", async () => {
      const { registry, url } = await world({ open: true, poll: 50, pollInterval: 50 });
      const { page, watched } = await open(url, { hash: `#/p/${NAME}` });
      await page.getByText("latest is").getByText("1.2.0").waitFor();
      await page.getByText("live", { exact: true }).waitFor();
      const bob = new PromptRegistry(registry.driver, { author: "bob" });
      await bob.storePrompt({ name: NAME, version: "1.3.0", text: "From afar: {{ticket}}\n" });
      await page.getByText("latest is").getByText("1.3.0").waitFor();
      await page.getByText("From afar").waitFor();
      await page.getByText("bob published 1.3.0 just now.").waitFor();
      expect(watched).toEqual(QUIET);
    });

    test("who may only read sees no button that changes anything", async () => {
      const { url, token } = await world();
      const { page, watched } = await open(url);
      await signIn(page, await token("rea", "read"));
      const changing = /move|remove|roll|yank|deprecate|publish|label|pin|new/i;
      for (const part of ["", "/versions", "/history", "/diff"]) {
        await page.goto(`${url}/#/p/${NAME}${part}`);
        await heading(page, NAME).waitFor();
        await page.getByText("1.2.0").first().waitFor();
        expect(await page.getByRole("button", { name: changing }).allTextContents()).toEqual([]);
        expect(await page.getByRole("link", { name: /new/i }).allTextContents()).toEqual([]);
      }
      expect(watched).toEqual(QUIET);
    });

    test("a token is kept in its tab and sent to no other", async () => {
      const { url, token } = await world();
      const { page, context, watched } = await open(url);
      const secret = await token("ada", "read");
      await signIn(page, secret);
      await heading(page, "Prompts").waitFor();
      await page.reload();
      await heading(page, "Prompts").waitFor();
      expect(await context.cookies()).toEqual([]);
      expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).toBe("{}");
      expect(page.url()).not.toContain(secret);
      const other = await context.newPage();
      await other.goto(url);
      await heading(other, "Sign in").waitFor();
      await page.getByRole("banner").locator("summary").click();
      await page.getByRole("button", { name: "Sign out" }).click();
      await heading(page, "Sign in").waitFor();
      expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).not.toContain(secret);
      expect(watched).toEqual(QUIET);
    });

    test("a wrong token is told at once", async () => {
      const { url } = await world();
      const { page, watched } = await open(url);
      await page.getByLabel("API token").fill("prg_wrong");
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.getByRole("alert").waitFor();
      expect(watched).toEqual(QUIET);
    });

    test("a server that goes and comes back takes nothing along", async () => {
      const made = await world({ open: true });
      const { page, watched } = await open(made.url);
      await page.clock.install();
      await page.goto(`${made.url}/#/p/${NAME}/new`);
      await field(page).fill("Written in an outage: {{ticket}}\n");
      const { port } = made.server;
      await made.server.stop(0);
      await page.getByRole("button", { name: "Publish 1.2.1" }).click();
      // It is looked for what became of it, for some seconds.
      const isTold = async () => {
        await page.clock.runFor(1000);
        return page.getByRole("alert").isVisible();
      };
      await expect.poll(isTold, { timeout: 20_000 }).toBe(true);
      expect(await field(page).inputValue()).toBe("Written in an outage: {{ticket}}\n");
      const again = await serve(made.registry, { access: openAccess(), web, port });
      closing.push(() => again.stop(0));
      await page.getByRole("button", { name: /^Send 1\.2\.1 again/ }).click();
      await page.getByText("latest is").getByText("1.2.1").waitFor();
      expect((await made.registry.getPrompt(NAME)).text).toBe("Written in an outage: {{ticket}}\n");
      expect(watched).toEqual(QUIET);
    });

    test("a draft survives a reload", async () => {
      const { url } = await world({ open: true });
      const { page, watched } = await open(url, { hash: `#/p/${NAME}/new` });
      await field(page).fill("Half of it");
      await expect.poll(() => page.evaluate(() => JSON.stringify({ ...sessionStorage }))).toContain("Half of it");
      await page.reload();
      expect(await field(page).inputValue()).toBe("Half of it");
      await page.getByText("This is your draft from before").waitFor();
      expect(watched).toEqual(QUIET);
    });

    test("a second visit costs one small answer, after which everything still works", async () => {
      const lines: string[] = [];
      const { url } = await world({ open: true, log: (text) => void lines.push(text) });
      const { page, watched } = await open(url);
      await page.goto("about:blank");
      for (const visits of [1, 2]) {
        await page.goto(`${url}/#/p/${NAME}`);
        await page.getByText("Please sort").waitFor();
        await page.goto("about:blank");
        await expect.poll(() => lines.join("").match(/"route":"GET \/",/g)?.length).toBe(visits + 1);
      }
      expect(lines.join("")).toMatch(/"route":"GET \/","status":304/);
      expect(lines.join("").match(/"route":"GET \/web\/\{file\}"/g)?.length).toBeLessThan(6);
      expect(watched).toEqual(QUIET);
    });

    test("it works below any path of a proxy", async () => {
      const { url } = await world({ open: true, allowedHosts: ["registry.example"] });
      const target = new URL(url);
      const proxy = createServer((request, response) => {
        const path = /^\/tools\/prompts(\/.*)$/.exec(request.url ?? "")?.[1];
        if (path === undefined) return void response.writeHead(404).end();
        const { method, headers } = request;
        const to = {
          hostname: target.hostname,
          port: target.port,
          method,
          path,
          headers: { ...headers, host: "registry.example" },
        };
        const forward = send(to, (reply) => {
          response.writeHead(reply.statusCode ?? 502, reply.headers);
          reply.pipe(response);
        });
        response.on("close", () => forward.destroy());
        forward.on("error", () => response.destroy());
        request.pipe(forward);
      });
      await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
      closing.push(async () => {
        proxy.closeAllConnections();
        proxy.close();
      });
      const { page, watched } = await open(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}/tools/prompts`);
      await page.getByRole("link", { name: "triage" }).click();
      await page.getByText("Please sort").waitFor();
      await page.getByText("live", { exact: true }).waitFor();
      await page.getByRole("link", { name: "New version" }).click();
      await field(page).fill("Through a proxy");
      await page.getByRole("button", { name: "Publish 1.2.1" }).click();
      await page.getByText("latest is").getByText("1.2.1").waitFor();
      expect(watched).toEqual(QUIET);
    });

    test("it is there for who has a keyboard and no mouse", async () => {
      const { url } = await world({ open: true });
      const { page, watched } = await open(url);
      await heading(page, "Prompts").waitFor();
      await page.keyboard.press("Tab");
      const focused = () => page.evaluate(() => document.activeElement?.textContent);
      expect(await focused()).toBe("Skip to the content");
      await page.keyboard.press("Enter");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
      await page.keyboard.press("/");
      await page.keyboard.type("triage");
      await page.keyboard.press("Enter");
      await page.getByText("1 that match").waitFor();
      await page.getByRole("link", { name: "triage", exact: true }).focus();
      await page.keyboard.press("Enter");
      await heading(page, NAME).waitFor();
      await expect.poll(focused).toContain("triage");
      const move = page.getByRole("button", { name: "Move production", exact: true });
      await move.press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await expect.poll(() => move.evaluate((one) => one === document.activeElement)).toBe(true);
      await page.goBack();
      await heading(page, "Prompts").waitFor();
      expect(watched).toEqual(QUIET);
    });
  });
