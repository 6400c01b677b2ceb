import { defineCommand } from "../command.ts";
import { installOptions, MATERIALIZE, NO_MATERIALIZE, reportInstall } from "../install.ts";
import { DRY_RUN } from "../transfer.ts";

export const command = defineCommand({
  usage: [""],
  details: [
    "Reads prompts.json, writes prompts.lock.json, and puts the locked texts into a folder. What is locked and still fits",
    "stays as it is; `update` moves it. With --frozen (or `ci`) the lockfile is not changed, and any drift is an error.",
  ],
  arguments: [],
  options: {
    frozen: { type: "boolean", help: "fail on any drift, change no lockfile" },
    materialize: MATERIALIZE,
    "no-materialize": NO_MATERIALIZE,
    "dry-run": DRY_RUN,
  },
  examples: [
    ["prompt-registry install", "after prompts.json was edited"],
    ["prompt-registry install --frozen --materialize dist/prompts", "in a build"],
  ],
  busy: "resolving",
  async run(context, { values }) {
    const { install } = await import("../../lockfile/index.ts");
    const registry = await context.registry();
    const options = { ...installOptions(context, values), frozen: values.frozen === true };
    return reportInstall(context, await install(registry, options));
  },
});
