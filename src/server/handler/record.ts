import { isRegistryError, RegistryError } from "../../errors.ts";
import { Denials } from "../audit/denials.ts";
import { statusOf } from "../protocol/problem.ts";
import type { AuditEntry, AuditLog, Principal } from "../types.ts";
import { Denied } from "./authorize.ts";
import type { Note } from "./context.ts";

/** A request as the audit log is told of it. */
export interface Recorded {
  readonly requestId: string;
  readonly action: string;
  readonly principal: Principal | undefined;
  readonly address: string | undefined;
  readonly note: Note;
  readonly parts: readonly Note[];
  /** What it changes may have been changed. */
  readonly done: boolean;
}

export function isDenial(error: RegistryError): boolean {
  return error instanceof Denied || error.code === "UNAUTHENTICATED";
}

export function outcomeOf(error: RegistryError): AuditEntry["outcome"] {
  if (isDenial(error)) return "denied";
  if (error.outcome === "unknown") return "unknown";
  return statusOf(error) < 500 ? "refused" : "failed";
}

/** Writes what was asked for and what became of it. */
export class Recorder {
  readonly #audit: AuditLog | undefined;
  readonly #denials: Denials;

  constructor(audit: AuditLog | undefined) {
    this.#audit = audit;
    this.#denials = new Denials((entry) => audit?.append(entry) ?? Promise.resolve());
  }

  /**
   * @param error what the request ended with
   * @throws RegistryError UNAVAILABLE where it could not be written; of unknown outcome unless surely nothing was changed
   */
  async write(of: Recorded, error?: RegistryError): Promise<void> {
    if (this.#audit === undefined) return;
    const { principal, address, requestId, action, note, parts } = of;
    const entries = (parts.length === 0 ? [{}] : parts).map((part): AuditEntry => {
      const own = { ...note, ...part };
      const outcome = own.outcome ?? (error === undefined ? "done" : outcomeOf(error));
      const code = own.code ?? (own.outcome === undefined ? error?.code : undefined);
      return {
        ...(principal === undefined ? {} : { who: principal.id, name: principal.name }),
        ...own,
        action,
        ...(address === undefined ? {} : { address }),
        requestId,
        outcome,
        ...(code === undefined ? {} : { code }),
      };
    });
    const audit = this.#audit;
    // Anybody can be turned away as often as he likes, and must not fill the log with it.
    const isStranger = principal === undefined || principal.id === "anonymous";
    const written = await Promise.allSettled(
      entries.map((entry) =>
        isStranger && entry.outcome === "denied" ? this.#denials.add(entry) : audit.append(entry),
      ),
    );
    const lost = written.find((one) => one.status === "rejected");
    if (lost === undefined) return;
    const mayBeDone = of.done || entries.some(({ outcome }) => outcome === "done" || outcome === "unknown");
    throw new RegistryError("UNAVAILABLE", "the audit log could not be written, so nobody vouches for the outcome", {
      outcome: mayBeDone ? "unknown" : "temporary",
      cause: lost.reason,
    });
  }

  /** The same of a request that failed. @returns what its caller is told */
  async fail(of: Recorded, error: RegistryError): Promise<RegistryError> {
    try {
      await this.write(of, error);
      return error;
    } catch (unwritten) {
      return isRegistryError(unwritten) ? unwritten : error;
    }
  }

  /** Writes what was only counted so far. */
  close(): void {
    this.#denials.close();
  }
}
