import * as z from "zod";
import { RegistryError, show } from "../../errors.ts";

const price = z.number().min(0);

const classSchema = z.strictObject({
  /** For a GB (2^30 bytes) and a month. */
  storageGb: price,
  /** For 1,000 PUT requests. */
  put1000: price,
  /** For 1,000 GET requests. */
  get1000: price,
  /** For a GB read. */
  retrievalGb: price.default(0),
  /** A smaller object is billed as if it had so many bytes. */
  minimumBytes: z.number().int().min(0).default(0),
});

const tableSchema = z.strictObject({
  /** When the figures were taken down, e.g. `2025-06-01`. */
  asOf: z.string().min(4),
  region: z.string().min(1),
  currency: z.string().min(1),
  /** By storage class. */
  classes: z.record(z.string(), classSchema),
  /** For 1,000 LIST requests. */
  list1000: price,
  /** For a GB that leaves to the internet. */
  transferGb: price,
  /** For 10,000 requests to KMS, one for each PUT and each GET of an object encrypted with a key (without bucket keys). */
  kms10000: price,
});

export type Prices = z.infer<typeof tableSchema>;

/**
 * List prices of Amazon S3 without volume discounts and free allowances, from https://aws.amazon.com/s3/pricing/ as they
 * were known at that date: to be checked, or replaced by `--prices FILE`, before money depends on them.
 */
export const PRICES: Prices = {
  asOf: "2025-06-01",
  region: "us-east-1",
  currency: "USD",
  classes: {
    STANDARD: { storageGb: 0.023, put1000: 0.005, get1000: 0.0004, retrievalGb: 0, minimumBytes: 0 },
    STANDARD_IA: { storageGb: 0.0125, put1000: 0.01, get1000: 0.001, retrievalGb: 0.01, minimumBytes: 131_072 },
    ONEZONE_IA: { storageGb: 0.01, put1000: 0.01, get1000: 0.001, retrievalGb: 0.01, minimumBytes: 131_072 },
    GLACIER_IR: { storageGb: 0.004, put1000: 0.02, get1000: 0.01, retrievalGb: 0.03, minimumBytes: 131_072 },
  },
  list1000: 0.005,
  transferGb: 0.09,
  kms10000: 0.03,
};

/**
 * The table in a file: what it leaves out stays as it is in {@link PRICES}.
 *
 * @throws RegistryError INVALID
 */
export function readPrices(text: string, file: string): Prices {
  const bad = (problem: string) =>
    new RegistryError("INVALID", `${show(file)} ${problem}; --print-prices shows what a table looks like`, {
      field: "prices",
    });
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw bad("is no JSON");
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw bad("is no table of prices");
  const { classes } = given as { classes?: Record<string, unknown> };
  const merged = Object.entries(classes ?? {}).map(([name, own]) => [
    name,
    { ...PRICES.classes[name], ...(typeof own === "object" ? own : {}) },
  ]);
  const table = { ...PRICES, ...given, classes: { ...PRICES.classes, ...Object.fromEntries(merged) } };
  const { data, error } = tableSchema.safeParse(table);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw bad(`is no table of prices: ${issue?.path.join(".")}: ${issue?.message}`);
}
