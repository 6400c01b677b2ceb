/**
 * What the parts of the server say to each other: the handler (protocol), access (who may do what), audit, and the
 * operations around it (limits, metrics, logs, the Node adapter). Nothing here does any work.
 */
import type { ErrorCode, RegistryError } from "../errors.ts";
import type { Label, PromptName } from "../names.ts";
import type { Version } from "../semver.ts";

/**
 * What a request may do to a resource. Each is a right of its own: none implies another, but `admin`, which has them all.
 *
 * - `read` documents, lists, history, feed
 * - `write` publish new versions
 * - `promote` move what callers resolve: labels, rollback and unpin, yank, deprecate
 * - `import` keep authors, times and history entries as they are given (copy, sync, restore)
 * - `admin` remove, restore, repair, tokens, audit
 */
export type Right = "read" | "write" | "promote" | "import" | "admin";

/** A right over the prompts below a prefix. */
export interface Grant {
  readonly right: Right;
  /** Whole segments: `support` covers `support` and `support/triage`, never `supporters`. Empty: every prompt. */
  readonly prefix: string;
  /** For `promote`: only these labels. Absent: every label that is not protected. A protected one must be named here. */
  readonly labels?: readonly Label[];
}

/** Who asks. */
export interface Principal {
  /** Stable and never reused, for the audit log: `token:ab12cd34`, `oidc:https://issuer#subject`, `anonymous`. */
  readonly id: string;
  /** Recorded as the author of what it changes. */
  readonly name: string;
  readonly grants: readonly Grant[];
}

/** What a route touches; an absent name stands for the whole registry. */
export interface Resource {
  readonly name?: PromptName;
  /** For `promote`. */
  readonly label?: Label;
}

export interface Access {
  /**
   * Tells who asks. Without credentials: the anonymous principal where one is configured.
   *
   * @throws RegistryError UNAUTHENTICATED for none, wrong, expired or revoked credentials; UNAVAILABLE where that can't be told
   */
  authenticate(request: AccessRequest): Promise<Principal>;
  /** The same without waiting, where an earlier answer still holds; `undefined` says: ask `authenticate`. Never throws. */
  remembered?(request: AccessRequest): Principal | undefined;
  /** Whether it may. Anything unknown is no. */
  allows(principal: Principal, right: Right, resource: Resource): boolean;
}

export interface AccessRequest {
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  /** Of the peer, as the host of the handler knows it. */
  readonly address: string | undefined;
}

/** One line of the audit log: a mutation that was asked for, or a denial. Never a body, never a secret. */
export interface AuditEntry {
  /** Principal id; absent where nobody could be told. */
  readonly who?: string;
  readonly name?: string;
  /** Route id, e.g. `versions.put`, `labels.put`, `commits.post`. */
  readonly action: string;
  readonly prompt?: string;
  readonly version?: string;
  readonly label?: string;
  readonly digest?: string;
  readonly from?: string;
  readonly to?: string;
  readonly address?: string;
  readonly requestId?: string;
  readonly outcome: "done" | "unchanged" | "refused" | "denied" | "failed" | "unknown";
  readonly code?: ErrorCode;
  /** For an override of a publish policy and the like. */
  readonly note?: string;
}

export interface AuditLog {
  /** Throws where the log can't be written now, so that the mutation is refused before it is tried. */
  ready(): Promise<void>;
  /** Durable when it resolves. Where it throws after a mutation, the reply is an error of unknown outcome. */
  append(entry: AuditEntry): Promise<void>;
  close(): Promise<void>;
}

/** What the host of the handler knows beyond the `Request`. */
export interface RequestInfo {
  readonly address?: string;
  /** Given to logs, audit and the reply as `X-Request-Id`. Default: made by the handler. */
  readonly requestId?: string;
  /**
   * The request target as it stands on the request line. Where it is given, it is what is checked and matched: a `Request`
   * has mended the path (`/a/../b` is `/b`) before anybody can refuse it.
   */
  readonly target?: string;
}

/** Told once per request, when its reply is known. */
export interface RequestEvent {
  readonly requestId: string;
  /** `GET /v1/prompts/{name}/-/versions/{version}`; `unmatched` where there is none. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly principal?: Principal;
  readonly code?: ErrorCode;
  /** Why it failed, with its causes: more than the reply says, and not for everybody. */
  readonly error?: RegistryError;
  readonly name?: string;
}

/** An answer that lies ready in memory. */
export interface ReadyAnswer {
  readonly status: number;
  /** Flat name, value, name, value, as `http.ServerResponse.writeHead` takes it. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | undefined;
}

/** Fetch-style handler: runs in any host that has `Request` and `Response`. */
export interface Handler {
  (request: Request, info?: RequestInfo): Promise<Response>;
  /**
   * The answer to a `GET` or `HEAD` of an exact version that lies ready in memory and that the caller may see, without any
   * promise; `undefined` says: call the handler. `target` is the request target as it stands on the request line.
   */
  ready(
    method: string,
    target: string,
    headers: { readonly [name: string]: string | string[] | undefined },
    info: RequestInfo,
  ): ReadyAnswer | undefined;
  /** Ends its event streams and what it does between requests. The registry stays open. */
  close?(): void;
}

/** A version that is about to be published. */
export interface Publication {
  readonly name: PromptName;
  readonly version: Version;
  /** The author's text. */
  readonly text: string;
  readonly author?: string;
  readonly message?: string;
  /** The highest release below it that is not yanked. */
  readonly previous?: { readonly version: Version; readonly text: string };
}

/** What was let through in spite of the policy. */
export interface PolicyOverride {
  /** Names of the rules; for the audit log. */
  readonly overridden: readonly string[];
}

/** Throws `INVALID` for what must not be published. */
export type PublishPolicy = (
  publication: Publication,
) => Promise<PolicyOverride | undefined> | Promise<void> | PolicyOverride | undefined | void;
