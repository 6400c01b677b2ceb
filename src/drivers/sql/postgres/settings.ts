import type { ClientBase, Pool } from "pg";

/** What every connection of a pool is told before it is used for anything. */
export class ConnectionSettings {
  readonly #told = new WeakSet<ClientBase>();
  readonly #statements: { readonly sql: string; readonly required: boolean }[] = [];

  /** @param required whether a connection that can't be told this may not be used */
  add(sql: string, required: boolean): void {
    this.#statements.push({ sql, required });
  }

  /**
   * For the pool's option `onConnect`: the pool waits for it, and gives a connection that it fails of to nobody
   * (https://node-postgres.com/apis/pool).
   */
  readonly tell = async (client: ClientBase): Promise<void> => {
    this.#told.add(client);
    for (const { sql, required } of this.#statements) {
      try {
        await client.query(sql);
      } catch (error) {
        if (required) throw error;
      }
    }
  };

  /** Before version 3.11 pools know no such option: what is told on their event runs before what the connection was made for. */
  listenTo(pool: Pool): void {
    pool.on("connect", (client) => {
      if (this.#told.has(client)) return;
      // Without its settings it must not be used.
      this.tell(client).catch(() => void client.end().catch(() => {}));
    });
  }
}
