import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A revision of a real prompt, oldest first per prompt. */
export interface Revision {
  readonly name: string;
  /** `1.<n - 1>.0`: each revision is a minor bump. */
  readonly version: string;
  readonly committedAt: string;
  readonly text: string;
}

export interface Corpus {
  readonly revisions: readonly Revision[];
  /** All of the 792 revisions that `fabric-patterns.jsonl` has. */
  readonly full: boolean;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The prompts of `PROMPT_REGISTRY_CORPUS` (a file or the folder of it), else of `../shared/corpus`, else a small sample. */
export function loadCorpus(): Corpus {
  const given = process.env.PROMPT_REGISTRY_CORPUS;
  const wanted = resolve(root, given ?? join("..", "shared", "corpus"));
  const file = wanted.endsWith(".jsonl") ? wanted : join(wanted, "fabric-patterns.jsonl");
  if (existsSync(file)) return { revisions: parse(file), full: given === undefined };
  if (given !== undefined) throw new Error("PROMPT_REGISTRY_CORPUS names no corpus");
  process.stderr.write("corpus: only the sample of 3 prompts; set PROMPT_REGISTRY_CORPUS to run on all of them\n");
  return { revisions: parse(join(root, "test", "support", "corpus-sample.jsonl")), full: false };
}

function parse(file: string): Revision[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line) => {
    if (line === "") return [];
    const { name, n, committedAt, text } = JSON.parse(line) as {
      name: string;
      n: number;
      committedAt: string;
      text: string;
    };
    return [{ name, version: `1.${n - 1}.0`, committedAt, text }];
  });
}
