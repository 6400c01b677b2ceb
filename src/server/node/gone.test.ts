import { connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { collectAlways } from "../../../test/support/collected.ts";
import { memory } from "../../drivers/memory.ts";
import { PromptRegistry } from "../../registry.ts";
import type { Access, Principal } from "../types.ts";
import { listen } from "./server.ts";

const anyone: Principal = { id: "token:any", name: "any", grants: [] };
const access: Access = { authenticate: async () => anyone, remembered: () => anyone, allows: () => true };

test.each(["the client goes away", "the answer takes too long"])(
  "work ends when %s, also where only its signal is held",
  async (why) => {
    collectAlways();
    const signals: AbortSignal[] = [];
    const reply = ({ signal }: Request) => {
      signals.push(signal);
      return new Promise<Response>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const handler = Object.assign(reply, { ready: () => undefined });
    const limits = { answerTimeout: why.startsWith("the client") ? 30_000 : 500 };
    const server = await listen(new PromptRegistry(memory()), () => handler, { access, port: 0, limits });
    onTestFinished(async () => void (await server.stop(200)));
    const client = connect(server.port, "127.0.0.1");
    client.on("error", () => {});
    client.write(`GET /x HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (why.startsWith("the client")) client.destroy();
    await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true), 3000);
    client.destroy();
  },
);
