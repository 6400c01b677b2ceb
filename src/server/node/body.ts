import type { IncomingMessage } from "node:http";
import { RegistryError } from "../../errors.ts";
import { StatusError } from "../protocol/problem.ts";
import { isCutOff } from "./given-up.ts";

export interface BudgetOptions {
  /** Bytes of all that are in memory now. */
  readonly most: number;
  /** Bytes of those of one caller. */
  readonly share: number;
  /** How many of one caller may be waited for. Default: any number. */
  readonly awaited?: number;
}

interface Held {
  bytes: number;
  awaited: number;
  places: number;
}

/** Room for one body or answer. */
export interface Room {
  take(bytes: number): boolean;
  /** It is about to be waited for; `false`: for too many of this caller already. */
  wait(): boolean;
  /** It is there. */
  arrived(): void;
  close(): void;
}

/** Bytes that are held for callers: bodies that come in, or answers that go out. No caller has all of them. */
export class ByteBudget {
  readonly #most: number;
  readonly #share: number;
  readonly #awaited: number;
  readonly #held = new Map<string, Held>();
  #used = 0;

  constructor({ most, share, awaited = Number.POSITIVE_INFINITY }: BudgetOptions) {
    this.#most = most;
    this.#share = share;
    this.#awaited = awaited;
  }

  open(caller: string): Room {
    const held = this.#held.get(caller) ?? { bytes: 0, awaited: 0, places: 0 };
    held.places++;
    this.#held.set(caller, held);
    let mine = 0;
    let isAwaited = false;
    let isOpen = true;
    const arrived = () => {
      if (isAwaited) held.awaited--;
      isAwaited = false;
    };
    return {
      take: (bytes) => {
        if (!isOpen || this.#used + bytes > this.#most || held.bytes + bytes > this.#share) return false;
        this.#used += bytes;
        held.bytes += bytes;
        mine += bytes;
        return true;
      },
      wait: () => {
        if (held.awaited >= this.#awaited) return false;
        held.awaited++;
        isAwaited = true;
        return true;
      },
      arrived,
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        arrived();
        this.#used -= mine;
        held.bytes -= mine;
        if (--held.places === 0) this.#held.delete(caller);
      },
    };
  }
}

export interface Body {
  readonly stream: ReadableStream<Uint8Array>;
  /** Why it is not taken: more than may come, or at a time when there is too much else. */
  readonly refused: () => "too_large" | "bodies" | "overloaded" | undefined;
  release(): void;
}

export function tooLarge(limit: number): StatusError {
  const detail = `the body is larger than ${limit} bytes; send less at a time`;
  return new StatusError(413, "INVALID", detail, { field: "body" });
}

function tooLate(): RegistryError {
  return new RegistryError("ABORTED", "the request was given up before it was complete");
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

/** So much of a body that nobody wants is still read, since a new connection costs both sides more. */
const SMALL = 64 * 2 ** 10;

/** Whether what is left of a request is not worth closing its connection for. Only of one that nobody has begun to read. */
export function isSmallRest(request: IncomingMessage): boolean {
  if (request.readableFlowing !== null) return false;
  return !hasBody(request) || (announced(request) ?? Number.POSITIVE_INFINITY) <= SMALL;
}

/** Milliseconds that a body may be on its way before its request counts as one that waits: most come with the next packet. */
const PATIENCE = 50;

export interface BodyOptions {
  readonly limit: number;
  readonly budget: ByteBudget;
  /** Whose share of the budget it is. */
  readonly caller: string;
  /** Told when somebody wants it who has to wait for it for longer than a moment. */
  readonly waiting: () => void;
  /** Told when it is there at last; `false`: it is too late for it. */
  readonly arrived: () => Promise<boolean>;
}

/**
 * The body as it is asked for: nothing is read before somebody wants it, so who is not let in fills no memory. It ends with
 * an error as soon as it is larger than `limit`.
 */
export function bodyOf(request: IncomingMessage, options: BodyOptions): Body {
  const { limit, budget, caller, waiting, arrived } = options;
  let seen = 0;
  const room = budget.open(caller);
  let over = false;
  let isWanted = false;
  let isLate = false;
  let patience: NodeJS.Timeout | undefined;
  let refused: ReturnType<Body["refused"]>;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const fail = (error: RegistryError) => {
    clearTimeout(patience);
    if (over) return;
    over = true;
    request.pause();
    controller.error(error);
  };
  const busy = (why: "bodies" | "overloaded") => {
    refused = why;
    fail(new RegistryError("UNAVAILABLE", "too many large requests at once; wait and try again"));
  };
  const late = () => {
    if (over || request.complete) return;
    if (!room.wait()) return busy("bodies");
    isLate = true;
    waiting();
  };
  request.pause();
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
        request.on("data", (chunk: Buffer) => {
          if (over) return;
          seen += chunk.length;
          if (seen > limit) {
            refused = "too_large";
            return fail(tooLarge(limit));
          }
          if (!room.take(chunk.length)) return busy("bodies");
          given.enqueue(chunk);
          request.pause();
        });
        request.on("end", async () => {
          clearTimeout(patience);
          if (over) return;
          if (isCutOff(request)) return fail(tooLate());
          room.arrived();
          if (isLate && !(await arrived())) return busy("overloaded");
          if (over) return;
          over = true;
          given.close();
        });
        const gone = () => fail(new RegistryError("ABORTED", "the client went away before its request was complete"));
        request.on("error", gone);
        request.on("close", () => {
          if (!request.complete) gone();
        });
      },
      pull() {
        if (!isWanted && !request.complete) patience = setTimeout(late, PATIENCE);
        isWanted = true;
        request.resume();
      },
      cancel() {
        clearTimeout(patience);
        over = true;
        request.pause();
      },
    },
    { highWaterMark: 0 },
  );
  const release = () => {
    // Whoever still wants it was answered already. What is left flows by: what follows on the connection stands behind it.
    if (!over) {
      over = true;
      clearTimeout(patience);
      controller.error(new RegistryError("ABORTED", "the request was answered before its body was read"));
    }
    room.close();
  };
  return { stream, refused: () => refused, release };
}
