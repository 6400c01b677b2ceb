import type { Builder } from "./builder.ts";
import { readStatements } from "./statements-read.ts";
import { writeStatements } from "./statements-write.ts";

/** Every statement that both dialects share, compiled once when a database is opened. */
export function createStatements(builder: Builder) {
  return { ...readStatements(builder), ...writeStatements(builder) };
}

export type Statements = ReturnType<typeof createStatements>;
