import { useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "./failure.ts";

export interface Action {
  readonly isBusy: boolean;
  readonly failure: Failure | undefined;
  /** Does nothing while something is under way, so that a double click is one click. @returns whether it was done */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
  readonly forget: () => void;
}

export function useAction(): Action {
  const running = useRef(false);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  return {
    isBusy,
    failure,
    run: async (work) => {
      if (running.current) return false;
      running.current = true;
      setBusy(true);
      setFailure(undefined);
      try {
        await work();
        return true;
      } catch (error) {
        setFailure(asFailure(error));
        return false;
      } finally {
        running.current = false;
        setBusy(false);
      }
    },
    forget: () => setFailure(undefined),
  };
}

const LOOKS = [700, 2000, 4000] as const;

/**
 * Does it; where the answer was lost, looks whether it was done before anything else is said. What the server took up
 * is brought to its end even after it said that it took too long, so it is looked at more than once.
 */
export async function doAndSee(work: () => Promise<unknown>, isDone: () => Promise<boolean>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const failure = asFailure(error);
    if (failure.outcome !== "unknown") throw failure;
    for (const wait of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (await isDone().catch(() => false)) return;
    }
    throw failure;
  }
}

/** An id that is new for everything that is meant once. `crypto.randomUUID` is not there over plain http. */
export function newKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `web-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
