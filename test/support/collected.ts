import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { onTestFinished } from "vitest";

/** For the rest of a test, what nobody holds is collected all the time. */
export function collectAlways(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const timer = setInterval(collect, 50);
  onTestFinished(() => clearInterval(timer));
}
