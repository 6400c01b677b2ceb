import { defineCommand } from "../command.ts";
import { installOptions, MATERIALIZE, NO_MATERIALIZE, reportInstall } from "../install.ts";

export const command = defineCommand({
  usage: [""],
  details: [
    "The same as `install --frozen`: puts exactly what prompts.lock.json says into a folder. Fails with 4, and lists all of",
    "it, when prompts.json, the lockfile and the registry disagree.",
  ],
  arguments: [],
  options: { materialize: MATERIALIZE, "no-materialize": NO_MATERIALIZE },
  examples: [["prompt-registry ci", "in a build"]],
  busy: "comparing",
  async run(context, { values }) {
    const { install } = await import("../../lockfile/index.ts");
    const registry = await context.registry();
    return reportInstall(context, await install(registry, { ...installOptions(context, values), frozen: true }));
  },
});
