import { describe, expect, it } from "vitest";
import { httpWorld } from "../../../test/support/http-world.ts";
import { memory } from "../../drivers/memory.ts";
import { cache } from "../../layers/index.ts";
import { PromptRegistry } from "../../registry.ts";
import { openAccess } from "../handler.ts";

const PROMPT = "/v1/prompts/a/-";
/** Each route that reads, and whether it is answered from memory where nothing else is said. */
const ROUTES: readonly (readonly [string, boolean])[] = [
  [`${PROMPT}/labels/production`, true],
  [`${PROMPT}/labels/production?form=text`, true],
  [`${PROMPT}/labels/production?form=json`, true],
  [`${PROMPT}/latest`, true],
  [`${PROMPT}/resolve?label=production`, true],
  [`${PROMPT}/resolve?range=%5E1`, true],
  [`${PROMPT}/resolve?label=production&at=2100-01-01T00:00:00Z`, false],
  [`${PROMPT}/diff?from=1.0.0&to=production`, true],
  [`${PROMPT}/diff?from=1.0.0&to=%5E1`, true],
  [`${PROMPT}/head`, false],
  [`${PROMPT}/versions`, false],
  [`${PROMPT}/history`, false],
  ["/v1/prompts?include=heads", false],
];

describe("Cache-Control of a request", () => {
  for (const control of ["no-cache", "max-age=0"])
    it.each(ROUTES)(`${control} asks the store, whatever the server remembers: %s`, async (path, isRemembered) => {
      // Over a store that others write to.
      const store = memory();
      const others = new PromptRegistry(store);
      await others.storePrompt({ name: "a", version: "1.0.0", text: "one {{x}}\n", labels: ["production"] });
      const { send } = httpWorld({ access: openAccess() }, cache({ ttl: 3_600_000 })(store));
      const ask = async (headers: Record<string, string> = {}) => {
        const { status, text } = await send("GET", path, { headers });
        expect(status).toBe(200);
        return text;
      };
      const after = /1\.1\.0|two/;
      expect(await ask()).not.toMatch(after);
      await others.storePrompt({ name: "a", version: "1.1.0", text: "two {{y}}\n", labels: ["production"] });
      if (isRemembered) expect(await ask()).not.toMatch(after);
      expect(await ask({ "cache-control": control })).toMatch(after);
    });
});

describe("getPrompt with fresh: true", () => {
  it("asks the store, also what this registry has at hand", async () => {
    const store = memory();
    const others = new PromptRegistry(store);
    await others.storePrompt({ name: "a", version: "1.0.0", text: "one\n" });
    const registry = new PromptRegistry(cache({ ttl: 3_600_000 })(store));
    for (let i = 0; i < 3; i++) await registry.getPrompt("a");
    await others.storePrompt({ name: "a", version: "1.1.0", text: "two\n" });
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    expect((await registry.getPrompt("a", { fresh: true })).version).toBe("1.1.0");
    const [one] = await registry.getPrompts(["a@^1"], { fresh: true });
    expect(one?.version).toBe("1.1.0");
  });
});
