/**
 * Whether an answer looks like what it should be, as far as the page would break or mislead without. A proxy may answer 200
 * with anything.
 */
type Guard = (value: unknown) => boolean;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText: Guard = (value) => typeof value === "string";
const isTexts: Guard = (value) => Array.isArray(value) && value.every(isText);
const has =
  (fields: Readonly<Record<string, Guard>>): Guard =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([key, is]) => is(value[key]));
const optional =
  (is: Guard): Guard =>
  (value) =>
    value === undefined || is(value);
const mapOf =
  (is: Guard): Guard =>
  (value) =>
    isObject(value) && Object.values(value).every(is);
const listOf =
  (is: Guard): Guard =>
  (value) =>
    Array.isArray(value) && value.every(is);

const yank = has({ at: isText, by: optional(isText), reason: optional(isText) });
const deprecation = has({ at: isText, by: optional(isText), message: isText });
const head = has({
  head: has({
    labels: mapOf(isText),
    pin: optional(isText),
    yanked: mapOf(yank),
    deprecated: optional(deprecation),
    updatedAt: optional(isText),
  }),
  latest: optional(isText),
});
const document = has({
  ...{ name: isText, version: isText, text: isText, digest: isText },
  ...{ author: optional(isText), createdAt: optional(isText), message: optional(isText) },
  ...{ labels: optional(isTexts), yanked: optional(yank), deprecated: optional(deprecation) },
});
const page = (item: Guard): Guard => has({ items: listOf(item), cursor: optional(isText) });
const end = has({ version: isText });

export const SHAPES = {
  service: has({
    capabilities: isObject,
    limits: has({ documentBytes: (value) => typeof value === "number" }),
    principal: has({
      id: isText,
      name: isText,
      grants: listOf(has({ right: isText, prefix: isText, labels: optional(isTexts) })),
    }),
  }),
  prompts: page(has({ name: isText, head: optional(head) })),
  head,
  document,
  versions: page(has({ version: isText, yanked: optional(yank) })),
  history: page(
    has({
      ...{ at: isText, by: optional(isText), action: isText, label: optional(isText) },
      ...{ from: optional(isText), to: optional(isText), message: optional(isText) },
    }),
  ),
  comparison: has({ from: end, to: end, unified: optional(isText), added: isTexts, removed: isTexts }),
  changes: page(has({ name: isText })),
  result: has({ name: isText, status: isText, version: optional(isText), warnings: optional(isTexts) }),
} satisfies Readonly<Record<string, Guard>>;

export type Shape = keyof typeof SHAPES;
