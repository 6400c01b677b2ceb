import { expect, test } from "vitest";
import { stocked } from "./world.ts";

test("a snapshot answers when it is all there is", async () => {
  const world = await stocked();
  const written = await world.run("snapshot", "shipped.json", "--only", "support/triage@production", "--json");
  expect(written.code).toBe(0);
  expect(written.json()).toMatchObject({ prompts: 1, versions: 1 });
  const all = await world.run("snapshot", "all.json");
  expect(all.out).toMatch(/^2 prompts, \d+ versions: [\d,]+ bytes\n$/);
  const missing = await world.run("snapshot", "none.json", "--only", "support/nothing");
  expect(missing.code).toBe(3);
});
