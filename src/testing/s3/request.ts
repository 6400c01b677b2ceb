import type { IncomingMessage } from "node:http";
import { invalid } from "./failure.ts";

/** A request as it came, taken apart. */
export interface S3Request {
  readonly method: string;
  /** Decoded, from the first `/` on. */
  readonly path: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

export async function readRequest(incoming: IncomingMessage): Promise<S3Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const [raw = "/", search = ""] = (incoming.url ?? "/").split(/\?(.*)/s);
  const path = decode(raw);
  const [, bucket = "", key = ""] = /^\/([^/]*)(?:\/(.*))?$/s.exec(path) ?? [];
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(",") : value;
  }
  const query = search
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const [name = "", value = ""] = part.split(/=(.*)/s);
      return [decode(name), decode(value)] as const;
    });
  return { method: incoming.method ?? "", path, bucket, key, query, headers, body: Buffer.concat(chunks) };
}

export function queryOf(request: S3Request, name: string): string | undefined {
  return request.query.find(([key]) => key === name)?.[1];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("InvalidURI", "Couldn't parse the specified URI.");
  }
}
