import { isSealed } from "../../document.ts";
import { findingLine } from "../../policy/enforce.ts";
import type { StoreRequest } from "../../registry/request.ts";
import type { StoreResult } from "../../registry/store-result.ts";
import type { Bump } from "../../semver.ts";
import { ALLOW, allowanceOf, REASON } from "../allow.ts";
import { usageError } from "../args.ts";
import { AUTHOR, type Context, defineCommand, MESSAGE } from "../command.ts";
import { readInput } from "../input.ts";

export const command = defineCommand({
  usage: ["NAME [FILE|-]"],
  details: [
    "Reads FILE, or stdin. Without --version and --bump the patch number is bumped; a new prompt starts at 1.0.0. The text",
    'that the highest version has already makes no new version: it is "unchanged". A sealed document (`get --raw`) is',
    "stored as it is, under its own name and version. What the publish policy blocks (invisible characters, secrets, a",
    "version that promises too much) is not stored, unless its rule is allowed; see docs/policy.md. With --propose nothing",
    "is published: a branch of its own and a pull request hold the version until it is merged; see docs/github-access.md.",
  ],
  arguments: [
    { name: "NAME", kind: "name" },
    { name: "FILE", kind: "file", optional: true },
  ],
  options: {
    version: { type: "string", value: "V", help: "store as exactly this version" },
    bump: {
      type: "string",
      choices: ["major", "minor", "patch"],
      help: "which number to raise above the highest version there is",
    },
    label: { type: "string", value: "L", multiple: true, complete: "label", help: "put this label on the version" },
    message: MESSAGE,
    author: AUTHOR,
    expect: {
      type: "string",
      value: "V",
      help: "store only if latest selects V now (none: if there is nothing yet)",
    },
    unpin: { type: "boolean", help: "lift the pin of a rollback" },
    propose: { type: "boolean", help: "open a pull request (github: only), or update the one that there is" },
    allow: ALLOW,
    reason: REASON,
  },
  examples: [
    [
      "prompt-registry push support/triage triage.md -m 'ask for the order number'",
      "a file, as the next patch version",
    ],
    ["prompt-registry push support/triage triage.md --bump minor --label staging", "the next minor version, labelled"],
    ["echo 'Sum up: {{text}}' | prompt-registry push summarize/text - --version 1.0.0", "stdin, as 1.0.0"],
  ],
  busy: "storing",
  async run(context, { values, positionals }) {
    const [name = "", file] = positionals;
    if (values.version !== undefined && values.bump !== undefined) {
      throw usageError("give --version or --bump, not both");
    }
    const allowance = allowanceOf(values);
    const text = await readInput(context, file);
    const sealed = isSealed(text);
    if (sealed && values.bump !== undefined) {
      throw usageError("this text is a sealed document, which has a version already; leave --bump out");
    }
    const request: StoreRequest = {
      name,
      text,
      ...(values.version === undefined
        ? sealed
          ? {}
          : { bump: (values.bump ?? "patch") as Bump }
        : { version: values.version }),
      ...(values.label === undefined ? {} : { labels: values.label }),
      ...(values.message === undefined ? {} : { message: values.message }),
      ...(values.author === undefined ? {} : { author: values.author }),
      ...(values.expect === undefined ? {} : { expect: values.expect === "none" ? null : values.expect }),
      ...(values.unpin ? { unpin: true } : {}),
      ...allowance,
    };
    if (values.propose) {
      const { proposePush } = await import("../propose.ts");
      return await proposePush(context, request);
    }
    const registry = await context.registry();
    report(context, await registry.storePrompt(request, { signal: context.signal }));
    return undefined;
  },
});

function report({ terminal, json }: Context, result: StoreResult): void {
  if (json) terminal.json(result);
  else terminal.out(`${result.ref} ${result.status}\n`);
  for (const warning of result.warnings ?? []) terminal.warn(warning);
  for (const finding of result.overridden ?? []) terminal.warn(`allowed: ${findingLine(finding)}`);
  if (result.pinned) {
    const now = result.latest === undefined ? "" : ` to ${result.latest}`;
    terminal.note(
      `latest is pinned${now} by a rollback; \`prompt-registry unpin ${result.name}\` lets it follow again`,
    );
  }
}
