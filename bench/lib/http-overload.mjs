import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "./stats.mjs";

function put(url, agent, headers, body) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "PUT", agent, headers }, (reply) => {
      reply.resume();
      reply.once("error", reject);
      reply.once("end", () => resolve(reply));
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

/**
 * So many clients that publish, each one request after the other, who come back when they are told to.
 *
 * @returns the 99th percentile of what was accepted, in nanoseconds
 */
export async function overload({ url, headers, clients, ms, next }) {
  const agent = new Agent({ keepAlive: true });
  const end = performance.now() + ms;
  const accepted = [];
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const { path, text } = next();
        const started = performance.now();
        const reply = await put(url + path, agent, headers, text);
        if (reply.statusCode === 201) accepted.push(performance.now() - started);
        else if (reply.statusCode !== 503) throw new Error(`PUT answered ${reply.statusCode}`);
        else await sleep(Math.min(Number(reply.headers["retry-after"]) * 1000, Math.max(0, end - performance.now())));
      }
    }),
  );
  agent.destroy();
  return quantile(accepted, 0.99) * 1e6;
}
