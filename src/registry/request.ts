import {
  checkAuthorText,
  checkNote,
  checkText,
  isSealed,
  MAX_AUTHOR,
  MAX_MESSAGE,
  MAX_STORED_BYTES,
  openStored,
  readSeal,
  type SealedDocument,
} from "../document.ts";
import { RegistryError, show } from "../errors.ts";
import type { FrontMatterSplit } from "../frontmatter.ts";
import { type Label, type PromptName, parseLabel, parseName } from "../names.ts";
import { checkAllowance } from "../policy/enforce.ts";
import type { Allowance } from "../policy/types.ts";
import { type Bump, parseVersion, type Version } from "../semver.ts";

export interface StoreRequest {
  readonly name: string;
  /** Exact version; or see `bump`. One of the two, unless `text` is a sealed document, which brings its own. */
  readonly version?: string | undefined;
  /**
   * Choose the version after the highest one there is, removed ones included; `1.0.0` for a new prompt. A text equal to
   * that of the highest version is `unchanged` and makes no version.
   */
  readonly bump?: Bump | undefined;
  /** The author's text, or a whole sealed document, which is taken as it is under its own name and version. */
  readonly text: string;
  /** At most 200 characters. */
  readonly author?: string | undefined;
  /** At most 2000 characters. */
  readonly message?: string | undefined;
  /** Labels to put on this version, with it. */
  readonly labels?: readonly string[] | undefined;
  /**
   * What `latest` must select now (`null`: nothing), else `CONFLICT`. Of several writers that expect the same, one wins.
   * Writers that expect nothing are not held up, and are seen only if they came before the look.
   */
  readonly expect?: string | null | undefined;
  /** Lift a pin that a rollback set, so that `latest` follows the highest version again. */
  readonly unpin?: boolean | undefined;
  /** Publish in spite of these rules of the policy, for this reason; both go into the message, and so into the history. */
  readonly allow?: Allowance | undefined;
}

/** A checked request. Every field is always there, so that all of them have one shape: a batch has thousands. */
export interface Wanted {
  readonly name: PromptName;
  readonly wantedVersion: Version | undefined;
  readonly bump: Bump | undefined;
  readonly text: string;
  /** Where the front matter of an author's text is. */
  readonly split: FrontMatterSplit | "none" | undefined;
  readonly sealed: SealedDocument | undefined;
  readonly author: string | undefined;
  readonly message: string | undefined;
  readonly labels: readonly Label[];
  /** `null`: that there is none. */
  readonly expect: Version | null | undefined;
  readonly unpin: boolean;
  readonly allow: Allowance | undefined;
  /** Planning it needs the head. */
  readonly needsHead: boolean;
}

const BUMPS: readonly Bump[] = ["major", "minor", "patch"];

/** Checks everything about a request before anything is read or written; errors name the field below `path`. */
export function checkRequest(request: StoreRequest, path = ""): Wanted {
  try {
    return check(request);
  } catch (error) {
    if (path === "" || !(error instanceof RegistryError)) throw error;
    const { outcome, context } = error;
    throw new RegistryError(error.code, `${path.slice(0, -1)}: ${error.message}`, {
      ...context,
      outcome,
      field: `${path}${context.field ?? ""}`,
      cause: error,
    });
  }
}

function check(request: StoreRequest): Wanted {
  const name = parseName(request.name);
  // The limit of an author's text is checked when it is sealed; a sealed one brings its seal along.
  checkText(request.text, MAX_STORED_BYTES);
  checkNote("author", request.author, MAX_AUTHOR);
  checkNote("message", request.message, MAX_MESSAGE);
  if (request.labels !== undefined && !Array.isArray(request.labels)) {
    throw new RegistryError("INVALID", `labels ${show(request.labels)} must be a list`, { field: "labels", name });
  }
  const labels = [...new Set((request.labels ?? []).map(parseLabel))];
  const expect =
    request.expect === undefined || request.expect === null ? request.expect : parseVersion(request.expect);
  const unpin = request.unpin === true;
  const sealed = isSealed(request.text) ? takeSealed(name, request) : undefined;
  let split: Wanted["split"];
  const version = sealed?.version ?? (request.version === undefined ? undefined : parseVersion(request.version));
  if (sealed === undefined) {
    split = checkAuthorText(request.text);
    if (version === undefined && request.bump === undefined) {
      throw new RegistryError("INVALID", `${name}: give a version, or a bump (${BUMPS.join(", ")})`, {
        field: "version",
        name,
      });
    }
    if (version !== undefined && request.bump !== undefined) {
      throw new RegistryError("INVALID", `${name}: give a version or a bump, not both`, { field: "bump", name });
    }
    if (request.bump !== undefined && !BUMPS.includes(request.bump)) {
      throw new RegistryError("INVALID", `bump ${show(request.bump)} must be one of ${BUMPS.join(", ")}`, {
        field: "bump",
        name,
      });
    }
  }
  return {
    name,
    wantedVersion: version,
    bump: sealed === undefined ? request.bump : undefined,
    text: sealed === undefined ? request.text : authorText(sealed),
    split,
    sealed,
    author: request.author,
    message: request.message,
    labels,
    expect,
    unpin,
    allow: request.allow === undefined ? undefined : checkAllowance(request.allow),
    needsHead: labels.length > 0 || expect !== undefined || unpin,
  };
}

function authorText(document: SealedDocument): string {
  const opened = openStored(document.text, document);
  if (opened.kind === "document") return opened.text;
  throw new RegistryError(
    "INVALID",
    `${document.name}@${document.version}: this is the mark of a removed version, not a document`,
    {
      field: "text",
    },
  );
}

/** A sealed text is taken as it is, but only under its own name and version. */
export function takeSealed(name: PromptName, request: Pick<StoreRequest, "text" | "version">): SealedDocument {
  const own = readSeal(request.text);
  if (own.name !== name) {
    throw new RegistryError(
      "INVALID",
      `this text is sealed as ${own.name}@${own.version}; it can't be stored as ${name}`,
      {
        field: "name",
        name,
      },
    );
  }
  if (request.version !== undefined && parseVersion(request.version) !== own.version) {
    throw new RegistryError(
      "INVALID",
      `this text is sealed as ${own.name}@${own.version}; it can't be stored as version ${show(request.version)}`,
      { field: "version", name },
    );
  }
  return own;
}
