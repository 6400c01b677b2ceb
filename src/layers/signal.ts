import { abortError, RegistryError } from "../errors.ts";

/** Waits `ms`, or until the signal fires, which rejects with `ABORTED` or `TIMEOUT`. */
export function sleep(ms: number, signal: AbortSignal | undefined, operation?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(abortError(signal as AbortSignal, operation));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal === undefined) return;
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** The promise, or `ABORTED`/`TIMEOUT` as soon as the signal fires; what was waited for goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, operation: string): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(abortError(signal, operation));
    if (signal.aborted) {
      stop();
      promise.catch(() => {});
      return;
    }
    signal.addEventListener("abort", stop, { once: true });
    const end = () => signal.removeEventListener("abort", stop);
    promise.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

export function timeoutReason(): DOMException {
  return new DOMException("The operation timed out.", "TimeoutError");
}

/** The caller's own end: nothing that a layer does may go on after it. */
export function isOver(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Whole, positive milliseconds, or `CONFIG` that names the option. */
export function checkDuration(field: string, ms: number, { zero = false } = {}): number {
  // Node turns a longer timer into one of a millisecond.
  if (Number.isFinite(ms) && ms <= 2 ** 31 - 1 && (zero ? ms >= 0 : ms > 0)) return ms;
  throw new RegistryError(
    "CONFIG",
    `${field} must be ${zero ? "0 or more" : "more than 0"} milliseconds, at most 24 days`,
    {
      field,
    },
  );
}

export function checkCount(field: string, value: number, min = 1): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new RegistryError("CONFIG", `${field} must be a whole number of at least ${min}`, { field });
}
