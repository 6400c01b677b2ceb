import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as plain } from "node:http";
import { Agent as SecureAgent, request as secure } from "node:https";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { RegistryError } from "../errors.ts";
import { Violation } from "./types.ts";

/** A reply as it came: `fetch` would undo the content coding, whose bytes `Content-Digest` is about. */
export interface Answer {
  /** `GET /v1/prompts`, for messages. */
  readonly asked: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON. @throws Violation */
  json(): unknown;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly body?: string | Uint8Array;
}

export interface ClientOptions {
  readonly token?: string | undefined;
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Sees every answer. */
  readonly seen: (answer: Answer) => void;
}

export interface Stream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The next event. @throws Violation where none comes in time */
  next(timeout: number): Promise<{ readonly event: string; readonly data: string; readonly id?: string }>;
  close(): void;
}

const MAX_WAITS = 5;
/** A body above this is held back for a moment. Bytes. */
const LARGE = 64 * 1024;
/** How long it is held back; and when the connection broke all the same. Milliseconds. */
const [PAUSE, LONG_PAUSE] = [250, 5000];
/** What the end of a connection looks like to who writes to it. */
const BROKEN = new Set(["EPIPE", "ECONNRESET"]);

/** Sends requests to one server, with the credentials of one caller. */
export class Client {
  readonly origin: URL;
  readonly #options: ClientOptions;
  readonly #agent: Agent;

  constructor(url: string, options: ClientOptions) {
    this.origin = new URL(url);
    this.#options = options;
    this.#agent = new (this.origin.protocol === "https:" ? SecureAgent : Agent)({ keepAlive: true });
  }

  close(): void {
    this.#agent.destroy();
  }

  get token(): string | undefined {
    return this.#options.token;
  }

  /** The path goes onto the request line as it is. Waits where the server says that there were too many requests. */
  async send(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    for (let waits = 0; ; waits++) {
      const answer = await this.#once(method, path, ask);
      if (answer.status !== 429 || waits >= MAX_WAITS) {
        this.#options.seen(answer);
        return answer;
      }
      const seconds = Math.min(30, Number(answer.headers["retry-after"] ?? 1) || 1);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }

  #headersOf({ headers, json }: Ask, content: Buffer | undefined, method: string): Record<string, string> {
    const { token } = this.#options;
    return {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...(content === undefined && method !== "PUT" && method !== "POST"
        ? {}
        : { "content-length": String(content?.length ?? 0) }),
      ...headers,
    };
  }

  #request(method: string, path: string, headers: Record<string, string>): ClientRequest {
    const { protocol, hostname, port } = this.origin;
    const send = protocol === "https:" ? secure : plain;
    const { signal, timeout } = this.#options;
    return send({
      ...{ method, path, headers, agent: this.#agent, timeout },
      host: hostname.replace(/^\[|\]$/g, ""),
      ...(port === "" ? {} : { port }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #once(method: string, path: string, ask: Ask, pause = PAUSE): Promise<Answer> {
    const content =
      ask.json === undefined
        ? ask.body === undefined
          ? undefined
          : Buffer.from(ask.body as string)
        : Buffer.from(JSON.stringify(ask.json));
    return new Promise((resolve, reject) => {
      const request = this.#request(method, path, this.#headersOf(ask, content, method));
      let answered = false;
      const upload = uploadOf(request, content, pause);
      request.on("response", (response) => {
        answered = true;
        upload.stop();
        collect(response).then(
          (bytes) => {
            // The server wants no more of it, and nothing else can be asked there.
            if (!request.writableEnded) request.destroy();
            resolve(answerOf(`${method} ${path}`, response.statusCode ?? 0, response.headers, bytes));
          },
          (error: unknown) => reject(unreachable(this.origin, error)),
        );
      });
      request.on("timeout", () => request.destroy(new Error("no answer in time")));
      request.on("error", (error: NodeJS.ErrnoException) => {
        upload.stop();
        const isBroken = !answered && BROKEN.has(error.code ?? "");
        // A server may close a connection just when it is used again.
        if (isBroken && request.reusedSocket) {
          this.#once(method, path, ask, pause).then(resolve, reject);
          return;
        }
        // Its refusal is lost with a connection that breaks under the rest of the body: it gets longer to say so before.
        if (isBroken && upload.isHeld && pause < LONG_PAUSE) {
          this.#once(method, path, ask, LONG_PAUSE).then(resolve, reject);
          return;
        }
        // And it may answer, and hang up, before it has taken a body that it refuses.
        setTimeout(() => answered || reject(unreachable(this.origin, error)), 50);
      });
    });
  }

  /** A request target as no client library would send it. `undefined`: the server closed the connection without a reply. */
  raw(target: string, method = "GET", timeout = 5000): Promise<{ status: number; text: string } | undefined> {
    const { protocol, hostname, host } = this.origin;
    const isSecure = protocol === "https:";
    const port = Number(this.origin.port || (isSecure ? 443 : 80));
    const at = { host: hostname.replace(/^\[|\]$/g, ""), port };
    const { token } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = isSecure ? connectTls({ ...at, servername: hostname }) : connect(at);
      const chunks: Buffer[] = [];
      const end = () => {
        clearTimeout(timer);
        socket.destroy();
        const text = Buffer.concat(chunks).toString("latin1");
        const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
        if (status === undefined) resolve(undefined);
        else resolve({ status: Number(status), text: text.slice(text.indexOf("\r\n\r\n") + 4) });
      };
      const timer = setTimeout(end, timeout);
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("close", end);
      socket.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ECONNREFUSED") reject(unreachable(this.origin, error));
      });
      const credentials = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
      socket.write(
        Buffer.from(
          `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${credentials}Connection: close\r\n\r\n`,
          "latin1",
        ),
      );
    });
  }

  /** Server-sent events. */
  async stream(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Stream> {
    const all = this.#headersOf({ headers: { accept: "text/event-stream", ...headers } }, undefined, "GET");
    const request = this.#request("GET", path, all);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on("response", resolve);
      request.on("timeout", () => request.destroy(new Error("no answer in time")));
      request.on("error", (error) => reject(unreachable(this.origin, error)));
      request.end();
    });
    request.setTimeout(0);
    return streamOf(response, () => request.destroy());
  }
}

interface Upload {
  /** Whether the body is a large one. */
  readonly isHeld: boolean;
  /** What was not sent yet is not sent any more. */
  stop(): void;
}

/**
 * Sends a large body only after a pause: a server that refuses it by its length answers then, and closes, before there is
 * anything on its way that would break the connection and take the answer along.
 */
function uploadOf(request: ClientRequest, content: Buffer | undefined, pause: number): Upload {
  if (content === undefined || content.length <= LARGE) {
    request.end(content);
    return { isHeld: false, stop() {} };
  }
  request.flushHeaders();
  const timer = setTimeout(() => request.end(content), pause);
  return { isHeld: true, stop: () => clearTimeout(timer) };
}

function streamOf(response: IncomingMessage, close: () => void): Stream {
  let buffered = "";
  let ended = false;
  let wake = () => {};
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    buffered += chunk.replaceAll("\r\n", "\n");
    wake();
  });
  for (const event of ["close", "error"]) {
    response.on(event, () => {
      ended = true;
      wake();
    });
  }
  return {
    status: response.statusCode ?? 0,
    headers: flat(response.headers),
    close,
    async next(timeout) {
      const until = Date.now() + timeout;
      for (;;) {
        const end = buffered.indexOf("\n\n");
        if (end >= 0) {
          const block = buffered.slice(0, end).split("\n");
          buffered = buffered.slice(end + 2);
          const field = (name: string) =>
            block
              .find((line) => line.startsWith(`${name}:`))
              ?.slice(name.length + 1)
              .trim();
          const data = field("data");
          if (data === undefined) continue;
          const id = field("id");
          return { event: field("event") ?? "message", data, ...(id === undefined ? {} : { id }) };
        }
        const left = until - Date.now();
        if (ended) throw new Violation("the stream ended");
        if (left <= 0) throw new Violation(`no event came within ${timeout / 1000} s`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
  };
}

async function collect(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function flat(headers: IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

function answerOf(asked: string, status: number, headers: IncomingHttpHeaders, bytes: Buffer): Answer {
  const text = bytes.toString("utf8");
  const short = asked.length > 200 ? `${asked.slice(0, 200)}…` : asked;
  return {
    ...{ asked: short, status, headers: flat(headers), bytes, text },
    json() {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        throw new Violation(`${short}: ${status} with a body that is not JSON`);
      }
    },
  };
}

function unreachable({ origin }: URL, cause: unknown): RegistryError {
  const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
  return new RegistryError("UNAVAILABLE", `${origin} can't be reached (${why}); see that the server runs`, {
    location: origin,
    cause,
  });
}
