import { join } from "node:path";
import { fs } from "../../src/drivers/fs/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import type { PromptRegistry } from "../../src/registry.ts";
import { copyStorage } from "../../src/transfer/index.ts";

/** A call of a method of the registry, as data; or `copy`, which copies the registry in `source` beside the prompts. */
export interface Step {
  readonly method: string;
  readonly args: readonly unknown[];
}

/** How a call ended for one prompt, or (`name: null`) for all it was about. */
export type One =
  | { readonly name: string | null; readonly ok: true; readonly warnings: readonly string[] }
  | {
      readonly name: string | null;
      readonly ok: false;
      readonly code: string;
      readonly outcome: string;
      readonly message: string;
    };

export type Ending = readonly One[];

export function perform(registry: PromptRegistry, { method, args }: Step): Promise<unknown> {
  if (method === "copy") return copyFrom(registry);
  const call = registry[method as "unpin"] as (...args: unknown[]) => Promise<unknown>;
  return call.apply(registry, [...args]);
}

async function copyFrom({ driver }: PromptRegistry): Promise<{ status: string }> {
  const { ok, failures, conflicts } = await copyStorage(fs({ path: join(driver.location, "..", "source") }), driver);
  if (!ok) throw failures[0]?.error ?? new Error(`the copy is not equal: ${JSON.stringify(conflicts)}`);
  return { status: "copied" };
}

interface Result {
  readonly name?: string;
  readonly status?: string;
  readonly error?: unknown;
  readonly warnings?: readonly string[];
}

export async function ending(run: () => Promise<unknown>, { args }: Step): Promise<Ending> {
  try {
    const result = await run();
    // Of many, each succeeds or fails for itself.
    return (Array.isArray(result) ? (result as Result[]) : [result as Result]).map((one) =>
      one.status === "failed"
        ? refusal(one.error, one.name ?? null)
        : { name: one.name ?? null, ok: true, warnings: one.warnings ?? [] },
    );
  } catch (error) {
    const first = args[0] as { name?: string } | string | undefined;
    return [refusal(error, typeof first === "string" ? first : (first?.name ?? null))];
  }
}

function refusal(error: unknown, name: string | null): One {
  if (isRegistryError(error)) {
    return { name, ok: false, code: error.code, outcome: error.outcome, message: error.message };
  }
  const message = String((error as Error)?.stack ?? error);
  return { name, ok: false, code: "not a RegistryError", outcome: "", message };
}
