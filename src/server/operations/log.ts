import type { Principal } from "../types.ts";

/** Which requests are told: all, those that failed (status 400 and up), or none. What the server itself has to say, always. */
export type LogLevel = "all" | "errors" | "off";

/** One request, when it has ended. */
export interface RequestRecord {
  readonly method: string;
  /** The pattern, never the target: a query may hold what nobody should read. */
  readonly route: string;
  readonly status: number;
  /** Milliseconds. */
  readonly ms: number;
  readonly principal?: Principal | undefined;
  /** Of the prompt. */
  readonly name?: string | undefined;
  readonly code?: string | undefined;
  /** Why the server could not do it, without secrets. */
  readonly reason?: string | undefined;
  /** The client was gone before the answer was out. */
  readonly aborted?: boolean;
}

export interface Log {
  request(requestId: string, address: string | undefined, record: RequestRecord): void;
  event(level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Writes what is waiting. */
  flush(): void;
  close(): void;
}

const FLUSH_AFTER = 50;
const FLUSH_CHARACTERS = 32_768;

/**
 * Lines of JSON, collected for up to 50 ms, since a system call a line is more than an answer from memory costs.
 *
 * @param sink takes whole lines, several at once
 */
export function createLog(sink: (lines: string) => void, level: LogLevel = "all"): Log {
  let waiting = "";
  let timer: NodeJS.Timeout | undefined;
  let second = 0;
  let prefix = "";

  function time(): string {
    const now = Date.now();
    const whole = now - (now % 1000);
    if (whole !== second) {
      second = whole;
      prefix = new Date(whole).toISOString().slice(0, 20);
    }
    return `${prefix}${String(now - whole).padStart(3, "0")}Z`;
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (waiting === "") return;
    const lines = waiting;
    waiting = "";
    sink(lines);
  }

  function add(line: string): void {
    waiting += line;
    if (waiting.length > FLUSH_CHARACTERS) flush();
    else timer ??= setTimeout(flush, FLUSH_AFTER).unref();
  }

  return {
    request(requestId, address, record) {
      const { status, method, route, ms, principal, name, code, reason, aborted } = record;
      if (level === "off" || (level === "errors" && status < 400)) return;
      const kind = status >= 500 ? "error" : "info";
      let line = `{"time":"${time()}","level":"${kind}","msg":"request","requestId":"${requestId}","method":"${method}","route":${JSON.stringify(route)},"status":${status},"ms":${Math.round(ms * 1000) / 1000}`;
      if (address !== undefined) line += `,"address":${JSON.stringify(address)}`;
      if (principal !== undefined)
        line += `,"principal":${JSON.stringify(principal.id)},"principalName":${JSON.stringify(principal.name)}`;
      if (name !== undefined) line += `,"name":${JSON.stringify(name)}`;
      if (code !== undefined) line += `,"code":"${code}"`;
      if (reason !== undefined) line += `,"reason":${JSON.stringify(reason)}`;
      if (aborted === true) line += ',"aborted":true';
      add(`${line}}\n`);
    },
    event(kind, message, fields = {}) {
      add(`${JSON.stringify({ time: time(), level: kind, msg: message, ...fields })}\n`);
    },
    flush,
    close: flush,
  };
}
