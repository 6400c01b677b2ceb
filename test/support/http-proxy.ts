import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as open,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What goes wrong with one request. "After" means that the server behind the proxy has carried it out. */
export type HttpFault =
  /** The connection is destroyed and the server is never asked. */
  | { readonly kind: "drop-before" }
  /** The server carries the request out; its reply is thrown away and the connection destroyed. */
  | { readonly kind: "drop-after" }
  /** This is answered; the server is never asked. */
  | ({ readonly kind: "reply" } & CannedReply)
  /** The server carries the request out, and this is answered instead of its reply. */
  | ({ readonly kind: "reply-after" } & CannedReply)
  /** The reply's body ends after so many bytes (its headers stay), and the connection is destroyed. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** One byte in the middle of the reply's body is another one. */
  | { readonly kind: "corrupt" }
  /** The request waits before it is passed on. */
  | { readonly kind: "delay"; readonly ms: number };

export interface CannedReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A request as it came, before any fault. */
export interface ProxiedRequest {
  /** Counted from 0 since the last reset, in order of arrival. */
  readonly index: number;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FaultProxy {
  /** `http://127.0.0.1:PORT`. The Host header is passed on unchanged, so that signatures over it hold. */
  readonly url: string;
  /** Everything that came since the last reset. */
  readonly requests: readonly ProxiedRequest[];
  /** Asked once for every request, when its body has arrived; replaces what was set before. */
  faultWhen(choose: (request: ProxiedRequest) => HttpFault | undefined): void;
  /** No faults, and counting starts at 0 again. */
  reset(): void;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** Headers that are about one connection, and about nobody else's. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade"];

/**
 * An HTTP proxy in front of one server, with faults by request.
 *
 * @param target where the server is: `http://127.0.0.1:PORT`
 * @example
 * ```ts
 * const proxy = await faultProxy(server.url);
 * proxy.faultWhen(({ index }) => (index === 1 ? { kind: "drop-after" } : undefined));
 * ```
 */
export async function faultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  const requests: ProxiedRequest[] = [];
  let choose: (request: ProxiedRequest) => HttpFault | undefined = () => undefined;

  function pass({ method, url, body }: ProxiedRequest, rawHeaders: readonly string[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = [...forwarded(rawHeaders)];
      if (body.length > 0 || !["GET", "HEAD"].includes(method)) headers.push("content-length", String(body.length));
      const upstream = open({ hostname, port, method, path: url, headers, agent, setHost: false }, (reply) => {
        collect(reply).then((bytes) => resolve({ status: reply.statusCode ?? 0, ...whole(reply, bytes) }), reject);
      });
      upstream.on("error", reject).end(body);
    });
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await collect(incoming);
    const { method = "", url = "", headers } = incoming;
    const request: ProxiedRequest = { index: requests.length, method, url, headers, body };
    requests.push(request);
    const fault = choose(request);
    if (fault?.kind === "drop-before") return void incoming.socket.destroy();
    if (fault?.kind === "reply") return send(method, outgoing, canned(fault));
    if (fault?.kind === "delay") await sleep(fault.ms);
    const reply = await pass(request, incoming.rawHeaders);
    if (fault?.kind === "drop-after") return void incoming.socket.destroy();
    if (fault?.kind === "reply-after") return send(method, outgoing, canned(fault));
    if (fault?.kind === "corrupt") return send(method, outgoing, { ...reply, body: corrupted(reply.body) });
    if (fault?.kind !== "cut") return send(method, outgoing, reply);
    outgoing.writeHead(reply.status, reply.headers).flushHeaders();
    outgoing.write(reply.body.subarray(0, fault.bytes), () => incoming.socket.destroy());
  }

  const server = createServer((incoming, outgoing) => {
    // The server behind is gone, or the client is: either way this connection ends as one to that server would.
    answer(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    faultWhen(next) {
      choose = next;
    },
    reset() {
      choose = () => undefined;
      requests.length = 0;
    },
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function* forwarded(raw: readonly string[]): Generator<string> {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = "", value = ""] = raw.slice(i, i + 2);
    // The whole body has been read, so there is nothing left to continue with, and its length is known.
    if ([...HOP_BY_HOP, "expect", "content-length"].includes(name.toLowerCase())) continue;
    yield name;
    yield value;
  }
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The length of a HEAD's or a 304's reply is that of a body which is not there: it stays as the server told it. */
function whole({ headers: told }: IncomingMessage, body: Buffer): Pick<Reply, "headers" | "body"> {
  const headers: OutgoingHttpHeaders = { ...told };
  for (const name of HOP_BY_HOP) delete headers[name];
  if (body.length > 0) headers["content-length"] = body.length;
  return { headers, body };
}

function canned({ status, headers = {}, body = "" }: CannedReply): Reply {
  const bytes = Buffer.from(body);
  const length = status === 204 || status === 304 ? {} : { "content-length": bytes.length };
  return { status, headers: { ...length, ...headers }, body: bytes };
}

function corrupted(body: Buffer): Buffer {
  const changed = Buffer.from(body);
  const at = changed.length >> 1;
  // Another letter for a letter: the damage must be found by what it says, not by a decoder.
  if (changed.length > 0) changed[at] = (changed[at] as number) ^ 1;
  return changed;
}

function send(method: string, outgoing: ServerResponse, { status, headers, body }: Reply): void {
  outgoing.writeHead(status, headers);
  outgoing.end(method === "HEAD" ? undefined : body);
}
