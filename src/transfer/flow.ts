/** Runs `work` for every item, at most `width` at a time, in any order. The first failure stops the rest. */
export async function forEachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | undefined;
  const start = (item: T) => {
    const task = work(item)
      .catch((error: unknown) => {
        failed ??= { error };
      })
      .finally(() => running.delete(task));
    running.add(task);
  };
  try {
    for await (const item of items) {
      if (failed !== undefined) break;
      start(item);
      while (running.size >= width && failed === undefined) await Promise.race(running);
    }
  } finally {
    // What is on its way is waited for, so that nothing is written after the caller was told.
    await Promise.all(running);
  }
  if (failed !== undefined) throw failed.error;
}

/** Maps in order, reading ahead by at most `width` items. */
export async function* mapOrdered<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const ahead: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const next = map(item);
      // It is awaited later; until then a failure is nobody's unhandled rejection.
      next.catch(() => {});
      ahead.push(next);
      if (ahead.length >= width) yield await (ahead.shift() as Promise<R>);
    }
    while (ahead.length > 0) yield await (ahead.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** Two sorted sequences side by side: what is only in one comes with `undefined` for the other. */
export async function* merge<A, B>(
  as: AsyncIterable<A>,
  bs: AsyncIterable<B>,
  compare: (a: A, b: B) => number,
): AsyncGenerator<readonly [A, B] | readonly [A, undefined] | readonly [undefined, B], void, undefined> {
  const left = as[Symbol.asyncIterator]();
  const right = bs[Symbol.asyncIterator]();
  try {
    let [a, b] = [await left.next(), await right.next()];
    while (a.done !== true || b.done !== true) {
      const order = a.done === true ? 1 : b.done === true ? -1 : compare(a.value, b.value);
      if (order < 0) {
        yield [a.value as A, undefined];
        a = await left.next();
      } else if (order > 0) {
        yield [undefined, b.value as B];
        b = await right.next();
      } else {
        yield [a.value as A, b.value as B];
        [a, b] = [await left.next(), await right.next()];
      }
    }
  } finally {
    await left.return?.();
    await right.return?.();
  }
}
