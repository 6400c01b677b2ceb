export interface Deadline {
  /** Resolves when the time is over and nobody has listened to the signal. */
  readonly over: Promise<undefined>;
  start(): void;
  stop(): void;
}

/** In which who listens to the signal still says what came of it. */
const GRACE = 250;

/** Time for some work, which runs from now on: at its end the work is told to end, and soon after nobody waits for it. */
export function deadlineOf(ms: number, controller: AbortController): Deadline {
  let timer: NodeJS.Timeout | undefined;
  let giveUp: (value: undefined) => void = () => {};
  const over = new Promise<undefined>((resolve) => {
    giveUp = resolve;
  });
  const stop = () => clearTimeout(timer);
  const start = () => {
    stop();
    timer = setTimeout(() => {
      controller.abort(new DOMException("the answer took too long", "TimeoutError"));
      timer = setTimeout(() => giveUp(undefined), GRACE);
    }, ms);
  };
  start();
  return { over, start, stop };
}
