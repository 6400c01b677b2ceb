import type { PromptName } from "../names.ts";

/** Index of the first of sorted names that may be on a page, by bisection. */
export function firstAfter(names: readonly PromptName[], prefix: string, cursor: string | undefined): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const name = names[middle] as string;
    if (cursor === undefined || cursor < prefix ? name < prefix : name <= cursor) low = middle + 1;
    else high = middle;
  }
  return low;
}
