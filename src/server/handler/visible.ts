/**
 * Lists for callers who may read only some prompts. The storage is asked for nothing else: a page that was filtered
 * afterwards, or its cursor, would tell of what was left out.
 */
import type { ListQuery, Operation, Page, PromptEntry, Provenance, StorageDriver } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { Access, Principal } from "../types.ts";

/** Names that are readable together; in byte order of their keys, ranges do not overlap. */
interface Range {
  /** One name, or the beginning of many, which ends with a slash or is what was asked for. */
  readonly key: string;
  readonly isName: boolean;
}

/** Questions to the storage for one page; where there are more ranges than these, the page ends early. */
const MAX_QUESTIONS = 50;

/** As `driver.listPrompts`, as if what the caller may not read were not there. */
export async function listVisible(
  driver: StorageDriver,
  access: Access,
  principal: Principal,
  query: ListQuery,
  op: Operation,
): Promise<Page<PromptEntry>> {
  if (access.allows(principal, "read", {})) return driver.listPrompts(query, op);
  const { cursor, limit, prefix = "", ...rest } = query;
  const place = cursor === undefined ? undefined : placeOf(cursor);
  const ranges = rangesOf(access, principal, prefix).filter(({ key }) => place === undefined || key >= place.key);
  const items: PromptEntry[] = [];
  let provenance: Provenance | undefined;
  const page = (next?: string): Page<PromptEntry> => ({
    items,
    ...(next === undefined ? {} : { cursor: next }),
    ...(provenance === undefined ? {} : { provenance }),
  });
  for (const [i, { key, isName }] of ranges.entries()) {
    if (items.length >= limit || i >= MAX_QUESTIONS) return page(`${key}:`);
    const start = key === place?.key && place.cursor !== "" ? { cursor: place.cursor } : {};
    const part = isName
      ? await driver.listPrompts({ ...rest, prefix: key, limit: 1 }, op)
      : await driver.listPrompts({ ...rest, prefix: key, limit: limit - items.length, ...start }, op);
    items.push(
      ...part.items.filter(({ name }) => (isName ? name === key : access.allows(principal, "read", { name }))),
    );
    provenance = older(provenance, part.provenance);
    if (!isName && part.cursor !== undefined) return page(`${key}:${part.cursor}`);
  }
  return page();
}

function rangesOf(access: Access, principal: Principal, prefix: string): readonly Range[] {
  const readable = principal.grants
    .map((grant) => grant.prefix)
    .filter((name) => name !== "" && access.allows(principal, "read", { name: name as PromptName }));
  const whole = [...new Set(readable)].filter((name) => !readable.some((other) => name.startsWith(`${other}/`)));
  const ranges: Range[] = [];
  for (const name of whole) {
    if (name.startsWith(prefix)) ranges.push({ key: name, isName: true });
    if (`${name}/`.startsWith(prefix)) ranges.push({ key: `${name}/`, isName: false });
    else if (prefix.startsWith(`${name}/`)) ranges.push({ key: prefix, isName: false });
  }
  return ranges.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function placeOf(cursor: string): { readonly key: string; readonly cursor: string } {
  const match = /^([a-z0-9._/-]{1,201}):(.*)$/s.exec(cursor);
  if (match === null) throw new RegistryError("INVALID", "that is no cursor of this list", { field: "query.cursor" });
  return { key: match[1] as string, cursor: match[2] as string };
}

function older(one: Provenance | undefined, other: Provenance | undefined): Provenance | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const oldest = one.fetchedAt <= other.fetchedAt ? one : other;
  return { ...oldest, stale: one.stale || other.stale };
}
