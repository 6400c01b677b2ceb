/**
 * Where a person's own tokens lie between two commands: the keyring of the operating system where there is one, else a
 * file that only its owner can read. Nothing else in this package stores a secret.
 */
import { RegistryError } from "../errors.ts";
import { deleteFile, folderOf, readFileOf, writeFileOf } from "./files.ts";
import { openKeyring } from "./keyring.ts";

export interface CredentialOptions {
  /** Where the folder of the files is found. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The folder itself. Default: `prompt-registry/credentials` in the user's configuration folder. */
  readonly folder?: string;
  /** `false`: never ask the keyring. Default `true`. */
  readonly keyring?: boolean;
}

export interface StoredCredential {
  readonly place: "keyring" | "file";
  /** Of the file. */
  readonly path?: string;
}

/**
 * The secret that was stored for a service; `undefined` for none.
 *
 * @param service what it opens: `github.com`, `https://registry.example`
 * @throws RegistryError CONFIG where the file can be read by others, or can't be read at all
 * @example
 * const token = await readCredential("github.com");
 */
export async function readCredential(service: string, options: CredentialOptions = {}): Promise<string | undefined> {
  const ring = await keyringOf(options);
  const secret = await ring?.get(keyOf(service));
  return secret ?? readFileOf(folderOf(options), keyOf(service));
}

/**
 * Stores a secret, in the keyring if there is one that works, else in a file of mode 0600. The caller should say so to
 * the person where it became a file.
 *
 * @throws RegistryError CONFIG where neither can be written
 */
export async function storeCredential(
  service: string,
  secret: string,
  options: CredentialOptions = {},
): Promise<StoredCredential> {
  if (secret === "") throw new RegistryError("INVALID", "an empty secret can't be stored", { field: "secret" });
  const key = keyOf(service);
  const folder = folderOf(options);
  if ((await (await keyringOf(options))?.set(key, secret)) === true) {
    // An older copy would come back when the keyring is locked.
    await deleteFile(folder, key);
    return { place: "keyring" };
  }
  return { place: "file", path: await writeFileOf(folder, key, secret) };
}

/**
 * Forgets a secret, wherever it lies.
 *
 * @returns whether there was one
 */
export async function deleteCredential(service: string, options: CredentialOptions = {}): Promise<boolean> {
  const key = keyOf(service);
  const inRing = (await (await keyringOf(options))?.delete(key)) === true;
  const inFile = await deleteFile(folderOf(options), key);
  return inRing || inFile;
}

async function keyringOf(options: CredentialOptions) {
  return options.keyring === false ? undefined : openKeyring();
}

/** The same service is found however it was written: an origin has no path, and hosts no capitals. */
function keyOf(service: string): string {
  const text = service.trim();
  if (!/^https?:\/\//i.test(text)) return text.toLowerCase();
  try {
    return new URL(text).origin;
  } catch {
    throw new RegistryError("INVALID", "the service is no URL that could have credentials", { field: "service" });
  }
}
