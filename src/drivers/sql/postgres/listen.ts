import type { Client, Notification } from "pg";

/** Names of prompts that changed, or nothing: then any may have, since the connection was down for a while. */
export type ListenHandler = (names: readonly string[] | undefined) => void;

// https://www.postgresql.org/docs/current/sql-notify.html: less than 8000 bytes.
const MAX_PAYLOAD = 7500;
const MAX_PAUSE = 30_000;

/** Names as payloads, as few as hold them; a name has no comma. */
export function payloads(names: readonly string[]): string[] {
  const packed: string[] = [];
  let current = "";
  for (const name of names) {
    if (current !== "" && current.length + name.length + 1 > MAX_PAYLOAD) {
      packed.push(current);
      current = "";
    }
    current = current === "" ? name : `${current},${name}`;
  }
  if (current !== "") packed.push(current);
  return packed;
}

/** A connection of its own that hears of commits. It is made again when it breaks, for ever, until it is stopped. */
export async function listen(
  connect: () => Client,
  channel: string,
  handler: ListenHandler,
): Promise<() => Promise<void>> {
  let stopped = false;
  let client: Client | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function start(): Promise<void> {
    const fresh = connect();
    fresh.on("notification", ({ payload }: Notification) => {
      if (payload !== undefined && payload !== "") handler(payload.split(","));
    });
    let lost = false;
    let started = false;
    const onLost = () => {
      // Until it was started, whoever starts it is told by its own promise.
      if (lost || !started) return;
      lost = true;
      if (client === fresh) client = undefined;
      if (!stopped) again(100);
    };
    fresh.on("error", onLost);
    try {
      await fresh.connect();
      fresh.on("end", onLost);
      await fresh.query(`LISTEN ${channel}`);
    } catch (error) {
      // It may be connected all the same; nobody waits for its end, which may never come.
      fresh.end().catch(() => {});
      throw error;
    }
    started = true;
    if (stopped) await fresh.end();
    else client = fresh;
  }

  function again(pause: number): void {
    timer = setTimeout(() => {
      start().then(
        () => handler(undefined),
        () => {
          if (!stopped) again(Math.min(pause * 2, MAX_PAUSE));
        },
      );
    }, pause);
    timer.unref();
  }

  await start();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client?.end();
  };
}
