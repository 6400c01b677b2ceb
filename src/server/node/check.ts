import { BlockList, isIP } from "node:net";
import { RegistryError, show } from "../../errors.ts";
import { findRoute } from "../handler/route.ts";
import { checkTarget } from "../protocol/path.ts";
import { StatusError } from "../protocol/problem.ts";

/** Beside GET and HEAD. */
const METHODS: ReadonlySet<string> = new Set(["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"]);
/** Of these a second one could be read by one side and not by the other. */
const ONCE = [
  "host",
  "content-length",
  "transfer-encoding",
  "authorization",
  "content-type",
  "content-encoding",
  "if-match",
  "if-none-match",
  "idempotency-key",
  "x-request-id",
];

interface Once {
  readonly name: string;
  readonly first: number;
  readonly bit: number;
}

/** By length: names are new strings in every request, and to hash each takes longer than to see that it is none of these. */
const BY_LENGTH: (readonly Once[] | undefined)[] = [];
for (const [i, name] of ONCE.entries())
  BY_LENGTH[name.length] = [...(BY_LENGTH[name.length] ?? []), { name, first: name.charCodeAt(0), bit: 1 << i }];
const [HOST_BIT, LENGTH_BIT, CODING_BIT] = ["host", "content-length", "transfer-encoding"].map(bitOf) as [
  number,
  number,
  number,
];

/** 0 for a header that may come twice. */
function bitOf(name: string): number {
  const length = name.length;
  const like = length < BY_LENGTH.length ? BY_LENGTH[length] : undefined;
  if (like === undefined) return 0;
  const first = name.charCodeAt(0) | 0x20;
  for (let i = 0; i < like.length; i++) {
    const one = like[i] as Once;
    if (one.first === first && (one.name === name || one.name === name.toLowerCase())) return one.bit;
  }
  return 0;
}

/** A name, an IPv4 address or an IPv6 one in brackets, with or without a port: what clients write. */
const HOST = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?$/;

const refused = (status: number, detail: string) => new StatusError(status, "INVALID", detail, { field: "request" });

/**
 * What Node's strict parser lets through and two parsers may still read in two ways.
 *
 * @param rawHeaders flat, as Node gives them
 */
export function headRefusal(method: string, rawHeaders: readonly string[]): StatusError | undefined {
  const bodiless = method === "GET" || method === "HEAD";
  if (!bodiless && !METHODS.has(method)) return refused(501, "this method is not known here");
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const bit = bitOf(rawHeaders[i] as string);
    if (bit === 0) continue;
    const value = rawHeaders[i + 1] as string;
    if ((seen & bit) !== 0) return refused(400, `the header ${rawHeaders[i]?.toLowerCase()} is given twice`);
    if (bit === CODING_BIT && value !== "chunked")
      return refused(501, "no transfer-encoding but chunked is known here");
    if (bit === HOST_BIT && !isHostName(value)) return refused(400, "the header host is malformed");
    if (bodiless && (bit === CODING_BIT || (bit === LENGTH_BIT && value !== "0")))
      return refused(400, `a ${method} has no body here`);
    seen |= bit;
  }
  if ((seen & CODING_BIT) !== 0 && (seen & LENGTH_BIT) !== 0)
    return refused(400, "transfer-encoding and content-length exclude each other");
  return undefined;
}

let lastHost = "localhost";

function isHostName(host: string): boolean {
  if (host === lastHost) return true;
  const match = HOST.exec(host);
  const is = match !== null && Number(match[1] ?? 0) <= 65_535;
  if (is) lastHost = host;
  return is;
}

/** A target that a URL parser would mend never gets to one. */
export function targetRefusal(target: string): StatusError | undefined {
  try {
    checkTarget(target);
    return undefined;
  } catch (error) {
    return error instanceof StatusError ? error : refused(400, "the request target is malformed");
  }
}

/** `TRACE` is known, and taken nowhere; no `Request` can be made of it, so no handler can say so. */
export function methodRefusal(method: string, target: string): RegistryError | undefined {
  if (method !== "TRACE") return undefined;
  try {
    findRoute(method, target.split("?", 1)[0] as string);
    return undefined;
  } catch (error) {
    return error as RegistryError;
  }
}

/** Hosts that this server is called by; `undefined`: any. */
export function hostCheck(allowed: readonly string[] | undefined): (host: string | undefined) => boolean {
  if (allowed === undefined) return () => true;
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  return (host) => host !== undefined && (names.has(host) || names.has(host.toLowerCase()));
}

/**
 * What a browser may call a server of this machine. A name that somebody's DNS lets point here is none of them, so a page
 * from there can't read us (DNS rebinding).
 */
export function loopbackHosts(port: number, host: string): string[] {
  const names = ["localhost", "127.0.0.1", "[::1]", isIP(host) === 6 ? `[${host}]` : host];
  return [...names.map((name) => `${name}:${port}`), ...(port === 80 || port === 443 ? names : [])];
}

export function isLoopback(host: string): boolean {
  return (
    host === "127.0.0.1" || host === "localhost" || host === "::1" || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host)
  );
}

/** @throws RegistryError CONFIG */
export function addressList(field: string, addresses: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of addresses) {
    const [address = "", prefix] = text.split("/");
    const family = isIP(address);
    const bits = prefix === undefined ? undefined : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    const max = family === 4 ? 32 : 128;
    if (family === 0 || (bits !== undefined && !(bits <= max))) {
      throw new RegistryError("CONFIG", `${field}: ${show(text)} is no address and no network like 10.0.0.0/8`, {
        field,
      });
    }
    const kind = family === 4 ? "ipv4" : "ipv6";
    if (bits === undefined) list.addAddress(address, kind);
    else list.addSubnet(address, bits, kind);
  }
  return (address) => {
    const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
    const family = isIP(plain);
    return family !== 0 && list.check(plain, family === 4 ? "ipv4" : "ipv6");
  };
}

/**
 * Who asks, through proxies that are trusted: from the right, the first address that is none of theirs. What a client
 * wrote into the header itself stands further left.
 */
export function clientAddress(
  peer: string | undefined,
  forwarded: string | string[] | undefined,
  isTrusted: (address: string) => boolean,
): string | undefined {
  if (peer === undefined || forwarded === undefined || !isTrusted(peer)) return peer;
  const hops = (Array.isArray(forwarded) ? forwarded.join(",") : forwarded).split(",").map((hop) => hop.trim());
  let address = peer;
  for (const hop of hops.reverse()) {
    if (isIP(hop) === 0) return address;
    address = hop;
    if (!isTrusted(hop)) return address;
  }
  return address;
}
