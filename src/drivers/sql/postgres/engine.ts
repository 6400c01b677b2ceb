import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import type { Operation } from "../../../driver.ts";
import { abortError, throwIfAborted } from "../../../errors.ts";
import {
  type Args,
  argsOf,
  type Decision,
  type Query,
  type Row,
  runAsync,
  type Statement,
  type Task,
} from "../task.ts";
import { isLost, isRetryable, postgresFailure } from "./failure.ts";

const MAX_TRIES = 12;
// What others have set as their default must not change what is promised here.
export const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/** How far a transaction has come, for the one who has to say what an error means. */
interface Progress {
  /** The statement that makes it durable was sent. */
  committing: boolean;
}

export class PostgresEngine {
  readonly pool: Pool;
  readonly location: string;
  readonly #prepare: boolean;

  constructor(pool: Pool, location: string, prepare: boolean) {
    this.pool = pool;
    this.location = location;
    this.#prepare = prepare;
  }

  async query(on: Pick<PoolClient, "query">, statement: Statement, args: Args): Promise<readonly Row[]> {
    const values = argsOf(statement, args);
    const config = this.#prepare
      ? { name: `prompt_registry_${statement.name}`, text: statement.sql, values }
      : { text: statement.sql, values };
    return (await on.query<Row>(config)).rows;
  }

  /** One question that nobody can abort, so that its connection needs no watching: without any step it does not need. */
  async ask(statement: Statement, args: Args, operation: string): Promise<readonly Row[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.query(this.pool, statement, args);
      } catch (error) {
        await this.#pause(error, tries, operation);
      }
    }
  }

  async read<T>(make: () => Task<T>, op: Operation | undefined, operation: string): Promise<T> {
    return await this.#again(op, operation, async () => {
      return await this.#withClient(op, operation, { committing: false }, async (client) => {
        return await runAsync(make(), (query: Query) => this.query(client, query.statement, query.args));
      });
    });
  }

  /** One statement that is a transaction by itself: one round trip, whose reply is also that of the commit. */
  async writeOnce(
    statement: Statement,
    args: Args,
    op: Operation | undefined,
    operation: string,
  ): Promise<readonly Row[]> {
    return await this.#again(op, operation, async () => {
      return await this.#withClient(op, operation, { committing: true }, (client) =>
        this.query(client, statement, args),
      );
    });
  }

  /** One transaction, done again as a whole where the server could not put it in order with others. */
  async write<T>(make: () => Task<Decision<T>>, op: Operation | undefined, operation: string): Promise<T> {
    return await this.#again(op, operation, async () => {
      const progress: Progress = { committing: false };
      return await this.#withClient(op, operation, progress, async (client) => {
        await client.query(BEGIN);
        try {
          const { keep, value } = await runAsync(make(), (query: Query) =>
            this.query(client, query.statement, query.args),
          );
          progress.committing = keep;
          await client.query(keep ? "COMMIT" : "ROLLBACK");
          return value;
        } catch (error) {
          if (!isLost(error) && !progress.committing) await client.query("ROLLBACK");
          throw error;
        }
      });
    });
  }

  async #again<T>(op: Operation | undefined, operation: string, run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      throwIfAborted(op?.signal, operation);
      try {
        return await run();
      } catch (error) {
        await this.#pause(error, tries, operation);
      }
    }
  }

  /** @throws what is not worth another try */
  async #pause(error: unknown, tries: number, operation: string): Promise<void> {
    if (!isRetryable(error) || tries >= MAX_TRIES) throw postgresFailure(error, `${operation} failed`, this.location);
    await sleep(Math.random() * Math.min(5 * 2 ** tries, 250));
  }

  /** An abort gives up the connection, and with it whatever is under way in it. */
  async #withClient<T>(
    op: Operation | undefined,
    operation: string,
    progress: Progress,
    run: (client: PoolClient) => Promise<T>,
  ): Promise<T> {
    const signal = op?.signal;
    const client = await this.#connect(op, operation);
    let stop: (() => void) | undefined;
    let broken: unknown;
    const work = run(client);
    try {
      if (signal === undefined) return await work;
      const aborted = new Promise<never>((_, reject) => {
        stop = () => reject(abortError(signal, operation));
        signal.addEventListener("abort", stop, { once: true });
      });
      return await Promise.race([work, aborted]);
    } catch (error) {
      work.catch(() => {});
      const gone = signal?.aborted === true || isLost(error);
      if (gone) broken = error;
      if (isRetryable(error)) throw error;
      throw postgresFailure(
        error,
        `${operation} failed`,
        this.location,
        gone && progress.committing ? "unknown" : undefined,
      );
    } finally {
      if (stop !== undefined) signal?.removeEventListener("abort", stop);
      client.release(broken !== undefined);
    }
  }

  async #connect(op: Operation | undefined, operation: string): Promise<PoolClient> {
    const signal = op?.signal;
    const pending = this.pool.connect();
    if (signal === undefined) return await pending;
    let stop: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(abortError(signal, operation));
      signal.addEventListener("abort", stop, { once: true });
    });
    try {
      return await Promise.race([pending, aborted]);
    } catch (error) {
      pending.then(
        (client) => client.release(),
        () => {},
      );
      throw error;
    } finally {
      if (stop !== undefined) signal.removeEventListener("abort", stop);
    }
  }
}
