import type { Api } from "./api.ts";
import { asFailure } from "./failure.ts";
import { EventParser } from "./sse.ts";

export type FollowState = "off" | "connecting" | "live" | "polling" | "paused" | "unreachable";

/** `undefined`: anything may have changed. */
type Listener = (name: string | undefined) => void;

const LONGEST_WAIT = 30_000;
const POLL_EVERY = 10_000;
/** The server sends something every 15 s; a stream that is silent for longer is dead, and no error would tell. */
const SILENCE = 40_000;

/** Follows the feed of changes while the tab is seen, and goes on from where it was when it is seen again. */
export class Follower {
  readonly #api: Api;
  readonly #listener: Listener;
  readonly #onState: (state: FollowState) => void;
  #cursor: string | undefined;
  #stop: AbortController | undefined;
  #failed = 0;
  #streams = true;
  #isOver = false;

  constructor(api: Api, listener: Listener, onState: (state: FollowState) => void) {
    this.#api = api;
    this.#listener = listener;
    this.#onState = onState;
    document.addEventListener("visibilitychange", this.#onVisibility);
  }

  /** @param cursor from before anything of what is shown was read, so that no change falls in between */
  start(cursor: string | undefined): void {
    this.#cursor = cursor;
    this.#onVisibility();
  }

  close(): void {
    this.#isOver = true;
    this.#stop?.abort();
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  #onVisibility = (): void => {
    if (this.#isOver) return;
    if (document.hidden) {
      this.#stop?.abort();
      this.#stop = undefined;
      this.#onState("paused");
    } else if (this.#stop === undefined) {
      this.#stop = new AbortController();
      this.#failed = 0;
      void this.#run(this.#stop.signal);
    }
  };

  async #run(signal: AbortSignal): Promise<void> {
    this.#onState("connecting");
    while (!signal.aborted) {
      try {
        if (this.#streams) await this.#stream(signal);
        else await this.#poll(signal);
        if (!signal.aborted) await pause(jitter(this.#streams ? 1000 : POLL_EVERY), signal);
      } catch (error) {
        if (signal.aborted) return;
        const failure = asFailure(error);
        const code = failure.problem?.code;
        if (code === "UNAUTHENTICATED" || code === "FORBIDDEN") {
          this.#stop = undefined;
          return this.#onState("off");
        }
        if (code === "INVALID" && this.#cursor !== undefined) {
          // The feed does not go back that far, or the rights are others: begin anew and look at everything again.
          this.#cursor = undefined;
          this.#listener(undefined);
          continue;
        }
        // Too many streams, or something in between that lets none through: pages do as well.
        if (this.#streams && (failure.kind === "foreign" || this.#failed >= 2 || code === "RATE_LIMITED")) {
          this.#streams = false;
        }
        this.#failed++;
        this.#onState(failure.kind === "problem" ? "connecting" : "unreachable");
        const wait = Math.min(LONGEST_WAIT, 1000 * 2 ** Math.min(this.#failed, 5));
        await pause(jitter(Math.max(wait, (failure.retryAfter ?? 0) * 1000)), signal);
      }
    }
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const silent = new AbortController();
    const both = AbortSignal.any([signal, silent.signal]);
    let timer = setTimeout(() => silent.abort(), SILENCE);
    try {
      const body = await this.#api.changeStream(this.#cursor, both);
      const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        for (const { event, data, id } of parser.push(value)) {
          if (id !== "") this.#cursor = id;
          if (event === "ready") this.#reached("live");
          if (event === "change") this.#tell(data);
        }
      }
    } catch (error) {
      if (silent.signal.aborted && !signal.aborted) return;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    for (let isBehind = true; isBehind; ) {
      const hadCursor = this.#cursor !== undefined;
      const { items, cursor } = await this.#api.changes(this.#cursor, signal);
      isBehind = hadCursor && items.length > 0 && cursor !== undefined && cursor !== this.#cursor;
      this.#cursor = cursor ?? this.#cursor;
      for (const name of new Set(items.map((item) => item.name))) this.#listener(name);
      this.#reached("polling");
    }
  }

  #reached(state: FollowState): void {
    this.#failed = 0;
    this.#onState(state);
  }

  #tell(data: string): void {
    try {
      const { name } = JSON.parse(data) as { readonly name?: unknown };
      if (typeof name === "string") this.#listener(name);
    } catch {
      this.#listener(undefined);
    }
  }
}

/** All readers of a server that was restarted must not come back in the same instant. */
function jitter(milliseconds: number): number {
  return milliseconds * (0.7 + 0.6 * Math.random());
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}
