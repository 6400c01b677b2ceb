import type { AsyncEntry } from "@napi-rs/keyring";

export interface Keyring {
  get(key: string): Promise<string | undefined>;
  /** Whether it was stored. */
  set(key: string, secret: string): Promise<boolean>;
  delete(key: string): Promise<boolean>;
}

const SERVICE = "prompt-registry";

/**
 * The keyring of the operating system, by the optional package `@napi-rs/keyring`. On Linux only the Secret Service counts:
 * the kernel's own keyring, which the package would fall back to, forgets everything when the machine restarts.
 *
 * A keyring that is locked, absent or refuses is as good as none: credentials then lie in files.
 */
export async function openKeyring(): Promise<Keyring | undefined> {
  const Entry = await import("@napi-rs/keyring").then(
    (module) => module.AsyncEntry,
    () => undefined,
  );
  if (Entry === undefined) return undefined;
  const tried = async <T>(key: string, run: (entry: AsyncEntry) => Promise<T>) => {
    try {
      return await run(new Entry(SERVICE, key, { linux: { store: "secret-service" } }));
    } catch {
      return undefined;
    }
  };
  return {
    get: async (key) => (await tried(key, (entry) => entry.getPassword())) ?? undefined,
    set: async (key, secret) => (await tried(key, (entry) => entry.setPassword(secret).then(() => true))) === true,
    delete: async (key) => (await tried(key, (entry) => entry.deleteCredential())) === true,
  };
}
