// What does a read through the cache layer cost, with a database behind it, as an application has it in production?
import { join } from "node:path";
import { getPrompt, KINDS, peekPrompt } from "../lib/gets.mjs";

const open = ({ dist, scratch }) =>
  dist.openRegistry(
    { storage: `sqlite:${join(scratch(), "cached.db")}`, cache: { ttl: "1d", maxBytes: "256MB" } },
    { env: {}, configFile: false },
  );

export const cases = Object.entries(KINDS).flatMap(([kind, [suffix, goal]]) => [
  {
    id: `cached-get-${kind}`,
    goal,
    title: `getPrompt through the cache layer over SQLite, ${kind}`,
    modes: ["default", "full"],
    prepare: async (bench) => getPrompt(bench, await open(bench), suffix),
  },
  {
    id: `cached-peek-${kind}`,
    goal: "G1",
    title: `peekPrompt through the cache layer over SQLite, ${kind}`,
    modes: ["default", "full"],
    prepare: async (bench) => peekPrompt(bench, await open(bench), suffix),
  },
]);
