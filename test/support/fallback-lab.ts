import { memory } from "../../src/drivers/memory.ts";
import { fallback } from "../../src/layers/fallback.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { fault, seedPrompts } from "../../src/testing/index.ts";

/** A store that can fail, and a second one that is a little behind and has a prompt more. */
export async function lab() {
  const [main, second] = [memory(), memory()];
  const faulty = Object.assign(fault(main), { peek: () => undefined });
  await seedPrompts(new PromptRegistry(main), { a: { "1.0.0": "main\n", "1.1.0": "main\n" } });
  await new PromptRegistry(main).setLabel("a", "production", "1.1.0");
  await seedPrompts(new PromptRegistry(second), { a: { "1.0.0": "main\n" }, b: { "1.0.0": "" } });
  await new PromptRegistry(second).setLabel("a", "production", "1.0.0");
  const driver = fallback([second])(faulty);
  return { main: new PromptRegistry(main), faulty, driver, second, registry: new PromptRegistry(driver) };
}
