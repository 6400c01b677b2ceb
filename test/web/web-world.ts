import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createAccess, issueToken, memoryTokens } from "../../src/server/access/index.ts";
import { openAccess } from "../../src/server/handler.ts";
import { type ServeOptions, serve } from "../../src/server/node/serve.ts";
import type { RunningServer } from "../../src/server/node/server.ts";
import type { WebPage } from "../../src/web/page.ts";
import { type Watched, watch } from "./browser.ts";

export interface WebWorld {
  readonly registry: PromptRegistry;
  readonly server: RunningServer;
  readonly url: string;
  /** @returns a token of somebody who may do that */
  token(name: string, ...scopes: string[]): Promise<string>;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<ServeOptions> {
  readonly driver?: StorageDriver;
  /** Everybody may do everything. */
  readonly open?: boolean;
}

/** A registry that is served on loopback, with the page. */
export async function webWorld(web: WebPage, options: WorldOptions = {}): Promise<WebWorld> {
  const { driver = memory(), open = false, ...rest } = options;
  const registry = new PromptRegistry(driver, { author: "seed" });
  const tokens = memoryTokens();
  const access = open ? openAccess() : createAccess({ tokens });
  const server = await serve(registry, { access, web, port: 0, ...rest });
  return {
    ...{ registry, server, url: server.url },
    async token(name, ...scopes) {
      return (await issueToken(tokens, { name, scopes })).token;
    },
    async close() {
      await server.stop(100);
      await registry.close();
    },
  };
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly watched: Watched;
}

/** Somebody new opens the page there. */
export async function visit(
  browser: Browser,
  url: string,
  { hash = "", ...options }: BrowserContextOptions & { readonly hash?: string } = {},
): Promise<Visit> {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(10_000);
  const watched = await watch(context, new URL(url).origin);
  const page = await context.newPage();
  await page.goto(`${url}/${hash}`);
  return { page, context, watched };
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("banner").getByRole("group").waitFor();
}
