/**
 * Lists and maps of what a server takes. They are given up at the first thing in them that is wrong: a schema library that
 * collects all of it can be kept busy for seconds with a body that is read in milliseconds.
 */
import * as z from "zod";
import { cut } from "../../errors.ts";

/** That are told of one body, and characters of each. */
export const MAX_ISSUES = 20;
export const MAX_ISSUE = 200;

/** What is in a list or a map, by the schema that does not look at it. */
const insides = new WeakMap<object, Inside>();

interface Inside {
  readonly type: "array" | "object";
  readonly parts: Readonly<Record<string, z.ZodType>>;
}

/** The JSON Schema keywords that such a schema lacks. */
export function insideOf(schema: object): Inside | undefined {
  return insides.get(schema);
}

export function list<T>(item: z.ZodType<T>, max: number) {
  const raw = z.array(z.unknown()).max(max);
  insides.set(raw, { type: "array", parts: { items: item } });
  return raw.transform((values, context): T[] => {
    const checked: T[] = [];
    for (const [i, value] of values.entries()) {
      const result = item.safeParse(value);
      if (!result.success) return told(context, i, result.error);
      checked.push(result.data);
    }
    return checked;
  });
}

export function map<K extends string, T>(key: z.ZodType<K>, value: z.ZodType<T>) {
  const raw = z.custom<Readonly<Record<string, unknown>>>(isObject, "must be an object");
  insides.set(raw, { type: "object", parts: { propertyNames: key, additionalProperties: value } });
  return raw.transform((values, context): Record<K, T> => {
    const checked = {} as Record<K, T>;
    for (const name of Object.keys(values)) {
      const isKey = key.safeParse(name);
      if (!isKey.success) return told(context, name, isKey.error);
      const result = value.safeParse(values[name]);
      if (!result.success) return told(context, name, result.error);
      checked[isKey.data] = result.data;
    }
    return checked;
  });
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function told(context: z.RefinementCtx, at: string | number, { issues }: z.ZodError): never {
  for (const { message, path } of issues.slice(0, MAX_ISSUES))
    context.addIssue({ code: "custom", message: cut(message, MAX_ISSUE), path: [at, ...path] });
  return z.NEVER;
}
