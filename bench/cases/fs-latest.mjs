// What does it cost to know that the latest version is still the one that was read before?
import { statSync } from "node:fs";
import { join } from "node:path";
import { dataset } from "../lib/data.mjs";

async function revalidated({ dist, cache }) {
  const data = dataset(dist, cache, { count: 1000, versions: 5 });
  const { PromptRegistry, fs } = dist;
  const registry = new PromptRegistry(fs({ path: data.path }));
  const names = data.scattered(7);
  for (const name of names) await registry.getPrompt(name);
  const paths = names.map((name) => join(data.folder, name));
  return {
    subjects: [
      {
        name: "getPrompt(name) again",
        role: "ours",
        async: true,
        async loop(n) {
          for (let i = 0; i < n; i++) await registry.getPrompt(names[i % names.length]);
        },
      },
      {
        name: "statSync",
        role: "floor",
        loop(n) {
          for (let i = 0; i < n; i++) statSync(paths[i % paths.length]);
        },
      },
    ],
    goals: [{ vs: "statSync", most: 2 }],
    close: () => registry.close(),
  };
}

export const cases = [
  {
    id: "fs-latest-again",
    goal: "G3",
    title: "read the latest version again, checked against the disk",
    prepare: revalidated,
  },
];
