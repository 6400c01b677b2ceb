import { afterEach, describe, expect, it } from "vitest";
import { http } from "../../src/drivers/http/index.ts";
import { memory } from "../../src/drivers/memory.ts";
import { stack } from "../../src/layers/layer.ts";
import { retry } from "../../src/layers/retry.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createHandler, openAccess } from "../../src/server/handler.ts";
import { faultProxy, type HttpFault } from "../support/http-proxy.ts";
import { serveHandler } from "../support/http-server.ts";

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function world() {
  const inner = memory();
  const server = await serveHandler(createHandler(new PromptRegistry(inner), { access: openAccess() }));
  const proxy = await faultProxy(server.url);
  const driver = await http({ url: proxy.url, token: "test", env: {} });
  cleanup.push(
    () => server.close(),
    () => proxy.close(),
    () => driver.close(),
  );
  proxy.reset();
  return { inner, proxy, driver };
}

describe("faults on the way", () => {
  const FAULTS: readonly HttpFault[] = [
    { kind: "drop-before" },
    { kind: "drop-after" },
    { kind: "reply", status: 502 },
    { kind: "reply-after", status: 504 },
    { kind: "cut", bytes: 20 },
    { kind: "corrupt" },
  ];

  async function scenario(registry: PromptRegistry): Promise<void> {
    await registry.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    await registry.storePrompt({ name: "a", bump: "minor", text: "two\n", labels: ["production"] });
    await registry.setLabel("a", "production", "1.0.0");
    await registry.rollback("a", { to: "1.0.0" });
    await registry.unpin("a");
    await registry.deleteVersion("a", "1.1.0");
  }

  it.each(FAULTS)(
    "$kind at every request: what was acknowledged is there, and nothing was done twice",
    async (fault) => {
      for (let at = 0, isDone = false; !isDone; at++) {
        const { inner, proxy, driver } = await world();
        proxy.faultWhen(({ index }) => (index === at ? fault : undefined));
        await scenario(new PromptRegistry(stack(driver, [retry({ baseDelay: 1, maxDelay: 2 })])));
        isDone = proxy.requests.length <= at;
        const registry = new PromptRegistry(inner);
        expect(
          (await registry.listVersions("a", { includeRemoved: true })).items.map((e) => [e.version, e.removed]),
        ).toEqual([
          ["1.1.0", true],
          ["1.0.0", undefined],
        ]);
        const actions = (await registry.history("a").all()).map((e) => e.action);
        expect(actions, `request ${at}`).toEqual([
          "remove",
          "unpin",
          "rollback",
          "label",
          "label",
          "publish",
          "publish",
        ]);
        expect((await registry.verify()).problems).toEqual([]);
      }
    },
  );
});
