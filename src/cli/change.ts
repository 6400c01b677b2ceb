import { usageError } from "./args.ts";
import type { Context } from "./command.ts";

/** Who and why of a change, from the options that commands share. */
export function changeOptions(
  context: Context,
  values: { readonly author?: string; readonly message?: string },
): { readonly signal: AbortSignal; readonly author?: string; readonly message?: string } {
  return {
    signal: context.signal,
    ...(values.author === undefined ? {} : { author: values.author }),
    ...(values.message === undefined ? {} : { message: values.message }),
  };
}

/** `NAME VERSION` or `NAME@VERSION`. */
export function nameAndVersion(positionals: readonly string[]): { readonly name: string; readonly version?: string } {
  const [first = "", second] = positionals;
  const at = first.indexOf("@");
  if (at < 0) return { name: first, ...(second === undefined ? {} : { version: second }) };
  if (second !== undefined) throw usageError(`give the version once: ${first.slice(0, at)} ${second}, or ${first}`);
  return { name: first.slice(0, at), version: first.slice(at + 1) };
}

/** The same, where the version must be given. */
export function nameWithVersion(positionals: readonly string[]): { readonly name: string; readonly version: string } {
  const { name, version } = nameAndVersion(positionals);
  if (version === undefined) throw usageError("missing VERSION");
  return { name, version };
}
