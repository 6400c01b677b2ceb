import type { IncomingMessage } from "node:http";
import { RegistryError } from "../../errors.ts";
import { StatusError } from "../protocol/problem.ts";

/** Bytes of all bodies of a server that are in memory now. */
export class BodyBudget {
  readonly #most: number;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#most) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

export interface Body {
  readonly stream: ReadableStream<Uint8Array>;
  /** Set when more came than may come. */
  readonly refused: () => "too_large" | "bodies" | undefined;
  release(): void;
}

export function tooLarge(limit: number): StatusError {
  const detail = `the body is larger than ${limit} bytes; send less at a time`;
  return new StatusError(413, "INVALID", detail, { field: "body" });
}

/** The length that was announced, where one was. */
export function announced(request: IncomingMessage): number | undefined {
  const length = request.headers["content-length"];
  return length === undefined ? undefined : Number(length);
}

export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return request.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/**
 * The body as it is asked for: nothing is read before somebody wants it, so who is not let in fills no memory. It ends with
 * an error as soon as it is larger than `limit`.
 */
export function bodyOf(request: IncomingMessage, limit: number, budget: BodyBudget): Body {
  let seen = 0;
  let held = 0;
  let over = false;
  let refused: "too_large" | "bodies" | undefined;
  request.pause();
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const fail = (error: RegistryError) => {
          if (over) return;
          over = true;
          request.pause();
          controller.error(error);
        };
        request.on("data", (chunk: Buffer) => {
          if (over) return;
          seen += chunk.length;
          if (seen > limit) {
            refused = "too_large";
            return fail(tooLarge(limit));
          }
          if (!budget.take(chunk.length)) {
            refused = "bodies";
            return fail(new RegistryError("UNAVAILABLE", "too many large requests at once; wait and try again"));
          }
          held += chunk.length;
          controller.enqueue(chunk);
          request.pause();
        });
        request.on("end", () => {
          if (over) return;
          over = true;
          controller.close();
        });
        const gone = () => fail(new RegistryError("ABORTED", "the client went away before its request was complete"));
        request.on("error", gone);
        request.on("close", gone);
      },
      pull() {
        request.resume();
      },
      cancel() {
        over = true;
        request.pause();
      },
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    refused: () => refused,
    release() {
      budget.give(held);
      held = 0;
    },
  };
}
