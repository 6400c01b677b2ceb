import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { RegistryError } from "../../src/errors.ts";
import type { Label } from "../../src/names.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { isGranted } from "../../src/server/access/grants.ts";
import { createHandler, type HandlerOptions } from "../../src/server/handler.ts";
import type { Access, AuditEntry, AuditLog, Grant, Principal } from "../../src/server/types.ts";

export const PROTECTED = "production" as Label;

/** Principals by their token. */
export function accessOf(principals: Readonly<Record<string, readonly Grant[]>>): Access {
  const known = new Map(
    Object.entries(principals).map(([token, grants]): [string, Principal] => [
      `Bearer ${token}`,
      { id: `token:${token}`, name: token, grants },
    ]),
  );
  return {
    async authenticate({ authorization }) {
      const found = known.get(authorization ?? "");
      if (found !== undefined) return found;
      throw new RegistryError("UNAUTHENTICATED", "no such token");
    },
    remembered: ({ authorization }) => known.get(authorization ?? ""),
    allows: (principal, right, resource) => isGranted(principal.grants, right, resource, new Set([PROTECTED])),
  };
}

export interface AuditTrail extends AuditLog {
  readonly entries: AuditEntry[];
}

export function auditTrail(): AuditTrail {
  const entries: AuditEntry[] = [];
  return {
    entries,
    async ready() {},
    async append(entry) {
      entries.push(entry);
    },
    async close() {},
  };
}

export interface Send {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly json?: unknown;
  /** Where a `Request` would mend the target. */
  readonly target?: string;
}

/** A handler over memory, and a short way to ask it. */
export function httpWorld(options: HandlerOptions, driver: StorageDriver = memory()) {
  const registry = new PromptRegistry(driver, { author: "seed" });
  const handler = createHandler(registry, options);
  async function send(method: string, path: string, { token, headers, body, json, target }: Send = {}) {
    const content = json === undefined ? body : JSON.stringify(json);
    const request = new Request(`http://registry.test${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content as string }),
    });
    const response = await handler(request, { target: target ?? path, requestId: "r", address: "127.0.0.1" });
    const bytes = Buffer.from(await response.arrayBuffer());
    const text = bytes.toString();
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      text,
      // biome-ignore lint/suspicious/noExplicitAny: a test looks at what it expects
      get json(): any {
        return JSON.parse(text);
      },
    };
  }
  return { registry, handler, send, driver };
}
