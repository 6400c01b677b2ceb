import { RegistryError, show } from "../../errors.ts";
import type { MergeMethod, Proposal, Proposals } from "../../github/proposals.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand } from "../command.ts";
import { printRows, shortTime } from "../layout.ts";

const ACTIONS = ["list", "merge", "close"] as const;

export const command = defineCommand({
  usage: ["list", "merge NUMBER [--sha COMMIT]", "close NUMBER"],
  details: [
    "Changes of a GitHub storage that were proposed by `push --propose` or `label --propose`: pull requests of the same",
    "repository to the branch of the storage. Only what is merged is published. merge takes the commit that is proposed",
    "when it runs, or the one that --sha names and no other; then, as after close, the branch of the proposal is removed.",
    "Exit 4: the proposal or its base changed meanwhile; propose it again. 6: rules of the branch ask for more.",
  ],
  arguments: [
    { name: "ACTION", kind: "word", choices: ACTIONS },
    { name: "NUMBER", kind: "word", optional: true },
  ],
  options: {
    sha: { type: "string", value: "COMMIT", help: "merge only what was reviewed: the whole id of the commit" },
    method: { type: "string", choices: ["merge", "squash", "rebase"], help: "how it is merged (default: merge)" },
  },
  examples: [
    ["prompt-registry proposal list", "what waits for a review"],
    ["prompt-registry proposal merge 12", "publish it"],
  ],
  busy: "asking GitHub",
  async run(context, { values, positionals }) {
    const [action, text] = positionals;
    for (const option of ["sha", "method"] as const) {
      if (action !== "merge" && values[option] !== undefined) throw usageError(`--${option} goes with merge`);
    }
    if (action === "list" && text !== undefined) throw usageError(`unexpected argument ${show(text)}`);
    const number = action === "list" ? 0 : numberOf(text);
    const { repositoryOf } = await import("../propose.ts");
    const { githubProposals } = await import("../../github/proposals.ts");
    const proposals = await githubProposals((await repositoryOf(context)).options);
    if (action === "list") return await list(context, proposals);
    const { terminal, json, signal } = context;
    if (action === "close") {
      const closed = await proposals.close(number, { signal });
      if (json) terminal.json({ status: "closed", proposal: closed });
      else terminal.out(`#${number} closed: ${closed.title}\n`);
      return undefined;
    }
    const method = values.method as MergeMethod | undefined;
    const { merged, ...proposal } = await proposals.merge(number, { sha: values.sha, method, signal });
    if (json) terminal.json({ status: "merged", commit: merged, proposal });
    else terminal.out(`#${number} merged: ${proposal.title}\n`);
    return undefined;
  },
});

function numberOf(text: string | undefined): number {
  if (text === undefined) throw usageError("missing NUMBER");
  const digits = /^#?([1-9]\d{0,8})$/.exec(text)?.[1];
  if (digits === undefined) {
    throw new RegistryError("INVALID", `${show(text)} is no number of a pull request`, { field: "arguments" });
  }
  return Number(digits);
}

async function list({ terminal, json, signal }: Context, proposals: Proposals): Promise<undefined> {
  const found = await proposals.list({ signal });
  if (json) {
    terminal.json({ base: await proposals.base(), proposals: found });
    return undefined;
  }
  printRows(
    terminal,
    ["NUMBER", "TITLE", "BY", "UPDATED", "COMMIT"],
    found.map(({ number, title, author, updatedAt, sha, draft }: Proposal) => [
      ["cyan", `#${number}`],
      draft ? `${title} (draft)` : title,
      author,
      shortTime(updatedAt),
      sha.slice(0, 12),
    ]),
  );
  if (found.length === 0) terminal.note("nothing is proposed");
  return undefined;
}
