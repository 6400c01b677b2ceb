import { type ErrorOutcome, RegistryError } from "../../errors.ts";

/**
 * How long work goes on to be waited for after its caller went away, so that going away is no way around a limit on what is
 * done at once. Milliseconds.
 */
const GRACE = 30_000;

interface Late {
  readonly response: Response;
}

/**
 * What work comes to, or `late` once the signal says that it took too long: then it goes on, and nobody waits for it.
 *
 * @param late given what makes the error
 */
export function overdue<T extends Late>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (error: (outcome: ErrorOutcome) => RegistryError) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const end = () => {
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    };
    const giveUp = () => {
      if (isOver) return;
      end();
      const isTime = isTimeout(signal);
      const error = (outcome: ErrorOutcome) =>
        isTime
          ? new RegistryError("TIMEOUT", "the answer took too long; what was begun goes on", { outcome })
          : new RegistryError("ABORTED", "the caller went away; what was begun goes on", { outcome });
      resolve(late(error));
    };
    const aborted = () => {
      // What heeds the signal has its own, better word for it.
      timer = setTimeout(giveUp, isTimeout(signal) ? 0 : GRACE).unref();
    };
    work.then((done) => {
      // An answer for which nobody waits any more may be a stream.
      if (isOver) void done.response.body?.cancel().catch(() => {});
      else {
        end();
        resolve(done);
      }
    }, reject);
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  });
}

function isTimeout({ reason }: AbortSignal): boolean {
  return (reason as { readonly name?: unknown } | undefined)?.name === "TimeoutError";
}
