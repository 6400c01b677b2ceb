import * as z from "zod";
import { isRegistryError } from "../../errors.ts";
import { parseRef } from "../../names.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};
/** Node's timers take no more. */
const MAX_DURATION = 2 ** 31 - 1;

/** Milliseconds of `60000`, `"60000"`, `"60s"`; `undefined` for what is neither. */
export function parseDuration(value: number | string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(String(value).trim());
  if (match === null) return undefined;
  const ms = Number(match[1]) * (UNITS[match[2] ?? "ms"] as number);
  return ms <= MAX_DURATION ? Math.round(ms) : undefined;
}

/** Bytes of `1000`, `"64MB"`, `"64 MiB"`. */
export function parseSize(value: number | string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?) ?([a-z]*)$/i.exec(String(value).trim());
  const unit = SIZES[(match?.[2] ?? "").toLowerCase()];
  if (match === null || unit === undefined) return undefined;
  const size = Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(size) ? size : undefined;
}

function parsed<T>(parse: (value: number | string) => T | undefined, message: string) {
  return z.union([z.number(), z.string()], message).transform((value, context): T => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
}

export const duration = parsed(
  parseDuration,
  'must be milliseconds or a time such as "60s", "5m" or "1d", at most 24 days',
);
export const bytes = parsed(parseSize, 'must be bytes or a size such as "64MB"');
/** Also as text: options in a location and in variables are text. */
export const count = parsed(
  (value) => (/^\d{1,9}$/.test(String(value)) ? Number(value) : undefined),
  "must be a whole number",
);

/** A text that some parser of ours takes; its problem is told in its own words. */
function understood<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
}

/** What a location means; still to be checked as a storage. */
export function location<T>(parse: (text: string) => T) {
  return understood(parse);
}

export const selector = understood((text) => {
  parseRef(text);
  return text;
});
