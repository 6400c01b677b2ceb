import { BlockList, isIP } from "node:net";
import { RegistryError, show } from "../../errors.ts";

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function isCidr(text: string): boolean {
  return parts(text) !== undefined;
}

interface Network {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
  readonly bits: number;
}

function parts(text: string): Network | undefined {
  const match = /^([0-9a-f:.]{2,45})(?:\/(\d{1,3}))?$/i.exec(text);
  const address = match?.[1] ?? "";
  const version = isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = match?.[2] === undefined ? most : Number(match[2]);
  return bits <= most ? { address, family: version === 4 ? "ipv4" : "ipv6", bits } : undefined;
}

/**
 * Checks an allow-list of networks.
 *
 * @throws RegistryError INVALID
 */
export function checkCidrs(cidrs: readonly string[]): readonly string[] {
  for (const cidr of cidrs) {
    if (isCidr(cidr)) continue;
    throw new RegistryError("INVALID", `network ${show(cidr)} is none; write 10.0.0.0/8, 2001:db8::/32 or an address`, {
      field: "cidr",
    });
  }
  return cidrs;
}

/** Tells whether an address is in one of the networks. What can't be understood lets nobody in. */
export function networks(cidrs: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const network = parts(cidr);
    if (network !== undefined) list.addSubnet(network.address, network.bits, network.family);
  }
  return (address) => {
    const plain = plainAddress(address);
    return plain !== undefined && list.check(plain, isIP(plain) === 4 ? "ipv4" : "ipv6");
  };
}

/** An address in one spelling: IPv4 that comes through an IPv6 socket as IPv4, and without a zone. */
export function plainAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const bare = address.replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
  return isIP(mapped) === 0 ? undefined : mapped;
}

/** Whom a limit counts: an IPv4 address, or the /64 that one host has of IPv6. */
export function addressKey(address: string | undefined): string | undefined {
  const plain = plainAddress(address);
  if (plain === undefined || isIP(plain) === 4) return plain;
  const [head = "", tail = ""] = plain.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const missing = plain.includes("::") ? Math.max(0, 8 - left.length - right.length) : 0;
  const groups = [...left, ...Array<string>(missing).fill("0"), ...right].map((group) => group.replace(/^0+(?=.)/, ""));
  return `${groups.slice(0, 4).join(":")}::/64`;
}
