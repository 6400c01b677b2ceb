import type { Right } from "../server/types.ts";
import type { Client } from "./client.ts";
import type { Tools } from "./tools.ts";

/** One rule of the protocol. */
export interface Check {
  /** Never changes its meaning. */
  readonly id: string;
  /** What must hold, in one line. */
  readonly rule: string;
  /** The section of docs/protocol.md that says so. */
  readonly section: string;
  /** The rights that it takes on the prefix; `admin` has them all. Without any, it only reads. */
  readonly rights?: readonly Right[];
  /** Needs the second token. */
  readonly limited?: true;
  /** Throws a {@link Violation} where the server breaks the rule, and a {@link Skip} where it can't be told. */
  run(tools: Tools): Promise<void>;
}

export interface CheckResult {
  readonly id: string;
  readonly rule: string;
  readonly section: string;
  readonly status: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly detail?: string;
  /** Milliseconds. */
  readonly duration: number;
}

export interface ConformanceReport {
  readonly url: string;
  readonly ok: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What it left at the server: everything below this name. Absent where nothing was written. */
  readonly left?: string;
  readonly results: readonly CheckResult[];
}

export interface ConformanceOptions {
  /** Of somebody with all rights on the prefix; what it may not do is skipped. Default: no credentials. */
  readonly token?: string | undefined;
  /** Of somebody who may not read the prefix. Default: the checks that need one are skipped. */
  readonly limitedToken?: string | undefined;
  /** Everything is written below `PREFIX/conformance-…`. Default: `conformance-…`. */
  readonly prefix?: string | undefined;
  /** Only checks whose id has this text, or matches it with `*` for any characters. */
  readonly only?: string | undefined;
  /** Leave out every check that writes. */
  readonly readOnly?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that one reply, and a third of which a change on its way to the feed, may take. Default 30,000. */
  readonly timeout?: number | undefined;
  /** Told of each result as it is known. */
  readonly onResult?: ((result: CheckResult) => void) | undefined;
}

/** The server breaks the rule. */
export class Violation extends Error {}

/** Whether the rule holds can't be told here. */
export class Skip extends Error {}

/** What the checks of a run share. */
export interface Run {
  readonly client: Client;
  readonly limited: Client | undefined;
  readonly nobody: Client;
  readonly root: string;
  readonly patience: number;
}
