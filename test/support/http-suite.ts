import { afterAll, describe, it } from "vitest";
import type { StorageDriver } from "../../src/driver.ts";
import { http } from "../../src/drivers/http/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { createHandler, openAccess } from "../../src/server/handler.ts";
import { type Damage, driverSuite } from "../../src/testing/index.ts";
import { serveHandler, type TestServer } from "./http-server.ts";

/** Clients of servers, and what is behind these. */
export interface HttpClients {
  /** A server on this storage, and a client of it. */
  serve(storage: StorageDriver): Promise<StorageDriver>;
  /** One more client of the same server. */
  another(client: StorageDriver): Promise<StorageDriver>;
  /** What the server of a client stands on. */
  storageOf(client: StorageDriver): StorageDriver;
  /** Stops the server and closes the storage. */
  stop(client: StorageDriver): Promise<void>;
  close(): Promise<void>;
}

export function httpClients(): HttpClients {
  interface Served {
    readonly server: TestServer;
    readonly storage: StorageDriver;
    readonly stop: () => Promise<void>;
  }
  const served = new Map<StorageDriver, Served>();
  const running = new Set<Served>();
  const of = (client: StorageDriver) => served.get(client) as Served;
  async function connect(to: Served): Promise<StorageDriver> {
    const client = await http({ url: to.server.url, env: {}, token: "test" });
    served.set(client, to);
    return client;
  }
  return {
    async serve(storage) {
      const handler = createHandler(new PromptRegistry(storage), { access: openAccess() });
      const server = await serveHandler(handler);
      const one: Served = {
        server,
        storage,
        async stop() {
          running.delete(one);
          handler.close();
          await server.close();
          await storage.close();
        },
      };
      running.add(one);
      return connect(one);
    },
    another: (client) => connect(of(client)),
    storageOf: (client) => of(client).storage,
    stop: (client) => of(client).stop(),
    async close() {
      for (const one of [...running]) await one.stop();
    },
  };
}

export interface HttpSuite {
  readonly name: string;
  /** A new and empty storage. */
  readonly open: () => Promise<StorageDriver>;
  /** The same data again, for a second server. Default: a second client of the same server. */
  readonly again?: (storage: StorageDriver) => Promise<StorageDriver>;
  readonly damage?: Damage;
  readonly dispose?: (storage: StorageDriver) => Promise<void>;
}

/** The storage contract through a client, a server and whatever is behind it. */
export function httpSuite({ name, open, again, damage, dispose }: HttpSuite): void {
  const clients = httpClients();
  afterAll(() => clients.close());
  driverSuite({
    name,
    runner: { describe, it },
    open: async () => clients.serve(await open()),
    another: async (client) =>
      again === undefined ? clients.another(client) : clients.serve(await again(clients.storageOf(client))),
    reopen: async (client) => {
      await client.close();
      if (again === undefined) return clients.another(client);
      const storage = clients.storageOf(client);
      await clients.stop(client);
      return clients.serve(await again(storage));
    },
    ...(damage === undefined
      ? {}
      : { damage: (client, prompt, version, edit) => damage(clients.storageOf(client), prompt, version, edit) }),
    async dispose(client) {
      await clients.stop(client).catch(() => {});
      await dispose?.(clients.storageOf(client));
    },
  });
}
