import type { Problem } from "./types.ts";

/**
 * Why a request did not do what it was for. Problems of the server are believed, statuses alone are not: a 404 of some
 * proxy says nothing about the registry.
 */
export class Failure extends Error {
  /** `network`: no reply; `foreign`: a reply that is not the server's own. */
  readonly kind: "problem" | "network" | "foreign";
  readonly status: number;
  readonly problem: Problem | undefined;
  /** Seconds. */
  readonly retryAfter: number | undefined;
  /** As `outcome` of a problem. */
  readonly outcome: "temporary" | "unknown" | "final";

  constructor(
    kind: Failure["kind"],
    message: string,
    options: {
      readonly status?: number;
      readonly problem?: Problem;
      readonly retryAfter?: number | undefined;
      readonly outcome?: Failure["outcome"];
    } = {},
  ) {
    super(message);
    this.kind = kind;
    this.status = options.status ?? 0;
    this.problem = options.problem;
    this.retryAfter = options.retryAfter;
    this.outcome = options.problem?.outcome ?? options.outcome ?? "temporary";
  }

  get title(): string {
    if (this.isPolicy) return "The publish policy refuses this";
    if (this.status === 412) return "Somebody else was faster";
    if (this.status === 410) return "Removed";
    if (this.problem?.code === "INVALID") return "Not accepted";
    if (this.problem !== undefined) return this.problem.title;
    if (this.kind === "problem") return "Not found";
    return this.kind === "network" ? "The server can’t be reached" : "Not an answer of the registry";
  }

  get isPolicy(): boolean {
    return this.problem?.context?.field === "policy";
  }

  /** Nothing was found out about what was asked for; what was known before may still hold. */
  get isOutage(): boolean {
    return this.kind !== "problem" || this.status >= 500 || this.status === 429;
  }
}

const OUTCOMES: readonly unknown[] = ["temporary", "unknown", "final"];

export function isProblem(value: unknown): value is Problem {
  if (typeof value !== "object" || value === null) return false;
  const { type, title, status, detail, code, outcome } = value as Record<string, unknown>;
  return (
    [type, title, detail, code].every((field) => typeof field === "string") &&
    (type as string).startsWith("/problems/") &&
    typeof status === "number" &&
    OUTCOMES.includes(outcome)
  );
}

/** @param changes whether the request was to change something: then no reply means an unknown outcome */
export async function failureOf(reply: Response, changes: boolean): Promise<Failure> {
  const after = Number(reply.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(after) ? after : undefined;
  const body: unknown = await reply.json().catch(() => undefined);
  if (isProblem(body)) return new Failure("problem", body.detail, { status: body.status, problem: body, retryAfter });
  return new Failure("foreign", `Something between here and the registry answered with status ${reply.status}.`, {
    status: reply.status,
    retryAfter,
    outcome: changes ? "unknown" : "temporary",
  });
}

export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("foreign", error instanceof Error ? error.message : String(error));
}
