import { describe, expect, it } from "vitest";
import { accessOf, auditTrail, httpWorld } from "../../../test/support/http-world.ts";
import { createAccess } from "../access/index.ts";
import type { AuditEntry } from "../types.ts";
import { Denials } from "./denials.ts";

const denied = (address?: string): AuditEntry => ({
  action: "prompt.delete",
  ...(address === undefined ? {} : { address }),
  outcome: "denied",
});

describe("denials of callers whom nobody knows", () => {
  it("the first of each address is written at once, the others are counted", async () => {
    const entries: AuditEntry[] = [];
    const append = async (entry: AuditEntry) => void entries.push(entry);
    const denials = new Denials(append, { interval: 20, addresses: 2 });
    for (const address of ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.3", undefined]) {
      await denials.add(denied(address));
    }
    expect(entries.map(({ action, address }) => [action, address])).toEqual([
      ["prompt.delete", "10.0.0.1"],
      ["prompt.delete", "10.0.0.2"],
    ]);
    await expect.poll(() => entries.length).toBe(4);
    expect(entries.slice(2)).toMatchObject([
      { action: "denials", address: "10.0.0.1", outcome: "denied", note: expect.stringMatching(/^2 more/) },
      { action: "denials", outcome: "denied", note: expect.stringMatching(/^2 from other addresses/) },
    ]);
    await denials.add(denied("10.0.0.1"));
    expect(entries.length).toBe(5);
    await denials.add(denied("10.0.0.1"));
    denials.close();
    expect(entries.at(-1)?.note).toMatch(/^1 more/);
  });

  it("what can't be written is an error for who is told at once, and for nobody else", async () => {
    const denials = new Denials(async () => {
      throw new Error("the disk is full");
    });
    await expect(denials.add(denied("10.0.0.1"))).rejects.toThrow("full");
    await denials.add(denied("10.0.0.1"));
    denials.close();
  });

  it("a thousand requests without credentials are a few lines, and those with a token one each", async () => {
    const audit = auditTrail();
    const { send, handler } = httpWorld({ access: accessOf({ reader: [{ right: "read", prefix: "" }] }), audit });
    for (let i = 0; i < 1000; i++) await send("DELETE", "/v1/prompts/a");
    expect(audit.entries).toMatchObject([{ action: "prompt.delete", outcome: "denied", code: "UNAUTHENTICATED" }]);
    for (let i = 0; i < 3; i++) await send("DELETE", "/v1/prompts/a", { token: "reader" });
    expect(audit.entries.length).toBe(4);
    handler.close();
    expect(audit.entries.at(-1)).toMatchObject({ action: "denials", note: expect.stringMatching(/^999 more/) });
  });

  it("callers who may read without credentials are counted in the same way", async () => {
    const audit = auditTrail();
    const { send, handler } = httpWorld({ access: createAccess({ anonymous: ["read:public"] }), audit });
    const json = { asks: [{ name: "secret", selector: { kind: "latest" } }] };
    for (let i = 0; i < 5; i++) {
      await send("DELETE", "/v1/prompts/public");
      await send("POST", "/v1/reads", { json });
    }
    expect(audit.entries.length).toBe(1);
    handler.close();
  });

  it("requests without credentials are throttled by address, and keep nobody out who has some", async () => {
    const access = createAccess({ throttle: { failures: 1, interval: 60_000 } });
    const codes: string[] = [];
    for (let i = 0; i < 12; i++) {
      await access
        .authenticate({ authorization: undefined, address: "10.0.0.1" })
        .catch((error: { code: string }) => codes.push(error.code));
    }
    expect(codes.filter((code) => code === "UNAUTHENTICATED").length).toBe(10);
    expect(codes.slice(10)).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
    const wrong = access.authenticate({ authorization: "Bearer wrong", address: "10.0.0.1" });
    await expect(wrong).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await access.close();
  });
});
