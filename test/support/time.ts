/**
 * The shortest of up to five runs, in milliseconds; stops as soon as one is below `enough`. A machine under load loses its
 * turn now and then; what hangs does so each time.
 */
export function shortest(run: () => unknown, enough = 50): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5 && best >= enough; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
