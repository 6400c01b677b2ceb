import type { RegistryError } from "../../errors.ts";

/** What a statement is run with; `null` is SQL's NULL. */
export type Args = Readonly<Record<string, unknown>>;
export type Row = Readonly<Record<string, unknown>>;

/** Compiled once; `params` names the arguments in the order of the placeholders. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly string[];
  /** Gives at most one row. */
  readonly one?: true;
  /** Gives no rows. */
  readonly none?: true;
  /** Gives the `id` of the row, where it inserted one. SQLite makes a table in memory for every `RETURNING`. */
  readonly inserts?: true;
  /** Short and unique, for what prepares by name. */
  readonly name: string;
}

export interface Query {
  readonly statement: Statement;
  readonly args: Args;
}

/**
 * A piece of work that asks a database in between. Written once: SQLite runs it without a pause, since a pause costs more
 * than its queries; PostgreSQL waits for every answer.
 */
export type Task<T> = Generator<Query, T, readonly Row[]>;

const NONE: Args = Object.freeze({});

export function* all(statement: Statement, args: Args = NONE): Task<readonly Row[]> {
  return yield { statement, args };
}

export function* first(statement: Statement, args: Args = NONE): Task<Row | undefined> {
  return (yield { statement, args })[0];
}

export function runSync<T>(task: Task<T>, run: (query: Query) => readonly Row[]): T {
  let step = task.next();
  while (step.done !== true) {
    let rows: readonly Row[];
    try {
      rows = run(step.value);
    } catch (error) {
      step = task.throw(error);
      continue;
    }
    step = task.next(rows);
  }
  return step.value;
}

export async function runAsync<T>(task: Task<T>, run: (query: Query) => Promise<readonly Row[]>): Promise<T> {
  let step = task.next();
  while (step.done !== true) {
    let rows: readonly Row[];
    try {
      rows = await run(step.value);
    } catch (error) {
      step = task.throw(error);
      continue;
    }
    step = task.next(rows);
  }
  return step.value;
}

export function argsOf(statement: Statement, args: Args): unknown[] {
  return statement.params.map((name) => args[name]);
}

/** What a task in a transaction ends with: its result, and whether what it did is to stay. */
export interface Decision<T> {
  readonly value: T;
  readonly keep: boolean;
}

export type Failure = (error: unknown, doing: string) => RegistryError;
