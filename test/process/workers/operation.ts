// One operation between two marks that a tracer can see. Says on stdout how it ended.
import { readlinkSync, writeSync } from "node:fs";
import { type FsOptions, fs } from "../../../src/drivers/fs/index.ts";
import { PromptRegistry } from "../../../src/registry.ts";
import { ending, perform, type Step } from "../../support/process-steps.ts";

export interface OperationOptions {
  readonly fs: Pick<FsOptions, "path" | "hardLinks" | "links" | "mode">;
  readonly step: Step;
}

const options = JSON.parse(process.argv[2] as string) as OperationOptions;

function mark(which: string): void {
  try {
    readlinkSync(`/process-mark-${which}`);
  } catch {
    // It is never there.
  }
}

async function main(): Promise<void> {
  const registry = new PromptRegistry(fs(options.fs));
  mark("begin");
  const end = await ending(() => perform(registry, options.step), options.step);
  writeSync(1, `${JSON.stringify(end)}\n`);
  mark("end");
}

void main();
