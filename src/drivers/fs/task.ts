import type { CallName, Calls, FsIo } from "./io.ts";

interface Call {
  readonly name: CallName;
  readonly args: readonly unknown[];
  /** Nobody waits for it, and nobody is told when it fails. */
  readonly free?: true;
}

interface Fork {
  readonly tasks: readonly Task<unknown>[];
}

interface Pause {
  readonly pause: true;
}

interface Meeting {
  readonly meet: true;
}

/**
 * A protocol, written once: a generator that yields its calls. {@link runSync} and {@link runAsync} differ only in how
 * they make them, so what a crash test proves of one holds for the other.
 */
export type Task<T> = Generator<Call | Fork | Pause | Meeting, T, unknown>;

type Any = (...args: readonly unknown[]) => unknown;

export function* call<K extends CallName>(name: K, ...args: Parameters<Calls[K]>): Task<ReturnType<Calls[K]>> {
  return (yield { name, args }) as ReturnType<Calls[K]>;
}

/** Closes a file of which nothing more is wanted to be known. */
export function* release(fd: number): Task<void> {
  yield { name: "close", args: [fd], free: true };
}

export type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

/** Runs tasks side by side where that is possible. All of them come to their end, whatever becomes of the others. */
export function* all<T>(tasks: readonly Task<T>[]): Task<Settled<T>[]> {
  return (yield { tasks }) as Settled<T>[];
}

/** The values of all, or the first error, once all have come to their end. */
export function* allOrThrow<T>(tasks: readonly Task<T>[]): Task<T[]> {
  if (tasks.length === 1) return [yield* tasks[0] as Task<T>];
  const settled = yield* all(tasks);
  return settled.map((one) => {
    if (!one.ok) throw one.error;
    return one.value;
  });
}

/** Lets others go first. Only between rounds of something that others disturb. */
export function* pause(): Task<void> {
  yield { pause: true };
}

/**
 * Waits until the tasks that run side by side with this one have come to such a point too, or to their end; does nothing in
 * a task of its own, or where too many wait. The first sync after many writes makes a file system commit them all, and the others find it done.
 */
export function* meet(): Task<void> {
  yield { meet: true };
}

export function runSync<T>(task: Task<T>, io: FsIo): T {
  let step = task.next();
  while (step.done !== true) {
    const request = step.value;
    let value: unknown;
    try {
      if ("name" in request) value = (io.sync[request.name] as Any)(...request.args);
      else if ("tasks" in request) value = request.tasks.map((one) => settle(one, io));
    } catch (error) {
      step = "free" in request ? task.next() : task.throw(error);
      continue;
    }
    step = task.next(value);
  }
  return step.value;
}

function settle<T>(task: Task<T>, io: FsIo): Settled<T> {
  try {
    return { ok: true, value: runSync(task, io) };
  } catch (error) {
    return { ok: false, error };
  }
}

export interface AsyncOptions {
  /** Calls that are made synchronously all the same, as a hop to the thread pool costs more than they do. */
  readonly inline?: (name: CallName, args: readonly unknown[]) => boolean;
  /** How many tasks of a fork run at once. */
  readonly width: number;
}

const MET = Symbol("met");
/** How many tasks wait for each other: while they do, they hold folders open. */
const TOGETHER = 128;
/** How many wait in this process. More go on without a meeting: a process may often have no more than 1024 files open. */
const MOST_WAITING = 512;
let waiting = 0;

export function runAsync<T>(task: Task<T>, io: FsIo, options: AsyncOptions): Promise<T> {
  return advance(task, io, options, false) as Promise<T>;
}

/** Runs a task to its end or, in company, to the next meeting, from where it is run on by the next call. */
async function advance<T>(task: Task<T>, io: FsIo, options: AsyncOptions, inCompany: boolean): Promise<T | typeof MET> {
  let step = task.next();
  while (step.done !== true) {
    const request = step.value;
    let value: unknown;
    try {
      if ("name" in request) {
        // To close what was only read waits for nothing.
        const inline = request.free === true || options.inline?.(request.name, request.args) === true;
        const run = (inline ? io.sync : io.async)[request.name] as Any;
        value = inline ? run(...request.args) : await run(...request.args);
      } else if ("tasks" in request) value = await forkAsync(request.tasks, io, options);
      else if ("pause" in request) await new Promise((resolve) => setTimeout(resolve, 1));
      else if (inCompany && waiting < MOST_WAITING) {
        waiting++;
        return MET;
      }
    } catch (error) {
      step = "free" in request ? task.next() : task.throw(error);
      continue;
    }
    step = task.next(value);
  }
  return step.value;
}

async function forkAsync(
  tasks: readonly Task<unknown>[],
  io: FsIo,
  options: AsyncOptions,
): Promise<Settled<unknown>[]> {
  const settled: Settled<unknown>[] = [];
  for (let start = 0; start < tasks.length; start += TOGETHER) {
    let running = Array.from({ length: Math.min(TOGETHER, tasks.length - start) }, (_, i) => start + i);
    for (let met = false; running.length > 0; met = true) {
      running = await runOn(tasks, running, met, settled, io, options);
    }
  }
  return settled;
}

/**
 * Runs each of these tasks to its end or its next meeting.
 *
 * @param waited whether they come from a meeting
 * @returns those that came to a meeting
 */
async function runOn(
  tasks: readonly Task<unknown>[],
  running: readonly number[],
  waited: boolean,
  settled: Settled<unknown>[],
  io: FsIo,
  options: AsyncOptions,
): Promise<number[]> {
  const met: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < running.length; at = next++) {
      const i = running[at] as number;
      if (waited) waiting--;
      try {
        const value = await advance(tasks[i] as Task<unknown>, io, options, true);
        if (value === MET) met.push(i);
        else settled[i] = { ok: true, value };
      } catch (error) {
        settled[i] = { ok: false, error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.width, running.length) }, worker));
  return met.sort((a, b) => a - b);
}
