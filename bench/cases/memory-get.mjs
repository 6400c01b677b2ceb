// What does a read of what is in memory cost, beyond the look-up?
import { getPrompt, KINDS, peekPrompt } from "../lib/gets.mjs";

const open = ({ dist }) => new dist.PromptRegistry(dist.memory());

export const cases = Object.entries(KINDS).flatMap(([kind, [suffix, goal]]) => [
  {
    id: `memory-get-${kind}`,
    goal,
    title: `getPrompt from memory, ${kind}`,
    prepare: (bench) => getPrompt(bench, open(bench), suffix),
  },
  {
    id: `memory-peek-${kind}`,
    goal: "G1",
    title: `peekPrompt from memory, ${kind}`,
    modes: kind === "exact" ? undefined : ["default", "full"],
    prepare: (bench) => peekPrompt(bench, open(bench), suffix),
  },
]);
