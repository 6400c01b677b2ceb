import { performance } from "node:perf_hooks";
import { median, quantile, spread } from "./stats.mjs";

/**
 * What is timed. Exactly one subject of a case is `ours`.
 *
 * @typedef {object} Subject
 * @property {string} name
 * @property {"ours" | "floor" | "rival"} role
 * @property {(i: number) => unknown} [op] one operation, timed by itself; `i` never repeats
 * @property {(n: number) => unknown} [loop] `n` operations in a loop of its own, for what is faster than the clock
 * @property {boolean} [told] the loop itself tells the nanoseconds of an operation; needs `n`
 * @property {boolean} [async] whether the result is awaited
 * @property {number} [n] operations a slot; of a loop: found out when left out
 * @property {number} [per] records that one operation handles; times are per record
 * @property {boolean} [durable] of a store: whether it survives a power cut
 * @property {() => unknown} [before] run before each slot, not timed
 */

async function runSlot(subject, next) {
  await subject.before?.();
  const { op, loop, n, per = 1 } = subject;
  if (loop !== undefined) {
    const start = performance.now();
    const pending = loop(n);
    const told = subject.async ? await pending : pending;
    // Another program has measured it.
    if (subject.told) return [told];
    return [((performance.now() - start) * 1e6) / n / per];
  }
  const samples = [];
  for (let i = 0; i < n; i++) {
    const start = performance.now();
    const pending = op(next + i);
    if (subject.async) await pending;
    samples.push(((performance.now() - start) * 1e6) / per);
  }
  return samples;
}

/** Finds how often a loop must run to last about `ms`, and warms it up on the way. */
async function calibrate(subject, ms) {
  if (subject.loop === undefined) return { ...subject, n: subject.n ?? 1 };
  if (subject.n !== undefined) return subject;
  let n = 64;
  for (;;) {
    await subject.before?.();
    const start = performance.now();
    const pending = subject.loop(n);
    if (subject.async) await pending;
    const took = performance.now() - start;
    if (took >= ms) return { ...subject, n: Math.max(1, Math.round((n * ms) / took)) };
    n *= took < ms / 8 ? 4 : 2;
  }
}

/**
 * Runs all subjects in turn: each round has `slots`, in each slot every subject runs once, and who begins changes from
 * slot to slot. So what slows this machine down for a moment slows all of them down.
 */
export async function measure(subjects, { rounds, slots = 4, loopMs = 8, warmMs = 300 }) {
  const ready = [];
  for (const subject of subjects) ready.push(await calibrate(subject, loopMs));
  const next = ready.map(() => 0);
  const results = ready.map((subject) => ({ subject, medians: [], samples: [] }));
  const slot = async (k) => {
    const samples = await runSlot(ready[k], next[k]);
    next[k] += ready[k].n;
    return samples;
  };
  for (let k = 0; k < ready.length; k++) {
    // Code that was not compiled yet is several times slower, and is not what a program runs for long.
    const end = performance.now() + warmMs;
    do await slot(k);
    while (performance.now() < end);
  }
  for (let round = 0; round < rounds; round++) {
    const seen = ready.map(() => []);
    for (let s = 0; s < slots; s++) {
      for (let turn = 0; turn < ready.length; turn++) {
        const k = (round + s + turn) % ready.length;
        seen[k].push(...(await slot(k)));
      }
    }
    for (const [k, samples] of seen.entries()) {
      results[k].medians.push(median(samples));
      results[k].samples.push(...samples);
    }
  }
  return results.map(({ subject, medians, samples }) => ({
    name: subject.name,
    role: subject.role,
    ...(subject.durable === undefined ? {} : { durable: subject.durable }),
    ns_median: median(samples),
    ns_min: Math.min(...samples),
    p99: quantile(samples, 0.99),
    spread: spread(medians),
    n: samples.length * (subject.loop === undefined ? 1 : subject.n),
    medians,
  }));
}

/** `a / b`, round by round, so that both sides of a quotient saw the same machine. */
export function ratio(a, b) {
  const rounds = a.medians.map((value, i) => value / b.medians[i]);
  return { value: median(rounds), spread: spread(rounds) };
}
