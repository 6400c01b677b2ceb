import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "./failure.ts";
import { useSession } from "./session.tsx";
import type { Page } from "./types.ts";

const SLOW = 300;
/** Several changes at once are one reason to look again. */
const GATHER = 250;
const MAX_CACHED = 40;

export interface Loaded<T> {
  /** The newest that was read; it stays through an outage. */
  readonly value: T | undefined;
  /** When that was read: milliseconds. */
  readonly at: number | undefined;
  readonly failure: Failure | undefined;
  /** It takes long enough for people to wonder. */
  readonly isSlow: boolean;
  readonly reload: () => void;
}

interface State<T> {
  readonly key: string;
  readonly value?: T;
  readonly at?: number;
  readonly failure?: Failure;
}

/**
 * Reads something and keeps it right: again when it changed, when the server is back, and when it is asked for.
 *
 * @param key what is read; another key is another thing, and nothing of the old one is shown with it
 * @param concerns whether a change of this name makes it old
 */
export function useLoad<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  concerns: (name: string) => boolean,
): Loaded<T> {
  const { cache, onChange, api } = useSession();
  const [state, setState] = useState<State<T>>({ key: "" });
  const [isSlow, setIsSlow] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const failures = useRef(0);
  const latest = useRef({ load, concerns });
  latest.current = { load, concerns };
  const reload = useCallback(() => setAttempt((n) => n + 1), []);
  // Read again for another key, for another caller, and on demand.
  useEffect(() => {
    const ended = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const slow = setTimeout(() => setIsSlow(true), SLOW);
    const read = async () => {
      try {
        const value = await latest.current.load(ended.signal);
        if (ended.signal.aborted) return;
        const at = Date.now();
        failures.current = 0;
        cache.delete(key);
        cache.set(key, { value, at });
        for (const old of cache.keys()) if (cache.size > MAX_CACHED) cache.delete(old);
        setState({ key, value, at });
      } catch (error) {
        if (ended.signal.aborted) return;
        const failure = asFailure(error);
        if (failure.isOutage) {
          const wait = failure.retryAfter ?? Math.min(30, 3 * 2 ** failures.current++);
          retry = setTimeout(reload, wait * 1000 * (0.8 + 0.4 * Math.random()));
          const old = cache.get(key);
          setState({ key, failure, ...(old === undefined ? {} : { value: old.value as T, at: old.at }) });
        } else {
          cache.delete(key);
          setState({ key, failure });
        }
      }
      clearTimeout(slow);
      setIsSlow(false);
    };
    void read();
    return () => {
      ended.abort();
      clearTimeout(slow);
      clearTimeout(retry);
    };
  }, [key, api, attempt]);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const unlisten = onChange((name) => {
      if (name !== undefined && !latest.current.concerns(name)) return;
      clearTimeout(timer);
      timer = setTimeout(reload, GATHER);
    });
    return () => {
      unlisten();
      clearTimeout(timer);
    };
  }, [onChange, reload]);

  if (state.key === key) return { value: state.value, at: state.at, failure: state.failure, isSlow, reload };
  const cached = cache.get(key);
  return { value: cached?.value as T | undefined, at: cached?.at, failure: undefined, isSlow, reload };
}

export interface Items<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

const PAGE = 100;

/** A list from its beginning, as far as it was asked for. Read again, it is as long as before. */
export function usePages<T>(
  key: string,
  page: (limit: number, cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>,
  concerns: (name: string) => boolean,
): Loaded<Items<T>> & { readonly more: () => void } {
  const [wanted, setWanted] = useState({ key, count: PAGE });
  const count = wanted.key === key ? wanted.count : PAGE;
  const loaded = useLoad(key, (signal) => collect(count, (limit, cursor) => page(limit, cursor, signal)), concerns);
  const { reload } = loaded;
  const more = () => {
    setWanted({ key, count: count + PAGE });
    reload();
  };
  return { ...loaded, more };
}

/** A short page is not the last one: that is the one without a cursor. */
export async function collect<T>(
  wanted: number,
  page: (limit: number, cursor: string | undefined) => Promise<Page<T>>,
): Promise<Items<T>> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const next = await page(Math.min(1000, wanted - items.length), cursor);
    items.push(...next.items);
    cursor = next.cursor;
  } while (cursor !== undefined && items.length < wanted);
  return { items, hasMore: cursor !== undefined };
}
