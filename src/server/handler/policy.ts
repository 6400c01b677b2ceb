import { openStored, type SealedDocument } from "../../document.ts";
import type { Change, Commit, ReadAnswer, StorageDriver, VersionEntry } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { around } from "../../layers/around.ts";
import type { PromptName } from "../../names.ts";
import { compareVersions, isPrerelease, type Version } from "../../semver.ts";
import type { Publication, PublishPolicy } from "../types.ts";

/**
 * Shows every document that a change is about to publish to the policy. What is there already was published once, and is
 * not asked about again.
 *
 * @returns the rules that it was published in spite of
 * @throws what the policy throws
 */
export async function askPolicy(
  driver: StorageDriver,
  policy: PublishPolicy,
  change: Change,
): Promise<readonly string[]> {
  const { name, add = [] } = change;
  if (add.length === 0) return [];
  const asks = add.map(({ version }) => ({ name, selector: { kind: "version" as const, version } }));
  const slots: ReadAnswer[] = [];
  const size = driver.capabilities.maxBatch;
  for (let i = 0; i < asks.length; i += size)
    slots.push(...(await driver.read(asks.slice(i, i + size), { fresh: true })));
  const fresh = add.filter((_, i) => slots[i]?.status === "absent");
  if (fresh.length === 0) return [];
  const releases = await releasesOf(driver, name);
  const rules = new Set<string>();
  for (const document of fresh) {
    const found = await policy(await publicationOf(driver, document, releases, fresh));
    for (const rule of found?.overridden ?? []) rules.add(rule);
  }
  return [...rules];
}

/** What the entry of a request says about it. */
export function overrideNote(rules: readonly string[]): string | undefined {
  return rules.length === 0 ? undefined : `policy.override ${rules.join(" ")}`;
}

async function releasesOf(driver: StorageDriver, name: PromptName): Promise<readonly Version[]> {
  const entries: VersionEntry[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 1000, ...(cursor === undefined ? {} : { cursor }) };
    const page = await driver.listVersions(name, query, { fresh: true });
    entries.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return entries.filter((e) => e.yanked === undefined && !isPrerelease(e.version)).map((e) => e.version);
}

async function publicationOf(
  driver: StorageDriver,
  document: SealedDocument,
  releases: readonly Version[],
  fresh: readonly SealedDocument[],
): Promise<Publication> {
  const { name, version, text, author, message } = opened(document) as Exclude<ReturnType<typeof opened>, undefined>;
  const others = fresh.filter((d) => !isPrerelease(d.version));
  const [below] = [...releases, ...others.map((d) => d.version)]
    .filter((other) => compareVersions(other, version) < 0)
    .sort((a, b) => compareVersions(b, a));
  const previous = below === undefined ? undefined : await textAt(driver, name, below, others);
  return {
    ...{ name, version, text },
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { message }),
    ...(previous === undefined ? {} : { previous: { version: previous.version, text: previous.text } }),
  };
}

async function textAt(driver: StorageDriver, name: PromptName, version: Version, fresh: readonly SealedDocument[]) {
  const own = fresh.find((d) => d.version === version);
  if (own !== undefined) return opened(own);
  const [answer] = await driver.read([{ name, selector: { kind: "version", version } }], { fresh: true });
  return answer?.status === "found" ? opened({ name, version, text: answer.document.text }) : undefined;
}

function opened(document: { readonly name: PromptName; readonly version: Version; readonly text: string }) {
  try {
    const { kind, ...rest } = openStored(document.text, document) as ReturnType<typeof openStored> & { text: string };
    const { name, version, author, message } = rest;
    return kind === "document" ? { name, version, author, message, text: rest.text } : undefined;
  } catch (error) {
    // A damaged version is no reason to hold up the one that replaces it.
    if (isRegistryError(error)) return undefined;
    throw error;
  }
}

/** The driver, where something is asked before each commit. */
export function withCheck(inner: StorageDriver, check: (commit: Commit) => Promise<void>): StorageDriver {
  return {
    ...around(inner),
    async commit(commit, op) {
      await check(commit);
      return inner.commit(commit, op);
    },
  } satisfies StorageDriver;
}
