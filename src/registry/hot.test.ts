import { expect, it, vi } from "vitest";
import { memory } from "../drivers/memory.ts";
import { PromptRegistry } from "../registry.ts";

async function filled() {
  const registry = new PromptRegistry(memory());
  for (const name of ["a", "b"]) {
    await registry.storePrompt({ name, version: "1.0.0", text: `${name} 1`, labels: ["production"] });
  }
  // The first read remembers, the second puts it at hand, the third is the one that is meant here.
  for (let i = 0; i < 3; i++) for (const ref of ["a", "a@1.0.0", "a@production", "b"]) await registry.getPrompt(ref);
  return registry;
}

it("what is read again and again is the same object, from getPrompt and peekPrompt", async () => {
  const registry = await filled();
  const prompt = registry.peekPrompt("a@production");
  expect(prompt?.text).toBe("a 1");
  expect(registry.peekPrompt("a@production")).toBe(prompt);
  expect(await registry.getPrompt("a@production")).toBe(prompt);
});

it("a change of any prompt is seen by the very next read, of this one and of the others", async () => {
  const registry = await filled();
  const other = registry.peekPrompt("b");
  await registry.storePrompt({ name: "a", version: "1.1.0", text: "a 2" });
  expect(registry.peekPrompt("a")?.version).toBe("1.1.0");
  expect(registry.peekPrompt("a@production")?.version).toBe("1.0.0");
  expect(registry.peekPrompt("b")).toBe(other);
  for (let i = 0; i < 3; i++) registry.peekPrompt("a@production");
  await registry.setLabel("a", "production", "1.1.0");
  expect(registry.peekPrompt("a@production")?.text).toBe("a 2");
  await registry.deletePrompt("b", {});
  await expect(registry.getPrompt("b")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

it("nothing is given once the storage was closed, by the registry or by somebody else", async () => {
  const registry = await filled();
  await registry.driver.close();
  expect(registry.peekPrompt("a")).toBeUndefined();
  await expect(registry.getPrompt("a@1.0.0")).rejects.toMatchObject({ code: "ABORTED" });
});

it("a lease to which a layer gave an age ends with it, though nothing changed", async () => {
  const inner = memory();
  const registry = new PromptRegistry({
    ...inner,
    peek(ask) {
      const answer = inner.peek(ask);
      return answer?.lease && { ...answer, lease: { ...answer.lease, until: Date.now() + 1000 } };
    },
  });
  await registry.storePrompt({ name: "a", version: "1.0.0", text: "a 1" });
  vi.useFakeTimers();
  try {
    const first = registry.peekPrompt("a");
    for (let i = 0; i < 3; i++) expect(registry.peekPrompt("a")).toBe(first);
    vi.setSystemTime(Date.now() + 2000);
    expect(registry.peekPrompt("a")).not.toBe(first);
  } finally {
    vi.useRealTimers();
  }
});
