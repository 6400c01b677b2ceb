import { closeSync } from "node:fs";
import { type CallName, type FsIo, nodeIo } from "../../src/drivers/fs/io.ts";
import { isChange } from "./process-disk.ts";

/**
 * What happens at the nth call of the driver: the process is no more (`die`: this call and all later ones are not made),
 * or the call fails. A failing `close` has closed all the same.
 */
export type Fault = { readonly nth: number } & (
  | { readonly kind: "die" }
  | { readonly kind: "error"; readonly code: string; readonly forever?: boolean }
  /** The call is made, but its reply is lost, as on a network file system. */
  | { readonly kind: "lost"; readonly code: string }
);

export interface MadeCall {
  readonly name: CallName;
  readonly path: string;
  /** It changes what is on the disk, or makes sure of it. */
  readonly changes: boolean;
}

export interface FaultyIo {
  readonly io: FsIo;
  /** The calls so far. */
  readonly calls: readonly MadeCall[];
  readonly fired: () => string | undefined;
  /** The fault is over. */
  heal(): void;
  /** Closes what a dead process would not hold open. */
  dispose(): void;
}

type Any = (...args: readonly unknown[]) => unknown;

/** The file system with one fault, for both ways of running. */
export function faultyIo(fault?: Fault): FaultyIo {
  const calls: MadeCall[] = [];
  const open = new Set<number>();
  let fired: string | undefined;
  let armed = true;
  const sync = Object.fromEntries(
    Object.entries(nodeIo.sync).map(([key, run]) => [
      key,
      (...args: readonly unknown[]) => {
        const name = key as CallName;
        calls.push({ name, path: String(args[0]), changes: isChange({ name, args }) });
        const n = calls.length;
        const hit =
          armed && fault !== undefined && (fault.kind === "lost" || !lasting(fault) ? n === fault.nth : n >= fault.nth);
        if (!hit) return tracked(name, args, run as Any);
        fired ??= `${name} ${String(args[0])}`;
        if (fault.kind === "lost" || (fault.kind === "error" && name === "close")) tracked(name, args, run as Any);
        const code = fault.kind === "die" ? "EDEAD" : fault.code;
        throw Object.assign(new Error(`${code}: injected, ${name} '${String(args[0])}'`), { code, syscall: name });
      },
    ]),
  ) as unknown as FsIo["sync"];
  const async = Object.fromEntries(
    Object.entries(sync).map(([name, run]) => [name, async (...args: readonly unknown[]) => (run as Any)(...args)]),
  ) as unknown as FsIo["async"];

  function tracked(name: CallName, args: readonly unknown[], run: Any): unknown {
    const result = run(...args);
    if (name === "open") open.add(result as number);
    if (name === "close") open.delete(args[0] as number);
    return result;
  }

  return {
    io: { sync, async },
    calls,
    fired: () => fired,
    heal: () => {
      armed = false;
    },
    dispose: () => {
      for (const fd of open) closeSync(fd);
      open.clear();
    },
  };
}

function lasting(fault: Fault): boolean {
  return fault.kind === "die" || (fault.kind === "error" && fault.forever === true);
}
