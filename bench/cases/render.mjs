// What does it cost to put 32 values into a text of 2 KB?
import { promptBody } from "../lib/data.mjs";

async function render({ dist, rival }) {
  const body = promptBody(2048, 32);
  const template = dist.compileTemplate(body);
  const names = [...template.variables];
  const parts = body.split(/\{\{variable_\d+\}\}/);
  const values = Array.from({ length: 16 }, (_, i) =>
    Object.fromEntries(names.map((name, k) => [name, `value ${i} of ${k}`])),
  );
  const concat = (given) => {
    let text = parts[0];
    for (let i = 0; i < names.length; i++) text += given[names[i]] + parts[i + 1];
    return text;
  };
  const each = (name, role, run) => {
    if (run(values[3]) !== concat(values[3])) throw new Error(`${name} renders something else`);
    return {
      name,
      role,
      loop(n) {
        let length = 0;
        // A string of many parts is put together when it is first looked into.
        for (let i = 0; i < n; i++) length += run(values[i & 15]).charCodeAt(7);
        if (Number.isNaN(length)) throw new Error(`${name} gave nothing`);
      },
    };
  };
  const subjects = [each("render", "ours", (given) => template.render(given)), each("parts concat", "floor", concat)];
  const handlebars = await rival("handlebars");
  if (handlebars !== undefined) {
    const compiled = handlebars.compile(body, { noEscape: true });
    subjects.push(each("handlebars, precompiled", "rival", (given) => compiled(given)));
  }
  const mustache = await rival("mustache");
  if (mustache !== undefined) {
    const options = { escape: String };
    subjects.push(each("mustache, cached", "rival", (given) => mustache.render(body, given, {}, options)));
  }
  return {
    subjects,
    goals: [
      { vs: "parts concat", most: 3 },
      { vs: "handlebars, precompiled", faster: 2 },
    ],
  };
}

export const cases = [{ id: "render", goal: "G17", title: "render 32 variables in 2 KB", prepare: render }];
