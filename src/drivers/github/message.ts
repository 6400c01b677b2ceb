import { hash, randomUUID } from "node:crypto";
import { openStored } from "../../document.ts";
import type { Change, Commit, Outcome } from "../../driver.ts";
import { cut } from "../../errors.ts";

export const TRAILER = "Prompt-Registry-Commit-Id";
const ATTEMPT = "Prompt-Registry-Attempt";
const MAX_LINES = 50;
const MAX_SUBJECT = 100;

export interface Author {
  readonly name: string;
  readonly email: string;
  readonly date?: string;
}

export interface CommitText {
  readonly subject: string;
  readonly body: string;
  /** The one author of all of it, at the one time; else whoever the token belongs to. */
  readonly author: Author | undefined;
}

/**
 * For people. A commit id is the caller's, and several Git commits may have it: a large batch, and what is planned again, are
 * sent under one. What could not stand in a line is hashed.
 */
export function trailerOf(id: string): string {
  return `${TRAILER}: ${/^[\w.:-]{1,100}$/.test(id) ? id : hash("sha256", id)}`;
}

/** A line that no other commit has, by which the one with it is recognised where its id is not known. */
export function attemptLine(): string {
  return `${ATTEMPT}: ${randomUUID()}`;
}

/** What of several commits is done by one Git commit, in words. */
export function describe(
  commits: readonly { readonly commit: Commit; readonly outcomes: readonly Outcome[] }[],
): CommitText {
  const done: { readonly commit: Commit; readonly change: Change }[] = [];
  for (const { commit, outcomes } of commits) {
    for (const [i, change] of commit.changes.entries())
      if (outcomes[i]?.status === "done") done.push({ commit, change });
  }
  const lines = done.flatMap(({ change }) => actions(change).map((action) => `${change.name}: ${action}`));
  const subject =
    lines.length === 1
      ? (lines[0] as string)
      : summary(
          done.map((d) => d.change),
          lines.length,
        );
  const people = done.flatMap(authorsOf);
  const names = new Set(people.map(({ by }) => by ?? ""));
  const [first] = people;
  // One of which nothing is done has no part in it, neither its words nor its id.
  const doing = [...new Set(done.map(({ commit }) => commit))];
  const isDone = new Set(done.map(({ change }) => change));
  const messages = [...new Set(doing.flatMap((commit) => messagesOf(commit, isDone)))];
  const ids = [...new Set(doing.map(({ id }) => trailerOf(id)))];
  const listed = lines.length > 1 ? lines.slice(0, MAX_LINES).concat(lines.length > MAX_LINES ? ["…"] : []) : [];
  const several =
    names.size > 1 ? [...names].filter((n) => n !== "").map((n) => `Prompt-Registry-Author: ${oneLine(n)}`) : [];
  const parts = [
    messages.map(clean).join("\n\n"),
    listed.join("\n"),
    [...several.slice(0, MAX_LINES), ...ids].join("\n"),
  ];
  const last = people
    .map(({ at }) => at)
    .sort()
    .at(-1);
  return {
    subject: cut(oneLine(subject), MAX_SUBJECT),
    body: parts.filter((part) => part.trim() !== "").join("\n\n"),
    author: names.size === 1 && first?.by !== undefined ? authorOf(first.by, last) : undefined,
  };
}

function actions({ add = [], head, guard, remove = [], restore = [] }: Change): string[] {
  const told = [
    ...add.map(({ version }) => `publish ${version}`),
    ...restore.map(({ version }) => `restore ${version}`),
  ];
  const seen = new Set<string>();
  for (const { action, label, from, to } of head?.entries ?? []) {
    const what = [action, label, to ?? from].filter((part) => part !== undefined).join(" ");
    if (action !== "restore") told.push(what);
    if (action === "remove") seen.add(String(from ?? to));
  }
  for (const { version } of remove) if (!seen.has(version)) told.push(`remove ${version}`);
  if (told.length === 0) told.push(head !== undefined || guard !== undefined ? "change the head" : "nothing");
  return told;
}

function summary(changes: readonly Change[], count: number): string {
  const names = new Set(changes.map(({ name }) => name));
  const only = names.size === 1 ? [...names][0] : undefined;
  const isPublish = changes.every(
    ({ add = [], head, remove, restore }) => add.length > 0 && !head && !remove && !restore,
  );
  const what = isPublish ? `publish ${count} versions` : `${count} changes`;
  return only === undefined ? `${what} of ${names.size} prompts` : `${only}: ${what}`;
}

interface Person {
  readonly by: string | undefined;
  readonly at: string;
}

function authorsOf({ commit, change }: { readonly commit: Commit; readonly change: Change }): Person[] {
  const documents = [...(change.add ?? []), ...(change.restore ?? [])];
  const people: Person[] = documents.map((document) => {
    try {
      const { author, createdAt } = openStored(document.text, document);
      return { by: author ?? commit.by, at: createdAt ?? commit.at };
    } catch {
      return { by: commit.by, at: commit.at };
    }
  });
  for (const { by, at } of change.head?.entries ?? []) people.push({ by: by ?? commit.by, at });
  return people.length === 0 ? [{ by: commit.by, at: commit.at }] : people;
}

function messagesOf(commit: Commit, isDone: ReadonlySet<Change>): string[] {
  const found = commit.message === undefined ? [] : [commit.message];
  for (const change of commit.changes) {
    if (!isDone.has(change)) continue;
    const { add = [], head } = change;
    for (const document of add) {
      try {
        const { message } = openStored(document.text, document);
        if (message !== undefined) found.push(message);
      } catch {}
    }
    for (const { message } of head?.entries ?? []) if (message !== undefined) found.push(message);
  }
  return found.slice(0, MAX_LINES);
}

const MAX_MESSAGE = 2000;

/** Without what would read as a trailer of ours, or could not be sent. */
function clean(message: string): string {
  return cut(message.replaceAll("\0", "").replaceAll(`${TRAILER}:`, `${TRAILER} `).trim(), MAX_MESSAGE);
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
}

/** Git wants an address; one that is not known must not be somebody's. */
const NOBODY = "unknown@prompt-registry.invalid";

/** `Ada <ada@example.org>`, an address alone, or a name. */
export function authorOf(by: string, at: string | undefined): Author | undefined {
  const match = /^([^<>]*)<([^<>\s@]+@[^<>\s@]+)>$/.exec(by.trim());
  const isAddress = /^[^<>\s@]+@[^<>\s@]+$/.test(by.trim());
  const email = match?.[2] ?? (isAddress ? by.trim() : NOBODY);
  const name = oneLine((match?.[1] ?? by).replace(/[<>]/g, " "));
  if (name === "" || /^[.,:;"'\\]+$/.test(name)) return undefined;
  // Git counts seconds since 1970, and GitHub refuses what is far off.
  const time = at === undefined ? Number.NaN : Date.parse(at);
  const date =
    time >= 0 && time < Date.UTC(2100, 0) ? { date: new Date(time).toISOString().replace(/\.\d+Z$/, "Z") } : {};
  return { name, email, ...date };
}
