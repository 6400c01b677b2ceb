// A writer to a GitHub branch in a process of its own.
import { type GithubOptions, github } from "../../src/drivers/github/index.ts";
import { PromptRegistry } from "../../src/registry.ts";

export interface GithubOrder {
  readonly options: GithubOptions;
  readonly who: number;
  readonly versions: number;
}

/** Versions that were acknowledged; each as `name@version`. */
export interface GithubReport {
  readonly acked: readonly string[];
  readonly failed: readonly string[];
}

async function obey({ options, who, versions }: GithubOrder): Promise<GithubReport> {
  const registry = new PromptRegistry(await github(options), { author: `writer ${who}` });
  const acked: string[] = [];
  const failed: string[] = [];
  // In waves, so that some wait while others are written: these become one commit.
  for (let at = 0; at < versions; at += 4) {
    const wave = Array.from({ length: Math.min(4, versions - at) }, async (_, i) => {
      const version = `${who}.${at + i}.0`;
      for (const name of [`shared/all`, `own/w${who}`]) {
        try {
          await registry.storePrompt({ name, version, text: `${version} of ${name}\n` });
          acked.push(`${name}@${version}`);
        } catch (error) {
          failed.push(`${name}@${version}: ${(error as Error).message}`);
        }
      }
    });
    await Promise.all(wave);
  }
  await registry.close();
  return { acked, failed };
}

process.on("message", (order: GithubOrder) => {
  obey(order).then(
    (report) => process.send?.({ report }, () => process.disconnect()),
    (error: Error) => process.send?.({ failed: error.message }, () => process.disconnect()),
  );
});
