/** Git's own object formats, as far as the fake reads them. Ids are never computed here: Git does that. */

export type ObjectType = "blob" | "tree" | "commit" | "tag";

export interface GitObject {
  readonly oid: string;
  readonly type: ObjectType;
  readonly content: Buffer;
}

/** `100644`, `100755`, `120000`, `040000` or `160000`. */
export type Mode = string;

export interface TreeEntry {
  readonly mode: Mode;
  readonly name: string;
  readonly oid: string;
}

export interface Person {
  readonly name: string;
  readonly email: string;
  /** UTC, in whole seconds: `2026-11-24T05:00:00Z`. */
  readonly date: string;
}

export interface CommitObject {
  readonly oid: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly message: string;
}

export const typeOfMode = (mode: Mode): "blob" | "tree" | "commit" =>
  mode === "040000" ? "tree" : mode === "160000" ? "commit" : "blob";

export function parseTree(content: Buffer): readonly TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(32, at);
    const nul = content.indexOf(0, space);
    entries.push({
      mode: content.toString("latin1", at, space).padStart(6, "0"),
      name: content.toString("utf8", space + 1, nul),
      oid: content.toString("hex", nul + 1, nul + 21),
    });
    at = nul + 21;
  }
  return entries;
}

export function parseCommit(oid: string, content: Buffer): CommitObject {
  const text = content.toString("utf8");
  const end = text.indexOf("\n\n");
  const headers = (end < 0 ? text : text.slice(0, end)).split("\n");
  const value = (key: string) => headers.find((header) => header.startsWith(`${key} `))?.slice(key.length + 1) ?? "";
  return {
    oid,
    tree: value("tree"),
    parents: headers.filter((header) => header.startsWith("parent ")).map((header) => header.slice(7)),
    author: parsePerson(value("author")),
    committer: parsePerson(value("committer")),
    message: end < 0 ? "" : text.slice(end + 2),
  };
}

function parsePerson(text: string): Person {
  const [, name = "", email = "", seconds = "0"] = /^(.*?) ?<([^>]*)> (\d+)/.exec(text) ?? [];
  return { name, email, date: wholeSeconds(Number(seconds) * 1000) };
}

/** GitHub tells times in whole seconds. */
export const wholeSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export interface NewCommit {
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly message: string;
}

export function encodeCommit(commit: NewCommit): string {
  const person = ({ name, email, date }: Person) =>
    `${bare(name)} <${bare(email)}> ${Math.floor(Date.parse(date) / 1000)} +0000`;
  const parents = commit.parents.map((parent) => `parent ${parent}\n`).join("");
  const { tree, author, committer, message } = commit;
  return `tree ${tree}\n${parents}author ${person(author)}\ncommitter ${person(committer)}\n\n${message}`;
}

/** What Git leaves out of names, since it would end the field. */
const bare = (text: string): string => text.replaceAll(/[<>\n\0]/g, "").trim();
