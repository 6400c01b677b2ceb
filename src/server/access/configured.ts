import type { CheckedConfig } from "../../config-schema.ts";
import type { StorageConfig } from "../../config-storages.ts";
import { RegistryError } from "../../errors.ts";
import { type Place, placeBeside } from "./places.ts";

/** What a configuration says about tokens and audit, as the schemas here leave it. */
export interface ServerPlacesConfig {
  readonly tokens?: Place | undefined;
  /** `false`: none is kept. */
  readonly audit?: Place | false | undefined;
}

export interface ServerPlaces {
  readonly tokens: Place;
  readonly audit: Place | false;
}

/**
 * Where a server keeps its tokens and its audit log: as was said on the command line, in `server` of the configuration, or
 * beside the storage. The same for `serve` and for the commands that look after them.
 *
 * @param given locations, and `none` for no audit log
 * @throws RegistryError CONFIG
 */
export async function serverPlaces(
  config: CheckedConfig,
  given: { readonly tokens?: string | undefined; readonly audit?: string | undefined } = {},
): Promise<ServerPlaces> {
  const server: ServerPlacesConfig = config.server ?? {};
  const storage: StorageConfig = config.storage ?? { backend: "file", path: "." };
  const tokens = given.tokens === undefined ? server.tokens : await parsePlace("tokens", given.tokens);
  const audit =
    given.audit === undefined ? server.audit : given.audit === "none" ? false : await parsePlace("audit", given.audit);
  return {
    tokens: tokens ?? placeBeside(storage, "tokens.jsonl"),
    audit: audit ?? placeBeside(storage, "audit.jsonl"),
  };
}

/**
 * Parses `file:./tokens.jsonl`, `sqlite:./registry.db` or `postgres://host/database`.
 *
 * @param field as messages call it
 * @throws RegistryError CONFIG
 */
export async function parsePlace(field: "tokens" | "audit", text: string): Promise<Place> {
  const { tokensSchema } = await import("./schema.ts");
  const result = tokensSchema.safeParse(text);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new RegistryError("CONFIG", `${field}: ${issue?.message ?? "is no location"}`, { field });
}
