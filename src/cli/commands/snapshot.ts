import { isRegistryError, RegistryError } from "../../errors.ts";
import { writeFault } from "../../whole-file.ts";
import { defineCommand } from "../command.ts";
import { count } from "../layout.ts";
import { requireSource } from "../source.ts";
import { pathAt } from "../transfer.ts";

export const command = defineCommand({
  usage: ["FILE"],
  details: [
    "Writes prompts into one file that an application can ship and read when everything else is down.",
    "Without --only: every prompt with its latest version and its labels. FILE appears whole or not at all.",
  ],
  arguments: [{ name: "FILE", kind: "file" }],
  options: {
    only: {
      type: "string",
      multiple: true,
      value: "SELECTOR",
      complete: "selector",
      help: "this one; may be repeated",
    },
  },
  examples: [
    [
      "prompt-registry snapshot prompts.snapshot.json --only support/triage@production",
      "one prompt, as it is in production",
    ],
    ["prompt-registry get support/triage@production --storage snapshot:./prompts.snapshot.json", "and read it back"],
  ],
  busy: "writing",
  async run(context, { values, positionals }) {
    const { terminal } = context;
    const { writeSnapshot } = await import("../../layers/index.ts");
    await requireSource(context);
    const registry = await context.registry();
    const report = await writeSnapshot(registry, pathAt(context, positionals[0] as string), {
      signal: context.signal,
      ...(values.only === undefined ? {} : { selectors: values.only }),
    }).catch((error: unknown) => {
      throw isRegistryError(error, "FORBIDDEN") ? aboutDisk(error) : error;
    });
    if (context.json) terminal.json(report);
    else {
      terminal.out(
        `${count(report.prompts, "prompt")}, ${count(report.versions, "version")}: ${count(report.bytes, "byte")}\n`,
      );
    }
    return undefined;
  },
});

/** A disk that nobody can write is no matter of permissions. */
function aboutDisk(error: RegistryError): RegistryError {
  const code = writeFault(error.cause);
  return code === undefined ? error : new RegistryError(code, error.message, { ...error.context, cause: error.cause });
}
