import { ratio } from "./measure.mjs";

/** A goal may be missed by this much before `--gate` fails: machines differ. */
export const TOLERANCE = 1.25;
export const NOISY = 0.5;

/**
 * @typedef {object} Goal
 * @property {string} [vs] name of a floor or rival
 * @property {number} [most] ours takes at most so many times as long as `vs`
 * @property {number} [faster] ours is at least so many times faster than `vs`
 * @property {number} [over] ours takes at most so many nanoseconds longer than `vs`
 * @property {number} [ns] ours takes at most so many nanoseconds
 * @property {string} [count] what was counted, and `exactly` or `upTo` how many, and the number `found`
 * @property {boolean} [stretch] wished for; never gated
 */

function judge(goal, ours, other) {
  if (goal.count !== undefined) {
    const limit = goal.exactly ?? goal.upTo;
    const met = goal.exactly === undefined ? goal.found <= limit : goal.found === limit;
    const sign = goal.exactly === undefined ? "≤" : "=";
    return { text: `${goal.count} ${sign} ${limit}`, value: goal.found, met, passes: met, spread: 0 };
  }
  if (goal.ns !== undefined) {
    const value = ours.ns_median / goal.ns;
    return { text: `≤ ${goal.ns / 1000} µs`, of: "limit", ...upTo(value, 1), spread: ours.spread };
  }
  if (goal.over !== undefined) {
    const rounds = ours.medians.map((ns, i) => ns - other.medians[i]);
    const { value, spread } = ratio({ medians: rounds }, { medians: rounds.map(() => goal.over) });
    return { text: `≤ ${other.name} + ${goal.over / 1e6} ms`, of: "limit", ...upTo(value, 1), spread };
  }
  if (goal.faster !== undefined) {
    const { value, spread } = ratio(other, ours);
    const met = value >= goal.faster;
    const passes = value >= goal.faster / TOLERANCE;
    return { text: `≥ ${goal.faster}× faster than ${other.name}`, value, met, passes, spread };
  }
  const { value, spread } = ratio(ours, other);
  return { text: `≤ ${goal.most}× ${other.name}`, ...upTo(value, goal.most), spread };
}

function upTo(value, limit) {
  return { value, met: value <= limit, passes: value <= limit * TOLERANCE };
}

/** What one case came to, as it goes into the results. Goals against rivals that are not installed are left out. */
export function evaluate(entry, results, goals) {
  const ours = results.find((r) => r.role === "ours");
  const floor = results.find((r) => r.role === "floor");
  const judged = goals
    .filter((goal) => goal.vs === undefined || results.some((r) => r.name === goal.vs))
    .map((goal) => ({
      ...judge(
        goal,
        ours,
        results.find((r) => r.name === goal.vs),
      ),
      ...(goal.stretch ? { stretch: true } : {}),
    }));
  const rivals = results.filter((r) => r.role === "rival");
  const { medians: _, name, role, ...own } = ours;
  return {
    id: entry.id,
    goal: entry.goal,
    title: entry.title,
    ...own,
    ...(floor === undefined
      ? {}
      : { floor: floor.name, floor_ns: floor.ns_median, ratio_floor: ratio(ours, floor).value }),
    rivals: Object.fromEntries(rivals.map((r) => [r.name, ratio(ours, r).value])),
    ...(rivals.some((r) => r.durable !== undefined)
      ? { rivals_durable: Object.fromEntries(rivals.map((r) => [r.name, r.durable])) }
      : {}),
    noisy: judged.some((g) => g.spread > NOISY),
    goals: judged,
  };
}
