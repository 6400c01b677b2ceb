// `npm run bench`: how fast the built package is, against the floor below it and the rivals beside it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openDist, root } from "./lib/dist.mjs";
import { evaluate, NOISY, TOLERANCE } from "./lib/goals.mjs";
import { measure } from "./lib/measure.mjs";
import { probe } from "./lib/probe.mjs";
import { line, writeReport } from "./lib/report.mjs";
import { createRivals } from "./lib/rivals.mjs";

const HELP = `Usage: npm run bench -- [options]

  --quick      the small sizes, within a minute; writes to bench/results/scratch
  --full       also 100,000 prompts and a million names
  --only ID    cases whose id starts with this (may be repeated); writes to bench/results/scratch
  --gate       exit with 1 when a goal is missed by more than ${Math.round((TOLERANCE - 1) * 100)} %
  --list       show the ids
  --dir DIR    where files are written and read; default .cache/bench (the disk matters)
  --dist DIR   another build, to compare with

Rivals are measured where they are installed: npm ci --prefix bench
`;

const SETTINGS = {
  quick: { rounds: 7, slots: 2, loopMs: 4, warmMs: 100 },
  default: { rounds: 15, slots: 4, loopMs: 8, warmMs: 400 },
  full: { rounds: 21, slots: 4, loopMs: 10, warmMs: 600 },
};

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean" },
    full: { type: "boolean" },
    only: { type: "string", multiple: true },
    gate: { type: "boolean" },
    list: { type: "boolean" },
    dir: { type: "string" },
    dist: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

async function loadCases(mode) {
  const files = readdirSync(new URL("cases/", import.meta.url)).sort();
  const modules = await Promise.all(files.map((file) => import(`./cases/${file}`)));
  const only = options.only;
  return modules
    .flatMap((module) => module.cases)
    .filter(({ id, modes }) =>
      only === undefined ? modes === undefined || modes.includes(mode) : only.some((start) => id.startsWith(start)),
    );
}

async function loadSubject() {
  const dist = await openDist(options.dist);
  const index = await dist.load("index.js");
  const { memory } = await dist.load("drivers/memory.js");
  const { fs } = await dist.load("drivers/fs/index.js");
  const { nodeIo, watched } = await dist.load("drivers/fs/io.js");
  const { parseFrontMatter } = await dist.load("yaml.js");
  const { compileTemplate } = await dist.load("template.js");
  const { PromptRegistry, openRegistry, sealDocument } = index;
  return {
    folder: dist.folder,
    ...{ PromptRegistry, openRegistry, sealDocument, memory, fs, nodeIo, watched, parseFrontMatter, compileTemplate },
  };
}

/**
 * Measures one case; once more when the machine was busy with something else.
 *
 * @returns `undefined` where this machine has not what it measures with, which was said
 */
async function runCase(entry, bench, settings, mayRepeat) {
  let result;
  for (let attempt = 0; attempt < 2; attempt++) {
    const prepared = await entry.prepare(bench);
    try {
      if (!prepared.subjects.some(({ role }) => role === "ours")) return undefined;
      const results = await measure(prepared.subjects, {
        loopMs: settings.loopMs,
        warmMs: prepared.warmMs ?? settings.warmMs,
        slots: Math.min(settings.slots, prepared.slots ?? settings.slots),
        rounds: Math.max(prepared.rounds ?? 0, settings.rounds),
      });
      result = evaluate(entry, results, prepared.goals);
    } finally {
      await prepared.close?.();
    }
    if (!result.noisy || !mayRepeat()) break;
    if (attempt === 0) console.log(`  ${entry.id}: spread above ${NOISY}, once more`);
  }
  return result;
}

function revision() {
  try {
    const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
    return git("rev-parse", "--short=10", "HEAD") + (git("status", "--porcelain", "--", "src") === "" ? "" : "-dirty");
  } catch {
    return "uncommitted";
  }
}

function write(results, scratch) {
  const folder = join(root, "bench", "results", ...(scratch ? ["scratch"] : []));
  mkdirSync(folder, { recursive: true });
  const file = `${results.date.slice(0, 10)}-${results.revision}.json`;
  writeFileSync(join(folder, file), `${JSON.stringify(results, null, 2)}\n`);
  if (!scratch) writeReport(results, join(root, "bench", "report.md"));
  console.log(`\nbench/results/${scratch ? "scratch/" : ""}${file}${scratch ? "" : " and bench/report.md"} written`);
}

async function main() {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const mode = options.quick ? "quick" : options.full ? "full" : "default";
  const entries = await loadCases(mode);
  if (options.list) {
    for (const { id, goal, title } of entries) console.log(`${id.padEnd(24)} ${goal.padEnd(4)} ${title}`);
    return 0;
  }
  if (entries.length === 0) throw new Error("no case has such an id; --list shows them");
  const cache = resolve(options.dir ?? join(root, ".cache", "bench"));
  const scratchRoot = join(cache, `scratch-${process.pid}`);
  mkdirSync(scratchRoot, { recursive: true });
  let scratches = 0;
  const started = Date.now();
  try {
    const dist = await loadSubject();
    const env = await probe(scratchRoot);
    console.log(
      `node ${env.node}, ${env.cores} cores, ${env.fs}, fsync ${env.fsync_us} µs, node -e 0 ${env.node_start_ms} ms\n`,
    );
    const bench = {
      dist,
      cache,
      mode,
      rival: createRivals(console.log),
      scratch() {
        const path = join(scratchRoot, String(scratches++));
        mkdirSync(path);
        return path;
      },
    };
    const cases = [];
    // Within a minute is promised; a case that stays noisy is not gated.
    const mayRepeat = () => mode !== "quick" || Date.now() - started < 30_000;
    for (const entry of entries) {
      const result = await runCase(entry, bench, SETTINGS[mode], mayRepeat);
      if (result === undefined) continue;
      cases.push(result);
      console.log(line(result));
    }
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const date = new Date().toISOString();
    const seconds = Math.round((Date.now() - started) / 1000);
    write(
      { date, version, revision: revision(), mode, seconds, env, cases },
      mode === "quick" || options.only !== undefined,
    );
    const failed = cases.filter((c) => !c.noisy && c.goals.some((g) => !g.passes && !g.stretch));
    if (failed.length > 0) console.log(`missed by more than the tolerance: ${failed.map((c) => c.id).join(", ")}`);
    return options.gate && failed.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratchRoot, { recursive: true, force: true });
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(`bench: ${error.stack}`);
    process.exitCode = 1;
  },
);
