// What does the strict reading of front matter cost, compared with a parser that is not?
import { flatFrontMatter, fullFrontMatter, nestedFrontMatter } from "../lib/data.mjs";

async function compare({ dist, rival }, write, goals) {
  // No text twice in a row, as no file is.
  const texts = Array.from({ length: 64 }, (_, i) => write(i));
  const files = texts.map((text) => `---\n${text}---\nbody\n`);
  const each = (name, role, inputs, parse) => ({
    name,
    role,
    loop(n) {
      let last;
      for (let i = 0; i < n; i++) last = parse(inputs[i & 63]);
      if (typeof last !== "object") throw new Error(`${name} gave nothing`);
    },
  });
  const subjects = [each("parseFrontMatter", "ours", texts, dist.parseFrontMatter)];
  const yaml = await rival("js-yaml");
  if (yaml !== undefined) subjects.push(each("js-yaml 4", "floor", texts, (text) => yaml.load(text)));
  const matter = await rival("gray-matter");
  if (matter !== undefined) subjects.push(each("gray-matter", "rival", files, (file) => matter(file, {})));
  return { subjects, goals };
}

export const cases = [
  {
    id: "front-matter-flat",
    goal: "G6",
    title: "parse front matter, one line a key",
    prepare: (bench) =>
      compare(bench, flatFrontMatter, [
        { vs: "js-yaml 4", most: 1 },
        { vs: "js-yaml 4", most: 0.5, stretch: true },
      ]),
  },
  {
    id: "front-matter-nested",
    goal: "G6",
    title: "parse front matter with lists and settings below their keys",
    prepare: (bench) => compare(bench, nestedFrontMatter, [{ vs: "js-yaml 4", most: 1 }]),
  },
  {
    id: "front-matter-full",
    goal: "G6",
    title: "parse front matter with block texts and lists of settings",
    prepare: (bench) => compare(bench, fullFrontMatter, [{ vs: "js-yaml 4", most: 1 }]),
  },
];
