import { createGunzip } from "node:zlib";
import { RegistryError } from "../../errors.ts";

const BLOCK = 512;
const MIB = 2 ** 20;

/** What an archive may cost. Beyond it, blobs are asked for one by one. */
export interface ArchiveLimits {
  /** As it is sent. */
  readonly compressed: number;
  /** Unpacked, all of it. */
  readonly bytes: number;
  /** Files, folders, links and headers. */
  readonly entries: number;
  /** Of one file; a larger one is passed over. */
  readonly file: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  compressed: 64 * MIB,
  bytes: 512 * MIB,
  entries: 250_000,
  file: 16 * MIB,
};

/**
 * The regular files of a gzipped tar archive, whatever their names: who asks knows them by their object id. Unpacked as it is
 * read, so that at most one file of it is in memory.
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
 *
 * @throws RegistryError UNSUPPORTED where it is more than the limits allow; any other error for a damaged archive
 */
export async function* readTarball(archive: Uint8Array, limits = ARCHIVE_LIMITS): AsyncGenerator<Uint8Array> {
  if (archive.length > limits.compressed) throw tooLarge(`it has more than ${limits.compressed} bytes`);
  const source = new Source(archive, limits.bytes);
  try {
    for (let entries = 1; ; entries++) {
      const header = await source.take(BLOCK);
      if (header === undefined || header[0] === 0) return;
      if (entries > limits.entries) throw tooLarge(`it has more than ${limits.entries} entries`);
      const size = Number.parseInt(header.toString("latin1", 124, 136).replace(/\0/g, "").trim() || "0", 8);
      if (!Number.isSafeInteger(size) || size < 0) throw new Error("an archive with a size that is none");
      const type = header[156];
      const padded = Math.ceil(size / BLOCK) * BLOCK;
      // "0" and NUL are files; links, folders and extended headers are passed over.
      if ((type === 0x30 || type === 0) && size <= limits.file) {
        const body = await source.take(padded);
        if (body === undefined) throw new Error("an archive that ends within a file");
        yield body.subarray(0, size);
      } else await source.skip(padded);
    }
  } finally {
    source.close();
  }
}

function tooLarge(problem: string): RegistryError {
  return new RegistryError("UNSUPPORTED", `the archive is too large to be worth it: ${problem}`, {
    backend: "github",
    operation: "reading the archive",
  });
}

/** The unpacked bytes, in the pieces that are asked for. */
class Source {
  readonly #gunzip = createGunzip({ chunkSize: 256 * 1024 });
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #max: number;
  #chunk: Buffer = Buffer.alloc(0);
  #total = 0;

  constructor(archive: Uint8Array, max: number) {
    this.#max = max;
    this.#chunks = this.#gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#gunzip.end(archive);
  }

  /** @returns whether there is more */
  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      this.#total += value.length;
      if (this.#total > this.#max) throw tooLarge(`it unpacks to more than ${this.#max} bytes`);
      this.#chunk = value;
    }
    return true;
  }

  #cut(bytes: number): Buffer {
    const part = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  /** `undefined` where there are less. */
  async take(bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      if (!(await this.#fill())) return undefined;
      const part = this.#cut(left);
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      if (!(await this.#fill())) return;
      left -= this.#cut(left).length;
    }
  }

  close(): void {
    this.#gunzip.destroy();
  }
}
