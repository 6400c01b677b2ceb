import type { ServerResponse } from "node:http";

/**
 * What every answer carries, unless the handler said otherwise: a browser shall show nothing of it, run nothing of it, and
 * tell nobody where it was.
 */
export function secureHeaders(tls: boolean): readonly (readonly [string, string])[] {
  return [
    ["x-content-type-options", "nosniff"],
    ["referrer-policy", "no-referrer"],
    ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
    ["cross-origin-resource-policy", "same-origin"],
    ...(tls ? [["strict-transport-security", "max-age=31536000"] as const] : []),
  ];
}

/** Flat headers, and what they lack of ours. */
export function withHeaders(given: readonly string[], more: readonly (readonly [string, string])[]): string[] {
  const has = new Set(given.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
  return [...given, ...more.filter(([name]) => !has.has(name)).flat()];
}

/** What a 304 says: the rest is in the answer that the client has (RFC 9110, 15.4.5). */
const OF_UNCHANGED: ReadonlySet<string> = new Set(["etag", "cache-control", "content-location", "vary", "warning"]);

export function unchangedHeaders(given: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < given.length; i += 2) {
    const [name, value] = given.slice(i, i + 2) as [string, string];
    if (OF_UNCHANGED.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

/** Of milliseconds, for `Retry-After`. */
export function retrySeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)));
}

/** Flat headers of a `Response`, with what it lacks of ours. */
export function flatHeaders(headers: Headers, secure: readonly (readonly [string, string])[]): string[] {
  const flat: string[] = [];
  headers.forEach((value, name) => {
    flat.push(name, value);
  });
  for (const [name, value] of secure) if (!headers.has(name)) flat.push(name, value);
  return flat;
}

/**
 * Sends a body as fast as the client takes it, and no faster.
 *
 * @param patience milliseconds in which a client must take something
 * @param stall milliseconds in which more of the body must come. Default: no limit
 */
export async function sendStream(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  patience: number,
  stall?: number,
): Promise<void> {
  const reader = body.getReader();
  const onClose = () => void reader.cancel().catch(() => {});
  response.once("close", onClose);
  try {
    for (;;) {
      const { done, value } = await (stall === undefined ? reader.read() : within(reader.read(), stall));
      if (done || response.destroyed) break;
      if (!response.write(value)) await drained(response, patience);
    }
    if (!response.destroyed) response.end();
  } catch (error) {
    // A cut answer must not look like a whole one.
    response.destroy();
    throw error;
  } finally {
    response.off("close", onClose);
    reader.releaseLock();
  }
}

function within<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the body does not go on")), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** So much is handed over at a time; what fits into less needs no waiting for. */
export const PIECE = 64 * 1024;

/**
 * Sends bytes as fast as the client takes them, and resolves when it has, or is gone.
 *
 * @param patience milliseconds in which a client must take something
 */
export async function sendBytes(bytes: Uint8Array, response: ServerResponse, patience: number): Promise<void> {
  for (let at = 0; at < bytes.length && !response.destroyed; at += PIECE) {
    if (!response.write(bytes.subarray(at, at + PIECE))) await drained(response, patience);
  }
  if (response.destroyed) return;
  response.end();
  if (!response.writableFinished) await drained(response, patience, "finish");
}

function drained(response: ServerResponse, patience: number, event: "drain" | "finish" = "drain"): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      response.off(event, done);
      response.off("close", done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      done();
    }, patience);
    response.once(event, done);
    response.once("close", done);
  });
}
