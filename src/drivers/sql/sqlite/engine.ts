import { setTimeout as sleep } from "node:timers/promises";
import type { Operation } from "../../../driver.ts";
import { abortError, RegistryError, throwIfAborted } from "../../../errors.ts";
import { argsOf, type Decision, type Query, type Row, runSync, type Statement, type Task } from "../task.ts";
import { isBusy, sqliteFailure } from "./failure.ts";
import type { DatabaseFile } from "./file.ts";
import type { Connection, Prepared } from "./open.ts";

const NO_ROWS: readonly Row[] = Object.freeze([]);

/**
 * Runs tasks on one connection. A task never pauses, so no two of this process ever meet within a transaction; for other
 * processes nobody waits inside of SQLite, which would stop this whole process, but in between.
 */
export class SqliteEngine {
  readonly connection: Connection;
  readonly location: string;
  /** `undefined`: the database is in memory. */
  readonly file: DatabaseFile | undefined;
  readonly #busyTimeout: number;
  readonly #prepared = new Map<Statement, Prepared>();

  constructor(connection: Connection, location: string, busyTimeout: number, file?: DatabaseFile) {
    this.connection = connection;
    this.location = location;
    this.file = file;
    this.#busyTimeout = busyTimeout;
  }

  prepared(statement: Statement): Prepared {
    let prepared = this.#prepared.get(statement);
    if (prepared === undefined) {
      prepared = this.connection.prepare(statement.sql);
      this.#prepared.set(statement, prepared);
    }
    return prepared;
  }

  readonly query = ({ statement, args }: Query): readonly Row[] => {
    const prepared = this.prepared(statement);
    const values = argsOf(statement, args);
    if (statement.none === true) {
      prepared.run(values);
      return NO_ROWS;
    }
    if (statement.inserts === true) {
      const { changes, lastInsertRowid } = prepared.run(values);
      return Number(changes) > 0 ? [{ id: Number(lastInsertRowid) }] : NO_ROWS;
    }
    if (statement.one !== true) return prepared.all(values) as Row[];
    const row = prepared.get(values) as Row | undefined;
    return row === undefined ? NO_ROWS : [row];
  };

  /** @param several whether the task asks more than once and must see one state */
  async read<T>(make: () => Task<T>, op: Operation | undefined, operation: string, several = false): Promise<T> {
    return await this.patiently(op, operation, () => {
      if (!several) return runSync(make(), this.query);
      this.connection.exec("BEGIN");
      try {
        const value = runSync(make(), this.query);
        this.connection.exec("COMMIT");
        return value;
      } catch (error) {
        this.#rollback();
        throw error;
      }
    });
  }

  /** One transaction. What fails in it leaves nothing behind. */
  async write<T>(make: () => Task<Decision<T>>, op: Operation | undefined, operation: string): Promise<T> {
    return await this.transact(() => runSync(make(), this.query), op, operation);
  }

  /** The same for what makes its own calls. */
  async transact<T>(decide: () => Decision<T>, op: Operation | undefined, operation: string): Promise<T> {
    return await this.patiently(op, operation, () => {
      // Not prepared: libsql leaves a statement that found the file busy as one under way, and then nothing can be committed.
      this.connection.exec("BEGIN IMMEDIATE");
      let decision: Decision<T>;
      try {
        decision = decide();
      } catch (error) {
        this.#rollback();
        throw error;
      }
      if (decision.keep) this.#commitOf(operation);
      else this.#rollback();
      // Afterwards: what is in a file that was taken away before is not stored.
      this.file?.requireSame();
      return decision.value;
    });
  }

  #commitOf(operation: string): void {
    try {
      this.connection.exec("COMMIT");
    } catch (error) {
      this.#rollback();
      // The last page may have reached the file although its sync was not confirmed.
      throw sqliteFailure(error, `${operation} failed`, this.location, isBusy(error) ? undefined : "unknown");
    }
  }

  close(): void {
    try {
      this.connection.close();
    } catch {
      // Closed twice, or never whole.
    }
  }

  #rollback(): void {
    try {
      this.connection.exec("ROLLBACK");
    } catch {
      // SQLite has done so itself where it could not go on.
    }
  }

  /** Tries again while another process writes, up to the busy timeout. */
  async patiently<T>(op: Operation | undefined, operation: string, run: () => T): Promise<T> {
    const signal = op?.signal;
    let deadline = 0;
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      throwIfAborted(signal, operation);
      try {
        if (this.file?.isImmutable === true) this.file.requireUnchanged();
        return run();
      } catch (error) {
        if (!isBusy(error)) throw sqliteFailure(error, `${operation} failed`, this.location);
        deadline ||= performance.now() + this.#busyTimeout;
        if (performance.now() >= deadline) throw sqliteFailure(error, `${operation} failed`, this.location);
      }
      try {
        // Drawn by lot: writers that woke together would meet again.
        await sleep(pause * (0.5 + Math.random()), undefined, signal === undefined ? {} : { signal });
      } catch (error) {
        if (signal?.aborted) throw abortError(signal, operation);
        throw new RegistryError("INTERNAL", `${operation} failed while waiting`, { cause: error });
      }
    }
  }
}
