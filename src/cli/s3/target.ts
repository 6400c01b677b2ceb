import { type Resolved, resolveOptions, type S3Options } from "../../drivers/s3/options.ts";
import { RegistryError, show } from "../../errors.ts";
import { usageError } from "../args.ts";
import type { Context } from "../command.ts";

const TEXTS = ["region", "endpoint", "profile", "roleArn", "externalId", "expectedBucketOwner"] as const;

/**
 * The bucket a command is about: a bucket's name, or a location `s3://bucket/prefix?region=…&endpoint=…`; where none is
 * named, the storage of `--storage` or `PROMPT_REGISTRY_STORAGE`.
 *
 * @throws RegistryError INVALID where no bucket is named at all, CONFIG for a wrong location
 */
export function targetOf(context: Context, named: string | undefined): Resolved {
  const text = named ?? context.storage ?? context.io.env.PROMPT_REGISTRY_STORAGE;
  if (text === undefined || (named === undefined && !/^s3:/i.test(text))) {
    throw usageError("missing BUCKET; write its name, or s3://BUCKET/PREFIX");
  }
  if (!/^s3:/i.test(text)) return resolveOptions({ bucket: text });
  const match = /^s3:\/\/([^/?#]+)\/?([^?#]*)(?:\?(.*))?$/i.exec(text.trim());
  if (match === null) throw badLocation("is no location; write s3://BUCKET/PREFIX");
  const [, bucket = "", prefix = "", query = ""] = match;
  const given = new URLSearchParams(query);
  const options: Record<string, unknown> = { bucket: decode(bucket), prefix: decode(prefix) };
  for (const field of TEXTS) if (given.has(field)) options[field] = given.get(field);
  const style = given.get("forcePathStyle");
  if (style !== null) options.forcePathStyle = style === "true" || style === "1";
  return resolveOptions(options as unknown as S3Options);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badLocation(`has a % that is not followed by two hex digits: ${show(text)}`);
  }
}

function badLocation(problem: string): RegistryError {
  return new RegistryError("CONFIG", `the bucket ${problem}`, { field: "storage" });
}
