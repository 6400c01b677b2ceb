/** Without `undefined` among the values: a key that says nothing is not there, and overrides nothing. */
export type Defined<T> = T extends readonly unknown[]
  ? { [K in keyof T]: Defined<T[K]> }
  : T extends object
    ? { readonly [K in keyof T]: Defined<Exclude<T[K], undefined>> }
    : T;

/** The keys of this object that have a value. */
export function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
  return kept as { [K in keyof T]?: Exclude<T[K], undefined> };
}
