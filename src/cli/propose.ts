import type { CheckedConfig } from "../config-schema.ts";
import { openStored } from "../document.ts";
import type { StorageDriver } from "../driver.ts";
import type { GithubOptions } from "../drivers/github/index.ts";
import { isRegistryError, RegistryError } from "../errors.ts";
import type { ProposalText } from "../github/proposal-text.ts";
import type { Proposal } from "../github/proposals.ts";
import type { Proposing } from "../github/proposing.ts";
import { type Label, type PromptName, parseLabel, parseName } from "../names.ts";
import { diffPrompts } from "../registry/diff.ts";
import type { LabelOptions } from "../registry/pointers.ts";
import { Prompt } from "../registry/prompt.ts";
import type { StoreRequest } from "../registry/request.ts";
import type { PromptRegistry } from "../registry.ts";
import { compareVersions, isPrerelease, parseVersion, type Version } from "../semver.ts";
import type { Context } from "./command.ts";
import { configuredFor } from "./configured.ts";
import { Forecast } from "./forecast.ts";

/** The repository that a call works with, and registries over it. */
export interface Repository {
  readonly options: GithubOptions;
  /** A registry over this in place of the storage; without layers that could keep or copy what is only proposed. */
  open(driver: StorageDriver): Promise<PromptRegistry>;
}

/** @throws RegistryError UNSUPPORTED for a storage that is no repository of GitHub's */
export async function repositoryOf({ io, storage }: Context): Promise<Repository> {
  const { githubIn, openRegistry } = await import("../config.ts");
  const config: CheckedConfig = await configuredFor({ io, storage });
  const place = config.storage;
  if (place?.backend !== "github" || config.route !== undefined || config.mirror !== undefined) {
    const problem = place?.backend === "github" ? "route and mirror write elsewhere, too" : "this storage has none";
    throw new RegistryError("UNSUPPORTED", `proposals are pull requests of one GitHub repository, and ${problem}`, {
      field: "storage",
    });
  }
  const { author, policy, prefix, readonly } = config;
  const user = io.env.LOGNAME || io.env.USER || io.env.USERNAME;
  return {
    options: githubIn(place, io.cwd),
    open: (driver) =>
      openRegistry(
        {
          storage: place,
          ...(author === undefined ? {} : { author }),
          ...(policy === undefined ? {} : { policy }),
          ...(prefix === undefined ? {} : { prefix }),
          ...(readonly === undefined ? {} : { readonly }),
        },
        {
          ...{ cwd: io.cwd, env: {}, configFile: false, defaultPolicy: true },
          ...(user === undefined ? {} : { defaultAuthor: user }),
          wrapStorage: (opened) => {
            void opened.close();
            return driver;
          },
        },
      ),
  };
}

/** What is proposed, and how to tell whether the open proposal says the same already. */
interface Wanted {
  readonly branch: string;
  readonly run: (registry: PromptRegistry) => Promise<{ readonly ref: string }>;
  readonly isThere: (base: PromptRegistry, proposed: PromptRegistry) => Promise<boolean>;
  readonly text: (base: PromptRegistry, made: Proposing) => Promise<ProposalText>;
}

/** One way for all proposals: the commit first, then the pull request, so that a second run ends what broke off. */
async function propose(context: Context, repository: Repository, wanted: Wanted): Promise<undefined> {
  const { signal } = context;
  const { githubProposals } = await import("../github/proposals.ts");
  const { proposing } = await import("../github/proposing.ts");
  const { github } = await import("../drivers/github/index.ts");
  const { options } = repository;
  const reading = { ...options, create: false };
  const proposals = await githubProposals(options);
  const base = await repository.open(await github(reading));
  try {
    const there = await proposals.find(wanted.branch, { signal });
    if (there !== undefined && (await proposals.isFresh(wanted.branch, { signal }))) {
      const proposed = await repository.open(await github({ ...reading, branch: wanted.branch }));
      const isThere = await wanted.isThere(base, proposed).finally(() => proposed.close());
      if (isThere) return report(context, "unchanged", there);
    }
    const made = await proposing(options, wanted.branch);
    const registry = await repository.open(made.driver);
    try {
      const { ref } = await wanted.run(registry);
      if (made.commit() === undefined) return nothing(context, ref);
      const text = await wanted.text(base, made);
      const { proposal, status } = await proposals.submit(wanted.branch, text, { signal });
      return report(context, status, { ...proposal, sha: made.commit() ?? proposal.sha });
    } finally {
      await registry.close();
    }
  } finally {
    await base.close();
  }
}

function nothing({ terminal, json }: Context, ref: string): undefined {
  if (json) terminal.json({ status: "unchanged", ref });
  else terminal.out(`${ref} unchanged, nothing to propose\n`);
  return undefined;
}

function report(
  { terminal, json }: Context,
  status: "opened" | "updated" | "unchanged",
  proposal: Proposal,
): undefined {
  if (json) terminal.json({ status, proposal });
  else terminal.out(`#${proposal.number} ${status}: ${proposal.title}\n${proposal.url}\n`);
  terminal.hint(`\`prompt-registry proposal merge ${proposal.number}\` merges it`);
  return undefined;
}

/** `push --propose` */
export async function proposePush(context: Context, request: StoreRequest): Promise<undefined> {
  const { signal } = context;
  const name = parseName(request.name);
  const version = request.version === undefined ? undefined : parseVersion(request.version);
  const repository = await repositoryOf(context);
  const { publishBranch, publishText } = await import("../github/proposal-text.ts");
  const labels = request.labels ?? [];
  return await propose(context, repository, {
    branch: publishBranch(name, version),
    run: (registry) => registry.storePrompt(request, { signal }),
    async isThere(base, proposed) {
      const next = await new Forecast(base, signal).store(request);
      const prompt = await lookedUp(proposed.getPrompt({ name, version: next.version }, { status: true, signal }));
      const isSame = prompt?.text === request.text && prompt.message === request.message;
      return isSame && labels.every((label) => prompt.labels?.includes(label as Label) === true);
    },
    async text(base, made) {
      const document = made.document();
      // Without one, only labels move, on to a version that is there.
      const prompt =
        document === undefined ? await base.getPrompt(await sameText(base, request, signal)) : promptOf(document);
      const before = await previousOf(base, name, prompt.version, signal);
      return publishText(prompt, before === undefined ? undefined : await diffPrompts(before, prompt), labels);
    },
  });
}

/** `label --propose`; `target` is what the label is put on, `undefined` to remove it. */
export async function proposeLabel(
  context: Context,
  nameText: string,
  labelText: string,
  target: string | undefined,
  options: LabelOptions,
): Promise<undefined> {
  const { signal } = context;
  const [name, label] = [parseName(nameText), parseLabel(labelText)];
  const repository = await repositoryOf(context);
  const text = await import("../github/proposal-text.ts");
  const at = (registry: PromptRegistry, selector: string) =>
    lookedUp(registry.getPrompt(`${name}@${selector}`, { signal }));
  return await propose(context, repository, {
    branch: text.labelBranch(name, label),
    async run(registry) {
      const { version } =
        target === undefined
          ? await registry.removeLabel(name, label, options)
          : await registry.setLabel(name, label, target, options);
      return { ref: `${name} ${label}${version === undefined ? "" : ` -> ${version}`}` };
    },
    async isThere(base, proposed) {
      const [wanted, shown] = [target === undefined ? undefined : await at(base, target), await at(proposed, label)];
      return wanted?.version === shown?.version;
    },
    async text(base) {
      const [to, from] = [target === undefined ? undefined : await at(base, target), await at(base, label)];
      const diff = to === undefined || from === undefined ? undefined : await diffPrompts(from, to);
      return text.labelText(name, label, options.message, to, diff, from?.version);
    },
  });
}

async function sameText(base: PromptRegistry, request: StoreRequest, signal: AbortSignal) {
  const { version } = await new Forecast(base, signal).store(request);
  return { name: request.name, version };
}

function promptOf({ name, version, text }: { name: PromptName; version: Version; text: string }): Prompt {
  const opened = openStored(text, { name, version });
  if (opened.kind !== "document") throw new RegistryError("INTERNAL", `${name}@${version} is no document`, { name });
  return new Prompt(opened, { name, version, source: "github", fetchedAt: Date.now() });
}

/** What a reviewer compares with: the release before it, else whatever there is. */
async function previousOf(base: PromptRegistry, name: PromptName, version: Version, signal: AbortSignal) {
  const all = await base
    .listVersions(name, { signal })
    .all()
    .catch((error: unknown) => {
      if (isRegistryError(error, "NOT_FOUND")) return [];
      throw error;
    });
  const others = all.filter((entry) => entry.yanked === undefined && entry.version !== version);
  const below = others.filter((entry) => compareVersions(entry.version, version) < 0);
  const before = below.find((entry) => !isPrerelease(entry.version)) ?? below[0] ?? others[0];
  if (before === undefined) return undefined;
  return await lookedUp(base.getPrompt({ name, version: before.version }, { signal }));
}

async function lookedUp(prompt: Promise<Prompt>): Promise<Prompt | undefined> {
  return await prompt.catch((error: unknown) => {
    if (isRegistryError(error, "NOT_FOUND")) return undefined;
    throw error;
  });
}
