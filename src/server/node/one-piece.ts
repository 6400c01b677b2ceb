import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Writable } from "node:stream";

/** Node writes a string from a buffer on its stack, of 16 KiB with the headers; a larger one would be copied once more. */
const MOST = 12 * 1024;

/** The head of an answer as it will be sent: no documented property, but there in every Node since 0.10. */
interface WithHeader {
  _header?: unknown;
}

const pieces = new WeakMap<Uint8Array, string>();

/** The bytes as text of one byte a character, where it pays to send them in one piece with their headers; made once. */
export function pieceOf(body: Uint8Array): string | undefined {
  const known = pieces.get(body);
  if (known !== undefined || body.length > MOST) return known;
  isPossible ??= tryIt();
  if (!isPossible) return undefined;
  const piece = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
  pieces.set(body, piece);
  return piece;
}

/**
 * Ends an answer whose head is written. `response.end(body)` makes three writes of it, which Node then gathers: a tenth of what
 * an answer from memory costs.
 */
export function endInOnePiece(response: ServerResponse, piece: string): void {
  const inner = response as WithHeader;
  inner._header = `${inner._header as string}${piece}`;
  response.end();
}

let isPossible: boolean | undefined;

/** A Node that does it otherwise some day must not send half an answer, so one is sent to nobody first. */
function tryIt(): boolean {
  const written: unknown[] = [];
  const socket = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      written.push(chunk, encoding);
      done();
    },
  });
  try {
    const response = new ServerResponse({ method: "GET", httpVersionMajor: 1, httpVersionMinor: 1 } as IncomingMessage);
    response.assignSocket(socket as Socket);
    response.writeHead(200, ["content-length", "4"]);
    if (typeof (response as WithHeader)._header !== "string") return false;
    endInOnePiece(response, "a\xff\r\n");
    const [text, encoding, ...more] = written;
    return more.length === 0 && encoding === "latin1" && String(text).endsWith("\r\n\r\na\xff\r\n");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
