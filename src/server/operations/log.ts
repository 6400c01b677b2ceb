import type { Principal } from "../types.ts";

/** Which requests are told: all, those that failed (status 400 and up), or none. What the server itself has to say, always. */
export type LogLevel = "all" | "errors" | "off";

/** One request, when it has ended. */
export interface RequestRecord {
  readonly requestId: string;
  /** Of the client. */
  readonly address?: string | undefined;
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
  /** @param time when it ended, in milliseconds since the epoch. Default: now */
  request(record: RequestRecord, time?: number): void;
  event(level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Writes what is waiting. */
  flush(): void;
  close(): void;
}

const FLUSH_AFTER = 50;
/** Small enough to stay in the caches of a core. */
const FLUSH_CHARACTERS = 8192;
/** Texts that are kept as JSON. */
const MAX_QUOTED = 1000;

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
  let instant = 0;
  let shown = "";
  /** Most requests are like the one before. */
  let last = { method: "", route: "", status: 0, text: "", level: "info" };

  function timeOf(now: number): string {
    if (now === instant) return shown;
    instant = now;
    const whole = now - (now % 1000);
    if (whole !== second) {
      second = whole;
      prefix = new Date(whole).toISOString().slice(0, 20);
    }
    shown = `${prefix}${String(now - whole).padStart(3, "0")}Z`;
    return shown;
  }

  // The same few come again and again, and to quote them is half of what a line costs.
  const texts = new Map<string, string>();
  const principals = new WeakMap<Principal, string>();

  function quoted(text: string): string {
    let known = texts.get(text);
    if (known === undefined) {
      known = JSON.stringify(text);
      if (texts.size >= MAX_QUOTED) texts.clear();
      texts.set(text, known);
    }
    return known;
  }

  function who(principal: Principal): string {
    let known = principals.get(principal);
    if (known === undefined) {
      known = `,"principal":${JSON.stringify(principal.id)},"principalName":${JSON.stringify(principal.name)}`;
      principals.set(principal, known);
    }
    return known;
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
    request(record, time = Date.now()) {
      const { requestId, address, status, method, route, ms, principal, name, code, reason, aborted } = record;
      if (level === "off" || (level === "errors" && status < 400)) return;
      if (method !== last.method || route !== last.route || status !== last.status) {
        const text = `","method":"${method}","route":${quoted(route)},"status":${status},"ms":`;
        last = { method, route, status, text, level: status >= 500 ? "error" : "info" };
      }
      const took = Math.round(ms * 1000) / 1000;
      let line = `{"time":"${timeOf(time)}","level":"${last.level}","msg":"request","requestId":"${requestId}${last.text}${took}`;
      if (address !== undefined) line += `,"address":${quoted(address)}`;
      if (principal !== undefined) line += who(principal);
      if (name !== undefined) line += `,"name":${JSON.stringify(name)}`;
      if (code !== undefined) line += `,"code":"${code}"`;
      if (reason !== undefined) line += `,"reason":${JSON.stringify(reason)}`;
      if (aborted === true) line += ',"aborted":true';
      add(`${line}}\n`);
    },
    event(kind, message, fields = {}) {
      add(`${JSON.stringify({ time: timeOf(Date.now()), level: kind, msg: message, ...fields })}\n`);
    },
    flush,
    close: flush,
  };
}
