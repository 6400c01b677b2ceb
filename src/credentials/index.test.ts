import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { deleteCredential, readCredential, storeCredential } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "prompt-registry-credentials-"));
afterEach(() => rmSync(join(root, "c"), { recursive: true, force: true }));
// Tests must never touch the keyring of the person who runs them.
const options = { folder: join(root, "c"), keyring: false } as const;

describe("credentials in files", () => {
  it("gives back what was stored, and forgets it", async () => {
    expect(await readCredential("github.com", options)).toBeUndefined();
    const stored = await storeCredential("github.com", "s3cret", options);
    expect(stored.place).toBe("file");
    expect(await readCredential("GitHub.com ", options)).toBe("s3cret");
    expect(await deleteCredential("github.com", options)).toBe(true);
    expect(await deleteCredential("github.com", options)).toBe(false);
    expect(await readCredential("github.com", options)).toBeUndefined();
  });

  it("keeps each origin's own, however it is written", async () => {
    await storeCredential("https://Registry.example/v1", "one", options);
    await storeCredential("https://registry.example:8443", "two", options);
    expect(await readCredential("https://registry.example", options)).toBe("one");
    expect(await readCredential("https://registry.example:443/", options)).toBe("one");
    expect(await readCredential("http://registry.example", options)).toBeUndefined();
    expect(await readCredential("https://registry.example:8443", options)).toBe("two");
  });

  it("writes files that only their owner can read, and no others", async () => {
    await Promise.all([1, 2, 3, 4].map((n) => storeCredential("../../etc/x", `v${n}`, options)));
    const names = readdirSync(options.folder);
    expect(names).toHaveLength(1);
    expect(statSync(join(options.folder, names[0] as string)).mode & 0o777).toBe(0o600);
    expect(statSync(options.folder).mode & 0o777).toBe(0o700);
    expect(await readCredential("../../etc/x", options)).toMatch(/^v[1-4]$/);
  });

  it("refuses a file that others can read", async () => {
    const { path = "" } = await storeCredential("github.com", "s3cret", options);
    chmodSync(path, 0o644);
    await expect(readCredential("github.com", options)).rejects.toMatchObject({ code: "CONFIG" });
    await expect(readCredential("github.com", options)).rejects.not.toThrow(/s3cret/);
  });

  it("finds the user's own folder in the environment", async () => {
    const env = { HOME: root, XDG_CONFIG_HOME: join(root, "c"), APPDATA: join(root, "c") };
    const { path } = await storeCredential("github.com", "s3cret", { env, keyring: false });
    expect(path).toContain(join(root, "c", "prompt-registry", "credentials"));
  });
});
