import type { Readable } from "node:stream";

/** All of a reply. The SDK stops listening to the signal once it has the headers. */
export async function readBody(body: Readable, signal: AbortSignal): Promise<Buffer> {
  const stop = () => body.destroy(new Error("aborted"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
