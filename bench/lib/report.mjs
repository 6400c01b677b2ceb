import { writeFileSync } from "node:fs";

function times(value) {
  return `${Number(value.toPrecision(3))}×`;
}

function measured(goal) {
  if (goal.of === "limit") return `${times(goal.value)} of that`;
  return Number.isInteger(goal.value) && /^fsyncs/.test(goal.text) ? String(goal.value) : times(goal.value);
}

function verdict(goal, noisy) {
  if (goal.met) return "yes";
  const missed = goal.stretch ? "no (wished for)" : goal.passes ? "nearly" : "no";
  return noisy ? `${missed}, noisy` : missed;
}

/** One case on one line, for whoever watches. */
export function line(result) {
  const goals = result.goals.map((g) => `${g.met ? "✓" : g.stretch ? "·" : "✗"} ${g.text}: ${measured(g)}`);
  const time =
    result.ns_median >= 1e5 ? `${(result.ns_median / 1e6).toFixed(2)} ms` : `${(result.ns_median / 1e3).toFixed(3)} µs`;
  return `${result.id.padEnd(22)} ${time.padStart(10)}  ${goals.join("   ")}${result.noisy ? "   (noisy)" : ""}`;
}

/** The same as a page. Ratios only: how long something takes says more of the machine than of the package. */
export function writeReport({ date, version, revision, mode, env, cases }, path) {
  const rows = cases.flatMap((c) =>
    c.goals.map((g, i) => [i === 0 ? c.title : "", i === 0 ? c.goal : "", g.text, measured(g), verdict(g, c.noisy)]),
  );
  const rivals = cases.flatMap((c) =>
    Object.entries(c.rivals).map(([name, value]) => [
      c.title,
      c.rivals_durable?.[name] === false ? `${name} (not durable)` : name,
      `${times(1 / value)} our time`,
    ]),
  );
  const text = `# Benchmarks

Written by \`npm run bench\` (${mode}) on ${date.slice(0, 10)} for ${version} (${revision}), on Node ${env.node}, ${env.platform}, ${env.cores} cores,
${env.fs}, where an fsync took ${times(env.fsync_us / env.stat_us)} the time of a stat.

Everything that is compared ran in turn in the same process, slot by slot; a ratio is the median of the ratios of all
rounds. A floor is the bare work that can't be left out.

${table(["Case", "Goal", "Wanted", "Measured", "Met"], rows)}

## Rivals

${table(["Case", "Rival", "Takes"], rivals)}
`;
  writeFileSync(path, text);
}

function table(head, rows) {
  const cells = [head, head.map(() => "---"), ...rows];
  return cells.map((row) => `| ${row.join(" | ")} |`).join("\n");
}
