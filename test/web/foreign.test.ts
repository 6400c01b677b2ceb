import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipSuite } from "../support/skip.ts";
import { SMALL_PAGE } from "../support/web-page.ts";
import { browserless, launch } from "./browser.ts";
import { type WebWorld, webWorld } from "./web-world.ts";

interface Line {
  readonly msg: string;
  readonly method: string;
  readonly route: string;
  readonly status: number;
}

if (browserless !== undefined) skipSuite("a page of another site", browserless);
else
  describe("a page of another site, where everybody on this machine may do everything", () => {
    let browser: Browser;
    let world: WebWorld;
    let port: number;
    const lines: string[] = [];
    const foreign = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<!doctype html><title>foreign</title><body>");
    });

    beforeAll(async () => {
      browser = await launch();
      world = await webWorld(SMALL_PAGE, { open: true, log: (text) => void lines.push(...text.trimEnd().split("\n")) });
      await world.registry.storePrompt({ name: "a", version: "1.0.0", text: "one", labels: ["production"] });
      await world.registry.storePrompt({ name: "a", version: "1.1.0", text: "two" });
      await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
      port = (foreign.address() as AddressInfo).port;
    });
    afterAll(async () => {
      await browser?.close();
      foreign.close();
      await world?.close();
    });

    // Another port of the same name is the same site, another name is another one.
    test.each(["127.0.0.1", "localhost"])("on %s changes nothing, reads nothing, and frames nothing", async (host) => {
      const { registry, url } = world;
      const stateOf = async () => ({
        head: (await registry.getPrompt("a@production")).version,
        names: (await registry.listPrompts().all()).map(({ name }) => name),
        history: (await registry.history("a").all()).length,
      });
      const before = await stateOf();
      const since = lines.length;
      const page = await browser.newPage();
      try {
        await page.goto(`http://${host}:${port}/`);
        const read = await page.evaluate(attack, url);
        // Nothing that was sent without being asked for was answered to the page.
        expect(read).toEqual([]);
        const framed = await page.evaluate(frame, url);
        expect(framed).not.toContain("small");
        await page.evaluate(submit, url);
        await page.waitForURL(`${url}/v1/prompts/a/-/rollback`);
        expect(JSON.parse((await page.locator("body").textContent()) as string)).toMatchObject({ code: "FORBIDDEN" });
      } finally {
        await page.close();
      }
      expect(await stateOf()).toEqual(before);
      // The server gathers its lines for a moment.
      const asked = await gathered(since);
      expect(asked.filter(({ status, method }) => status < 400 && method !== "GET")).toEqual([]);
      expect(asked.filter(({ status, route }) => status < 400 && route.includes("/check"))).toEqual([]);
      // They did come, so it was the server that said no.
      expect(new Set(asked.map(({ method, status }) => `${method} ${status}`))).toEqual(
        new Set(["POST 403", "OPTIONS 405", "GET 403", "GET 200"]),
      );
    });

    async function gathered(since: number): Promise<Line[]> {
      const found = () =>
        lines
          .slice(since)
          .map((line) => JSON.parse(line) as Line)
          .filter(({ msg }) => msg === "request");
      await expect
        .poll(() => found().some(({ method, route }) => method === "POST" && route.includes("rollback")))
        .toBe(true);
      return found();
    }
  });

/** In the browser: all ways to send something elsewhere. @returns what could be read of the answers */
async function attack(url: string): Promise<string[]> {
  const read: string[] = [];
  const name = `${url}/v1/prompts/a`;
  const json = JSON.stringify({ bump: "major", text: "stolen" });
  const targets: [string, string, string][] = [
    ["POST", `${name}/-/versions`, json],
    ["POST", `${name}/-/rollback`, "{}"],
    ["POST", `${name}/-/versions/1.0.0/restore`, "stolen"],
    ["POST", `${url}/v1/commits`, "{}"],
    ["POST", `${url}/v1/repair`, "{}"],
    ["PUT", `${name}/-/versions/9.0.0`, "stolen"],
    ["PUT", `${name}/-/labels/production`, '{"version":"1.1.0"}'],
    ["DELETE", `${name}/-/labels/production`, ""],
    ["DELETE", name, ""],
    ["GET", `${url}/v1/check`, ""],
    ["GET", `${url}/v1/prompts`, ""],
  ];
  for (const [method, target, body] of targets) {
    for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded", "text/markdown"]) {
      for (const mode of ["cors", "no-cors"] as const) {
        const init = { method, mode, credentials: "include" as const, headers: { "content-type": type } };
        await fetch(target, body === "" ? { ...init, headers: {} } : { ...init, body }).then(
          async (answer) => {
            const text = await answer.text();
            if (text !== "" || answer.status !== 0) read.push(`${method} ${target} ${answer.status} ${text}`);
          },
          () => {},
        );
      }
    }
  }
  navigator.sendBeacon(`${name}/-/rollback`, "{}");
  return read;
}

/** In the browser. @returns what a frame of the page shows */
async function frame(url: string): Promise<string> {
  const element = document.createElement("iframe");
  const loaded = new Promise((resolve) => Object.assign(element, { onload: resolve, onerror: resolve, src: url }));
  document.body.append(element);
  await loaded;
  try {
    return element.contentWindow?.document.title ?? "";
  } catch {
    return "nothing that this page may see";
  }
}

/** In the browser: a form, which needs no script. */
function submit(url: string): void {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", enctype: "text/plain", action: `${url}/v1/prompts/a/-/rollback` });
  const field = document.createElement("input");
  Object.assign(field, { name: '{"message":"', value: '"}' });
  form.append(field);
  document.body.append(form);
  form.submit();
}
