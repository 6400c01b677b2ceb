// Asks for the stored token in a process of its own, when it is told to.
import { githubAuth } from "../../src/github/auth.ts";

process.on("message", ({ baseUrl, folder }: { readonly baseUrl: string; readonly folder: string }) => {
  githubAuth({ baseUrl, env: {}, credentials: { folder, keyring: false } })
    .token()
    .then(
      (token) => process.send?.({ token }),
      (error: unknown) => process.send?.({ error: String(error) }),
    )
    .finally(() => process.disconnect());
});
process.send?.("ready");
