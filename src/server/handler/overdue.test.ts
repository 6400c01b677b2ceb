import { describe, expect, it } from "vitest";
import { accessOf, auditTrail, httpWorld } from "../../../test/support/http-world.ts";
import { memory } from "../../drivers/memory.ts";
import { openAccess } from "../handler.ts";

const VERSION = "http://r/v1/prompts/a/-/versions/1.0.0";

function put(signal: AbortSignal): Request {
  const headers = { "content-type": "text/markdown", "if-none-match": "*" };
  return new Request(VERSION, { method: "PUT", body: "t", headers, signal });
}

/** A signal as the server's own after `answerTimeout`. */
function timeout() {
  const controller = new AbortController();
  return {
    ...controller,
    signal: controller.signal,
    end: () => controller.abort(new DOMException("", "TimeoutError")),
  };
}

describe("an answer that takes too long", () => {
  it("of a change is of unknown outcome; the change goes on, and is written down", async () => {
    const driver = memory();
    const { commit } = driver;
    let go = () => {};
    let began = () => {};
    const begun = new Promise<void>((resolve) => {
      began = resolve;
    });
    driver.commit = async (...given) => {
      began();
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return commit.apply(driver, given);
    };
    const audit = auditTrail();
    const events: unknown[] = [];
    const { handler, registry } = httpWorld(
      { access: openAccess(), audit, observe: ({ status, code }) => events.push([status, code]) },
      driver,
    );
    const { signal, end } = timeout();
    const answer = handler(put(signal));
    await begun;
    end();
    const reply = await answer;
    expect([reply.status, await reply.json()]).toEqual([
      504,
      expect.objectContaining({ code: "TIMEOUT", outcome: "unknown" }),
    ]);
    expect(audit.entries).toEqual([]);
    go();
    await expect.poll(() => audit.entries).toMatchObject([{ action: "versions.put", outcome: "done" }]);
    expect((await registry.getPrompt("a")).version).toBe("1.0.0");
    expect(events).toEqual([[504, "TIMEOUT"]]);
    handler.close();
  });

  it("where not even who asks can be told, nothing has happened", async () => {
    const access = { ...accessOf({}), authenticate: () => new Promise<never>(() => {}) };
    const { handler, registry } = httpWorld({ access });
    const { signal, end } = timeout();
    const answer = handler(put(signal));
    end();
    expect(await (await answer).json()).toMatchObject({ code: "TIMEOUT", outcome: "temporary" });
    await expect(registry.getPrompt("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
    handler.close();
  });

  it("where the audit log hangs after the change, the outcome is unknown", async () => {
    const audit = auditTrail();
    let appending = false;
    audit.append = () => {
      appending = true;
      return new Promise(() => {});
    };
    const { handler } = httpWorld({ access: openAccess(), audit });
    const { signal, end } = timeout();
    const answer = handler(put(signal));
    await expect.poll(() => appending).toBe(true);
    end();
    expect(await (await answer).json()).toMatchObject({ status: 504, outcome: "unknown" });
    handler.close();
  });
});
