import { gunzipSync } from "node:zlib";

const BLOCK = 512;
const MAX_BYTES = 512 * 2 ** 20;

/**
 * The regular files of a gzipped tar archive, whatever their names: who asks knows them by their object id.
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
 *
 * @throws Error for an archive that is damaged or larger than 512 MiB
 */
export function* readTarball(archive: Uint8Array): Generator<Uint8Array> {
  const bytes = gunzipSync(archive, { maxOutputLength: MAX_BYTES });
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header[0] === 0) return;
    const size = Number.parseInt(header.toString("latin1", 124, 136).replace(/\0/g, "").trim() || "0", 8);
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("an archive with a size that is none");
    const type = header[156];
    const start = at + BLOCK;
    // "0" and NUL are files; links, folders and extended headers are passed over.
    if (type === 0x30 || type === 0) yield bytes.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}
