import { expect, test } from "vitest";
import { addressKey, checkCidrs, networks } from "./cidr.ts";
import { Throttle } from "./throttle.ts";

test.each([
  ["10.0.0.0/8", "10.1.2.3", true],
  ["10.0.0.0/8", "11.1.2.3", false],
  ["10.0.0.0/8", "::ffff:10.1.2.3", true],
  ["10.0.0.0/8", "::ffff:11.1.2.3", false],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["2001:db8::/32", "2001:db8:1::5", true],
  ["2001:db8::/32", "2001:db9::5", false],
  ["fe80::/10", "fe80::1%eth0", true],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["10.0.0.0/8", undefined, false],
  ["10.0.0.0/8", "", false],
  ["10.0.0.0/8", "10.1.2.3, 1.2.3.4", false],
  ["10.0.0.0/8", "0x0a.1.2.3", false],
])("%s and %s: %s", (cidr, address, inside) => {
  expect(networks([cidr])(address)).toBe(inside);
});

test.each(["10.0.0.0/33", "10.0.0/8", "::/129", "host", "", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08x", "*"])(
  "%j is no network",
  (cidr) => {
    expect(() => checkCidrs([cidr])).toThrow("network");
    expect(networks([cidr])("10.0.0.1")).toBe(false);
  },
);

test("a host of IPv6 is counted by its /64", () => {
  expect(addressKey("2001:db8:0:1::5")).toBe(addressKey("2001:0db8:0:1:ffff::9"));
  expect(addressKey("2001:db8:0:1::5")).not.toBe(addressKey("2001:db8:0:2::5"));
  expect(addressKey("::1")).toBe(addressKey("::2"));
  expect(addressKey("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(addressKey(undefined)).toBeUndefined();
});

test("wrong credentials fill a bucket, which leaks, and only so many are kept", () => {
  let now = 0;
  const throttle = new Throttle({ failures: 3, interval: 1000, addresses: 100 }, () => now);
  const one = "192.0.2.1";
  for (let i = 0; i < 3; i++) {
    expect(throttle.wait(one)).toBe(0);
    throttle.failed(one);
  }
  expect(throttle.wait(one)).toBe(1000);
  expect(throttle.wait("192.0.2.2")).toBe(0);
  now += 250;
  expect(throttle.wait(one)).toBe(750);
  now += 750;
  expect(throttle.wait(one)).toBe(0);
  throttle.failed(one);
  expect(throttle.wait(one)).toBe(1000);
  now += 60_000;
  expect(throttle.wait(one)).toBe(0);
  for (let i = 0; i < 1000; i++) throttle.failed(`198.51.${i >> 8}.${i & 255}`);
  expect(throttle.size).toBe(100);
  throttle.failed(undefined);
  expect(throttle.size).toBe(100);
});
