import { resolve } from "node:path";
import type { CheckResult, ConformanceReport } from "../../conformance/index.ts";
import { RegistryError, show } from "../../errors.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { clean } from "../terminal.ts";

const TOKEN = "PROMPT_REGISTRY_TOKEN";

export const command = defineCommand({
  usage: ["URL"],
  details: [
    "Checks any server that claims protocol v1, rule by rule, over HTTP: one line a check, with its id, the rule and the",
    "section of docs/protocol.md. It writes below a fresh prefix (conformance-…) and leaves there what it wrote, as versions",
    "are for ever. Checks that the token may not do are skipped, and told so. Exits with 0 when every check that ran passed,",
    "1 when one failed, 6 when the server does not take the token, 7 when it can't be reached.",
  ],
  arguments: [{ name: "URL", kind: "word" }],
  options: {
    "token-env": { type: "string", value: "NAME", help: `the variable that holds the token; default: ${TOKEN}` },
    "limited-token-env": {
      type: "string",
      value: "NAME",
      help: "the variable with a token that may not read the prefix; else some checks are skipped",
    },
    prefix: { type: "string", value: "NAME", help: "write below this name; default: at the top" },
    only: { type: "string", value: "PATTERN", help: "only checks whose id has this text, or matches it (labels.*)" },
    "read-only": { type: "boolean", help: "leave out every check that writes" },
    junit: { type: "string", value: "FILE", help: "also write the results as JUnit XML", complete: "file" },
  },
  examples: [
    ["prompt-registry conformance http://127.0.0.1:7420", "a server that was started with --open"],
    ["prompt-registry conformance https://registry.example --read-only", "what can be checked without a change"],
    [
      "prompt-registry conformance http://127.0.0.1:7420 --only 'labels.*' --junit report.xml",
      "a part, for a CI service",
    ],
  ],
  busy: "checking",
  async run(context, { values, positionals }) {
    const { io, terminal, json, signal } = context;
    const { checkConformance, junitOf } = await import("../../conformance/index.ts");
    const { prefix, only } = values;
    const token = tokenOf(context, values["token-env"]) ?? (io.env[TOKEN] || undefined);
    const limitedToken = tokenOf(context, values["limited-token-env"]);
    const report = await checkConformance(positionals[0] as string, {
      signal,
      ...(token === undefined ? {} : { token }),
      ...(limitedToken === undefined ? {} : { limitedToken }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(only === undefined ? {} : { only }),
      ...(values["read-only"] === true ? { readOnly: true } : {}),
      onResult: (result) => {
        if (!json) terminal.out(`${lineOf(context, result)}\n`);
      },
    });
    if (values.junit !== undefined) await write(resolve(io.cwd, values.junit), junitOf(report));
    if (json) terminal.json(report);
    else terminal.out(`${summaryOf(report)}\n`);
    return report.ok ? undefined : FINDINGS;
  },
});

/** A token stands in a variable, as a command line is for everybody to see. */
function tokenOf({ io }: Context, variable: string | undefined): string | undefined {
  if (variable === undefined) return undefined;
  const token = io.env[variable];
  if (token === undefined || token === "") throw usageError(`the variable ${show(variable)} holds no token`);
  return token;
}

function lineOf({ terminal }: Context, { id, rule, section, status, detail }: CheckResult): string {
  const { paint } = terminal;
  const word = { passed: paint("green", "ok    "), failed: paint("red", "FAILED"), skipped: paint("yellow", "skip  ") };
  const why = detail === undefined ? "" : `\n       ${clean(detail)}`;
  return `${word[status]} ${id}: ${rule} ${paint("dim", `(${section})`)}${why}`;
}

function summaryOf({ url, passed, failed, skipped, left }: ConformanceReport): string {
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  return `${url}: ${counts}${left === undefined ? "; nothing was written" : `; what was written is below ${left}`}`;
}

async function write(path: string, text: string): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  try {
    await writeFile(path, text);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? "an error";
    throw new RegistryError("INVALID", `--junit ${show(path)} can't be written (${why})`, { field: "junit", cause });
  }
}
