import { readFileSync } from "node:fs";
import {
  createServer as createHttp,
  type Server as HttpServer,
  type RequestListener,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createHttps, type Server as HttpsServer } from "node:https";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { RegistryError, show } from "../../errors.ts";
import { asciiJson } from "../ascii-json.ts";
import { digestHeader } from "../handler/coding.ts";
import type { CheckedLimits } from "../operations/limits.ts";
import { PROBLEM_TYPE, problemOf, StatusError } from "../protocol/problem.ts";
import { giveUp } from "./given-up.ts";

export interface TlsFiles {
  /** PEM: the certificate and what leads to its root. */
  readonly cert: string;
  /** PEM: its key. */
  readonly key: string;
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws RegistryError CONFIG for files that can't be read or do not belong together */
export function readTls({ cert, key }: TlsFiles): Pair {
  try {
    const pair = { cert: readFileSync(cert), key: readFileSync(key) };
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).name;
    throw new RegistryError("CONFIG", `the TLS files ${show(cert)} and ${show(key)} can't be used (${why})`, {
      field: "tls",
      cause,
    });
  }
}

export interface Listener {
  readonly server: HttpServer | HttpsServer;
  /** Reads the TLS files again; what is served goes on with the old ones where the new ones can't be used. */
  reload(): void;
}

export interface Told {
  /** A request that Node could not read. */
  readonly broken: (status: number) => void;
}

/** Node's server with every limit set that it has. */
export function createListener(
  limits: CheckedLimits,
  tls: TlsFiles | undefined,
  onRequest: RequestListener,
  told: Told,
): Listener {
  const options = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    // Slow clients are looked for this often.
    connectionsCheckingInterval: Math.max(250, Math.min(2000, limits.headersTimeout / 4)),
    insecureHTTPParser: false,
    requireHostHeader: true,
    noDelay: true,
  };
  const server: HttpServer | HttpsServer =
    tls === undefined
      ? createHttp(options, onRequest)
      : createHttps({ ...options, ...readTls(tls), minVersion: "TLSv1.2", handshakeTimeout: 10_000 }, onRequest);
  server.maxConnections = limits.connections;
  server.maxHeadersCount = 100;
  server.maxRequestsPerSocket = 0;
  watchReaders(server, tls === undefined ? "connection" : "secureConnection", limits);
  const refuse = (socket: Socket, status: number) => {
    // Whatever else comes there is an error again.
    if (!giveUp(socket)) return;
    told.broken(status);
    refuseSocket(socket, status);
  };
  server.on("clientError", ({ code = "" }: NodeJS.ErrnoException, socket) => {
    // A connection that broke sent nothing wrong.
    if (/^(?:HPE|ERR_HTTP)_/.test(code)) refuse(socket as Socket, STATUS_OF[code] ?? 400);
    else socket.destroy();
  });
  server.on("drop", () => told.broken(503));
  // Nothing here is upgraded or tunnelled.
  server.on("connect", (_, socket) => refuse(socket as Socket, 501));
  server.on("tlsClientError", (_, socket: Socket) => socket.destroy());
  // Idle connections make room before new ones are dropped.
  server.on("connection", () => {
    server.getConnections((_, count) => {
      if (count > limits.connections * 0.9) server.closeIdleConnections();
    });
  });
  return {
    server,
    reload() {
      if (tls !== undefined) (server as HttpsServer).setSecureContext({ ...readTls(tls), minVersion: "TLSv1.2" });
    },
  };
}

/**
 * Ends connections that take nothing of what they were sent. They are looked for from time to time: `server.timeout` would set
 * a timer for each request, which costs a twentieth of an answer from memory. What does not arrive, or is not answered, has
 * other limits.
 */
function watchReaders(
  server: NetServer,
  connected: "connection" | "secureConnection",
  { writeTimeout, keepAliveTimeout }: CheckedLimits,
): void {
  const sockets = new Set<Socket>();
  server.on(connected, (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // Told by its length from the one that Node sets for idle connections, which may be up to a second longer than it was told.
  const isLike = writeTimeout >= keepAliveTimeout && writeTimeout <= keepAliveTimeout + 1000;
  const patience = Math.max(isLike ? keepAliveTimeout + 1001 : writeTimeout, 200);
  // A look that comes later than the end of it could not take a timer back.
  const interval = Math.max(100, Math.min(5000, writeTimeout / 4));
  const look = () => {
    for (const socket of sockets) {
      // Node ends it then, unless it took something meanwhile.
      if (socket.writableLength > 0) {
        if (!socket.timeout) socket.setTimeout(patience);
      } else if (socket.timeout === patience) socket.setTimeout(0);
    }
  };
  server.once("listening", () => {
    const looking = setInterval(look, interval).unref();
    server.once("close", () => clearInterval(looking));
  });
}

const STATUS_OF: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

const DETAILS: Readonly<Record<number, string>> = {
  400: "the request is not HTTP/1.1 as it must be",
  408: "the request did not arrive in time; send it again",
  413: "the request has too much between the chunks of its body",
  431: "the headers of the request are too large; send fewer or shorter ones",
  501: "nothing is tunnelled here",
};

/** Its answer under way, as Node itself looks at it before it tells of such an error; others may wait behind that one. */
interface Answering {
  readonly _httpMessage?: ServerResponse | null;
}

/**
 * Tells of what could not be read where its answer belongs: after those of the requests before it. Anywhere else it would be
 * taken for the answer of one that is carried out.
 */
function refuseSocket(socket: Socket, status: number): void {
  const answer = (socket as Answering)._httpMessage ?? undefined;
  if (answer?.req.complete === true) {
    answer.once("close", () => refuseSocket(socket, status));
    return;
  }
  // The rest of its own body is what is broken. It can't be told any more where the answer has begun.
  if (answer?.headersSent === true) {
    socket.destroy();
    return;
  }
  if (socket.writable && !socket.destroyed) socket.end(refusalOf(status));
  // It may go on sending, and not listen.
  setTimeout(() => socket.destroy(), 500).unref();
}

/** As every other error, though there is no request that it could be the answer of. */
function refusalOf(status: number): string {
  const code = status === 408 ? "TIMEOUT" : "INVALID";
  // What did not arrive whole was not carried out.
  const outcome = status === 408 ? "temporary" : "final";
  const error = new StatusError(status, code, DETAILS[status] as string, { field: "request", outcome });
  const body = Buffer.from(asciiJson(problemOf(error)));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${body.length}`,
    `Content-Digest: ${digestHeader(body)}`,
    "Cache-Control: no-store",
    "Connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** @throws RegistryError CONFIG */
export async function startListening(server: NetServer, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException) => {
      const where = `port ${port} of ${show(host)}`;
      const why =
        cause.code === "EADDRINUSE"
          ? `${where} is taken by another program; choose another with --port`
          : cause.code === "EACCES"
            ? `${where} must not be used by this user; choose another with --port`
            : `can't listen on ${where} (${cause.code ?? cause.name})`;
      reject(new RegistryError("CONFIG", why, { field: "port", cause }));
    };
    server.once("error", onError);
    server.listen({ host, port, backlog: 511 }, () => {
      server.off("error", onError);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Takes no new connections, and leaves those that are there alone: `http.Server.close` would cut the idle ones. */
export function stopAccepting(server: NetServer): Promise<void> {
  return new Promise((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
}
