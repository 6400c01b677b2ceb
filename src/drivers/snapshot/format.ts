import { createHash } from "node:crypto";
import { openStored } from "../../document.ts";
import type { Head, HeadState, StoredDocument, Timestamp } from "../../driver.ts";
import { RegistryError, show } from "../../errors.ts";
import { isName, type PromptName } from "../../names.ts";
import { isVersion, type Version } from "../../semver.ts";

const FORMAT = "prompt-registry.snapshot/1";

/** A prompt in a snapshot: the head as it was, and those of its versions that were asked for. */
export interface SnapshotPrompt {
  readonly name: PromptName;
  readonly state: HeadState;
  readonly documents: readonly StoredDocument[];
}

export interface Snapshot {
  readonly createdAt: Timestamp;
  /** Where it came from: kind and location of a storage; never a secret. */
  readonly source: string;
  readonly prompts: readonly SnapshotPrompt[];
}

/**
 * One line that says what the file is, with the digest of all the others; then one line a prompt, in byte order of names.
 * Documents stand in it as they are stored, seals included, so each also vouches for itself.
 */
export function formatSnapshot({ createdAt, source, prompts }: Snapshot): string {
  const sorted = [...prompts].sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines = sorted.map(({ name, state, documents }) => {
    const versions = documents.map(({ version, text }) => ({ version, text }));
    return `${JSON.stringify({ name, ...state, versions })}\n`;
  });
  const body = lines.join("");
  const header = { format: FORMAT, createdAt, source, prompts: prompts.length, digest: sha256Text(body) };
  return `${JSON.stringify(header)}\n${body}`;
}

/**
 * @param where for messages
 * @throws RegistryError CORRUPT for a file that is damaged in any byte; UNSUPPORTED for one of a later version
 */
export function parseSnapshot(text: string, where: string): Snapshot {
  const bad = (problem: string) =>
    new RegistryError("CORRUPT", `the snapshot ${where} is damaged: ${problem}; write it again`, { path: where });
  const end = text.indexOf("\n") + 1;
  const header = parseLine(text.slice(0, end), bad);
  const { format, createdAt, source, prompts, digest } = header;
  if (typeof format !== "string" || !format.startsWith("prompt-registry.snapshot/")) {
    throw bad("its first line does not say that it is a snapshot");
  }
  if (format !== FORMAT) {
    throw new RegistryError("UNSUPPORTED", `the snapshot ${where} is of a later version (${show(format)}); update`, {
      path: where,
    });
  }
  const body = text.slice(end);
  if (digest !== sha256Text(body)) throw bad("its bytes do not match its digest");
  if (typeof createdAt !== "string" || Number.isNaN(Date.parse(createdAt)) || typeof source !== "string") {
    throw bad("its first line is not complete");
  }
  const lines = body.split("\n").slice(0, -1);
  if (lines.length !== prompts) throw bad("it does not hold as many prompts as it says");
  return { createdAt, source, prompts: lines.map((line) => promptOf(parseLine(line, bad), bad)) };
}

type Bad = (problem: string) => RegistryError;

function parseLine(line: string, bad: Bad): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw bad("a line of it is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("a line of it is not an object");
  return value as Record<string, unknown>;
}

function promptOf(line: Record<string, unknown>, bad: Bad): SnapshotPrompt {
  const { name, head, revision, latest, versions } = line;
  if (typeof name !== "string" || !isName(name)) throw bad(`${show(name)} is no name`);
  if (typeof head !== "object" || head === null || !Array.isArray(versions)) throw bad(`${name} is not complete`);
  if (revision !== null && typeof revision !== "string") throw bad(`the head of ${name} has no revision`);
  const { labels, yanked } = head as Partial<Head>;
  if (typeof labels !== "object" || typeof yanked !== "object") throw bad(`the head of ${name} is not complete`);
  const documents = versions.map((one: unknown): StoredDocument => {
    const { version, text } = (one ?? {}) as Record<string, unknown>;
    if (typeof version !== "string" || !isVersion(version) || typeof text !== "string") {
      throw bad(`a version of ${name} is not complete`);
    }
    const document = Object.freeze({ name, version, text });
    // Throws CORRUPT by itself, naming the version.
    openStored(text, document);
    return document;
  });
  const state: HeadState = Object.freeze({
    head: Object.freeze(head as Head),
    revision,
    ...(typeof latest === "string" ? { latest: latest as Version } : {}),
  });
  return { name, state, documents };
}

function sha256Text(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
