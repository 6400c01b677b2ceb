import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { RegistryError, show } from "../../errors.ts";
import type { Place } from "../access/places.ts";
import type { AuditRecord } from "./line.ts";
import { readSqlAudit } from "./sql.ts";
import { type AuditReport, ChainCheck } from "./verify.ts";

export interface VerifyOptions {
  /** The hash of an entry that must be there: what an earlier verification gave as head. */
  readonly expect?: string | undefined;
  /** Told every entry, in order, until something is wrong and after. */
  readonly onRecord?: ((record: AuditRecord) => void) | undefined;
}

/**
 * Reads a whole audit log and checks that nothing in it was changed, removed or moved.
 *
 * @throws RegistryError NOT_FOUND where there is none; FORBIDDEN, UNAVAILABLE
 * @example
 * const { ok, heads } = await verifyAudit({ backend: "file", path: "./audit.jsonl" }, { expect: keptElsewhere });
 */
export function verifyAudit(place: Place, options: VerifyOptions = {}): Promise<AuditReport> {
  return place.backend === "file" ? verifyFile(place.path, options) : verifySql(place, options);
}

async function verifyFile(path: string, { expect, onRecord }: VerifyOptions): Promise<AuditReport> {
  const check = new ChainCheck(expect);
  let line = 0;
  let isWhole = true;
  for await (const { bytes, whole } of linesOf(path)) {
    line++;
    isWhole = whole;
    const record = check.push(bytes, line);
    if (record !== undefined) onRecord?.(record);
  }
  return check.end(line, isWhole);
}

/** Lines end with LF alone; what is half a character in a damaged line stays as it is. */
async function* linesOf(path: string): AsyncIterable<{ readonly bytes: Buffer; readonly whole: boolean }> {
  let rest: Buffer = Buffer.alloc(0);
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    const code = error.code === "ENOENT" ? "NOT_FOUND" : error.code === "EACCES" ? "FORBIDDEN" : "UNAVAILABLE";
    throw new RegistryError(code, `the audit log ${show(path)} can't be read (${error.code})`, { path, cause: error });
  });
  try {
    refuseFolder(path, await handle.stat());
    for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        yield { bytes: bytes.subarray(from, end), whole: true };
        from = end + 1;
      }
      rest = bytes.subarray(from);
    }
    if (rest.length > 0) yield { bytes: rest, whole: false };
  } finally {
    await handle.close();
  }
}

/**
 * A folder is what `file:` names in `--storage`, and is no audit log.
 *
 * @throws RegistryError CONFIG
 */
export function refuseFolder(path: string, stats: Pick<Stats, "isDirectory"> | undefined): void {
  if (stats?.isDirectory() !== true) return;
  const file = `file:${path}/audit.jsonl`;
  throw new RegistryError("CONFIG", `the audit log ${show(path)} is a folder; name the file, such as ${file}`, {
    path,
  });
}

async function verifySql(place: Exclude<Place, { backend: "file" }>, options: VerifyOptions): Promise<AuditReport> {
  const { expect, onRecord } = options;
  const check = new ChainCheck(expect);
  const source = await readSqlAudit(place);
  try {
    let last = 0;
    let misplaced: number | undefined;
    let atEnd = source.end.seq === 0 ? source.end.hash : undefined;
    for await (const { seq, line } of source.lines) {
      const record = check.push(line, seq);
      if (record !== undefined && record.seq !== seq) misplaced ??= seq;
      if (seq === source.end.seq) atEnd = record?.hash;
      if (record !== undefined) onRecord?.(record);
      last = seq;
    }
    const report = check.end(last, true);
    if (report.problem !== undefined) return report;
    if (misplaced !== undefined)
      return { ...report, ok: false, problem: { line: misplaced, what: "it stands elsewhere" } };
    if (atEnd === source.end.hash) return report;
    return { ...report, ok: false, problem: { line: last + 1, what: "the last entries are missing" } };
  } finally {
    await source.close();
  }
}
