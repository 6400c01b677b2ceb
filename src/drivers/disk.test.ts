import { expect, it } from "vitest";
import { networkOf, spaceCheck } from "./disk.ts";

it("tells network file systems, and those that may be one, from local ones", () => {
  expect(networkOf({ type: 0x6969 })).toEqual({ kind: "NFS", perhaps: false });
  expect(networkOf({ type: 0xff534d42 | 0 })).toEqual({ kind: "CIFS", perhaps: false });
  expect(networkOf({ type: 0x65735546 })).toEqual({ kind: "FUSE", perhaps: true });
  expect(networkOf({ type: 0xef53 })).toBeUndefined();
});

it("says how much is free, and when that is little", () => {
  expect(spaceCheck({ bavail: 1000, bsize: 2 ** 20 })).toEqual({
    name: "space",
    ok: true,
    detail: "1000 MiB are free",
  });
  expect(spaceCheck({ bavail: 63, bsize: 2 ** 20 })).toMatchObject({ ok: false, detail: "63 MiB are free" });
});
