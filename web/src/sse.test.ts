import { describe, expect, test } from "vitest";
import { EventParser } from "./sse.ts";

const STREAM =
  'retry: 1000\nid: c1\nevent: ready\ndata: {}\n\n: still here\n\nevent: change\ndata: {"name":"a"}\n\nid: c2\nevent: change\ndata: {"name":"b"}\n\n';
const EVENTS = [
  { event: "ready", data: "{}", id: "c1" },
  { event: "change", data: '{"name":"a"}', id: "c1" },
  { event: "change", data: '{"name":"b"}', id: "c2" },
];

describe("server-sent events", () => {
  test("are read from one chunk", () => {
    expect(new EventParser().push(STREAM)).toEqual(EVENTS);
  });

  test.each(["\n", "\r\n", "\r"])("are read from any chunks, with %j as line end", (end) => {
    const text = STREAM.replaceAll("\n", end);
    for (const size of [1, 2, 3, 7, 50]) {
      const parser = new EventParser();
      const events = [];
      for (let i = 0; i < text.length; i += size) events.push(...parser.push(text.slice(i, i + size)));
      expect(events).toEqual(EVENTS);
    }
  });

  test("several lines of data are one, and an event without data is none", () => {
    expect(new EventParser().push("data: a\ndata:b\ndata\n\nevent: x\n\n")).toEqual([
      { event: "message", data: "a\nb\n", id: "" },
    ]);
  });

  test("what is cut off is not told", () => {
    expect(new EventParser().push('event: change\ndata: {"name":"a"}\n')).toEqual([]);
  });
});
