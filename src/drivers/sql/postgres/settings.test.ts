import { EventEmitter } from "node:events";
import type { ClientBase, Pool } from "pg";
import { expect, test } from "vitest";
import { ConnectionSettings } from "./settings.ts";

function connection(fails?: string) {
  const told: string[] = [];
  const client = {
    query: async (sql: string) => {
      told.push(sql);
      if (sql === fails) throw new Error("no");
    },
    end: async () => void told.push("end"),
  };
  return { told, client: client as unknown as ClientBase };
}

test("a pool that knows onConnect tells each connection once, one that does not on its event", async () => {
  const settings = new ConnectionSettings();
  settings.add("a", false);
  settings.add("b", true);
  const pool = new EventEmitter();
  settings.listenTo(pool as unknown as Pool);
  const [hooked, plain] = [connection(), connection()];
  await settings.tell(hooked.client);
  pool.emit("connect", hooked.client);
  pool.emit("connect", plain.client);
  await new Promise((turn) => setImmediate(turn));
  expect(hooked.told).toEqual(["a", "b"]);
  expect(plain.told).toEqual(["a", "b"]);
});

test("a connection without what it must be told is not used", async () => {
  const settings = new ConnectionSettings();
  settings.add("a", false);
  settings.add("b", true);
  const pool = new EventEmitter();
  settings.listenTo(pool as unknown as Pool);
  await expect(settings.tell(connection("a").client)).resolves.toBeUndefined();
  await expect(settings.tell(connection("b").client)).rejects.toThrow("no");
  const { told, client } = connection("b");
  pool.emit("connect", client);
  await new Promise((turn) => setImmediate(turn));
  expect(told).toEqual(["a", "b", "end"]);
});
