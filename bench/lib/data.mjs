import * as fs from "node:fs";
import { join } from "node:path";
import { random, shuffle } from "./stats.mjs";

const WORDS =
  "answer the customer in plain words and name every step you took before you close the ticket never promise a refund ask for the order number when it is missing";

/** The usual front matter: one line a key. */
export function flatFrontMatter(i) {
  return `title: Triage of incoming tickets ${i}
description: "Sorts a ticket by topic, urgency and language: first match wins"
model: gpt-5
temperature: 0.2
max_tokens: 1024
top_p: 0.9
stream: false
language: en
owner: support
reviewed: 2026-11-24
`;
}

/** As Dotprompt has it: settings and a schema below their keys, and a list. */
export function nestedFrontMatter(i) {
  return `title: Triage of incoming tickets ${i}
model: googleai/gemini-2.5-pro
config:
  temperature: 0.2
  maxOutputTokens: 1024
  stopSequences: ["###", "END"]
input:
  schema:
    customer: string
    ticket: string, the text of the ticket
    language?: string
  default:
    language: en
output:
  format: json
tags:
  - support
  - triage
`;
}

/** What asks for all of YAML that is allowed. */
export function fullFrontMatter(i) {
  return `title: 'Triage of incoming tickets ${i}'
description: >
  Sorts a ticket by topic, urgency
  and language; the first match wins.
tools:
  - name: search
    limits: { calls: 3, seconds: 10 }
  - name: order
    limits: { calls: 1, seconds: 5 }
notes: |
  Reviewed in November.
  Ask for the order number.
`;
}

/** A text of about `size` bytes with `variables` places to fill. */
export function promptBody(size, variables = 8, seed = 1) {
  const next = random(seed);
  const words = WORDS.split(" ");
  const parts = [];
  let length = 0;
  const step = size / (variables + 1);
  for (let v = 0; length < size; ) {
    const wanted = step * (v + 1);
    const word = length >= wanted && v < variables ? `{{variable_${v++}}}` : words[Math.floor(next() * words.length)];
    parts.push(word);
    length += word.length + 1;
  }
  return `${parts.join(" ")}\n`;
}

export function promptText(i, { size = 2048, nested = false } = {}) {
  const front = nested ? nestedFrontMatter(i) : flatFrontMatter(i);
  return `---\n${front}---\n${promptBody(Math.max(100, size - front.length), 8, i)}`;
}

export function promptName(i) {
  return `prompt-${String(i).padStart(7, "0")}`;
}

/**
 * A registry folder of `count` prompts of one version each (1 to 5, with `versions`), written without syncing and kept
 * between runs. It does not go through the driver, as that would take minutes.
 */
export function dataset(dist, cache, { count, nested = false, versions = 1 }) {
  const id = `${count}-${nested ? "nested" : "flat"}-${versions}-v1`;
  const path = join(cache, `data-${id}`);
  const folder = join(path, "prompts");
  const names = Array.from({ length: count }, (_, i) => promptName(i));
  const versionsOf = (i) => 1 + (i % versions);
  const stamp = join(path, ".complete");
  if (!fs.existsSync(stamp)) {
    fs.rmSync(path, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const createdAt = "2026-01-02T03:04:05.678Z";
    for (const [i, name] of names.entries()) {
      const dir = join(folder, name);
      fs.mkdirSync(dir);
      for (let v = 0; v < versionsOf(i); v++) {
        const version = `1.${v}.0`;
        const { text } = dist.sealDocument({ name, version, text: promptText(i, { nested }), createdAt });
        fs.writeFileSync(join(dir, `v${version}.md`), text);
      }
      fs.symlinkSync(`v1.${versionsOf(i) - 1}.0.md`, join(dir, "latest.md"));
    }
    fs.writeFileSync(stamp, "");
    // What was written a moment ago must be asked for again, to be sure; that is not what is measured here.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
  }
  return {
    path,
    folder,
    names,
    file: (name, version = "1.0.0") => join(folder, name, `v${version}.md`),
    scattered: (seed) => shuffle(names, random(seed)),
  };
}
