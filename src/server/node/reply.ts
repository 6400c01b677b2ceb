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
 */
export async function sendStream(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  patience: number,
): Promise<void> {
  const reader = body.getReader();
  const onClose = () => void reader.cancel().catch(() => {});
  response.once("close", onClose);
  try {
    for (;;) {
      const { done, value } = await reader.read();
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

function drained(response: ServerResponse, patience: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      done();
    }, patience);
    response.once("drain", done);
    response.once("close", done);
  });
}
