import { Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Host, openHost } from "./host.ts";

type WriteSync = (fd: number, bytes: Buffer, at: number) => number;
const pipe = vi.hoisted(() => ({ write: (() => 0) as unknown as WriteSync, isFile: false }));

vi.mock("node:fs", async (original) => ({
  ...(await original<typeof import("node:fs")>()),
  fstatSync: () => ({ isFile: () => pipe.isFile, isFIFO: () => !pipe.isFile, isSocket: () => false }),
  writeSync: (...args: Parameters<WriteSync>) => pipe.write(...args),
}));

const failing = (code: string) => Object.assign(new Error(code), { code });

let host: Host;
let direct: string;
let streamed: string;
beforeEach(() => open(false));

function open(isFile: boolean): void {
  pipe.isFile = isFile;
  direct = "";
  streamed = "";
  const stream = new Writable({
    write(chunk, _, done) {
      streamed += String(chunk);
      setImmediate(done);
    },
  });
  vi.spyOn(process, "stdout", "get").mockReturnValue(stream as unknown as typeof process.stdout);
  host = openHost();
}
afterEach(() => {
  host.close();
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

test("any number of requests may listen for the end of the process", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockReturnValue();
  for (let i = 0; i < 100; i++) host.io.signal.addEventListener("abort", () => {});
  expect(warn).not.toHaveBeenCalled();
});

/** Takes so many bytes a call, and fails instead where a code is given. */
function takes(...steps: readonly (number | string)[]): void {
  const left = [...steps];
  pipe.write = (fd, bytes, at) => {
    const step = left.shift() ?? bytes.length;
    if (typeof step === "string") throw failing(step);
    const part = bytes.subarray(at, at + step);
    if (fd === 1) direct += part.toString();
    return part.length;
  };
}

describe("stdout that is a pipe", () => {
  test("takes everything once and in order, however little it takes at a time", async () => {
    takes(1, "EINTR", 2, 3);
    host.io.stdout.write("0123456789");
    expect([direct, streamed, await host.settle(0)]).toEqual(["0123456789", "", 0]);
  });

  test("that is full for now gets the rest, and all that follows, through its stream", async () => {
    takes(4, "EAGAIN");
    for (const text of ["0123456789", "abc", "def"]) host.io.stdout.write(text);
    expect(direct).toBe("0123");
    expect(await host.settle(0)).toBe(0);
    expect(direct + streamed).toBe("0123456789abcdef");
  });

  test("is never waited for: what may not find room goes through its stream, and so does all that follows", async () => {
    takes();
    const text = "x".repeat(1000);
    for (let i = 0; i < 10; i++) host.io.stdout.write(text);
    expect(direct.length).toBe(8000);
    host.io.stdout.write("end");
    expect(await host.settle(0)).toBe(0);
    expect([direct.length, direct + streamed]).toEqual([8000, `${text.repeat(10)}end`]);
  });

  test("unlike a file, which always has room", () => {
    host.close();
    open(true);
    takes();
    for (let i = 0; i < 100; i++) host.io.stdout.write("x".repeat(1000));
    expect([direct.length, streamed]).toEqual([100_000, ""]);
  });

  test("that nobody reads any more stops the command, quietly", async () => {
    takes(4, "EPIPE");
    expect([host.io.stdout.write("0123456789"), host.io.stdout.write("more")]).toEqual([false, false]);
    expect([direct, host.io.signal.aborted, await host.settle(0)]).toEqual(["0123", true, 0]);
  });

  test("that can't be written stops the command too, by an exit code of its own, and nothing is written behind the gap", async () => {
    takes(4, "ENOSPC");
    for (const text of ["0123456789", "more"]) host.io.stdout.write(text);
    expect([direct, host.io.signal.aborted]).toEqual(["0123", true]);
    expect([await host.settle(0), await host.settle(3)]).toEqual([7, 3]);
  });
});
