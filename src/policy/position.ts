/** Line and column of an offset, both 1-based; lines end with LF, columns count UTF-16 units. */
export type Locate = (offset: number) => { readonly line: number; readonly column: number };

/** Looks for line ends only when something was found, and then once. */
export function locator(text: string): Locate {
  let starts: number[] | undefined;
  return (offset) => {
    if (starts === undefined) {
      starts = [0];
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    }
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] as number) + 1 };
  };
}
