/** What the drivers that keep their data in local files ask of the file system. */
import type { StatsFs } from "node:fs";
import type { HealthCheck } from "../driver.ts";

// https://man7.org/linux/man-pages/man2/statfs.2.html
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
]);
const PERHAPS_NETWORK: ReadonlyMap<number, string> = new Map([
  [0x65735546, "FUSE"],
  [0x01021997, "9P"],
]);
const LOW_SPACE_BYTES = 64 * 2 ** 20;

/** The kind of a file system that other machines may share, on Linux; `perhaps` where that can't be told. */
export function networkOf({
  type,
}: Pick<StatsFs, "type">): { readonly kind: string; readonly perhaps: boolean } | undefined {
  // A number with a sign on some machines.
  const surely = NETWORK.get(type >>> 0);
  const kind = surely ?? PERHAPS_NETWORK.get(type >>> 0);
  return kind === undefined ? undefined : { kind, perhaps: surely === undefined };
}

export function spaceCheck({ bavail, bsize }: Pick<StatsFs, "bavail" | "bsize">): HealthCheck {
  const free = bavail * bsize;
  return { name: "space", ok: free >= LOW_SPACE_BYTES, detail: `${Math.floor(free / 2 ** 20)} MiB are free` };
}
