// A server in a process of its own, so that who asks and who answers have a core each: ours, or a bare one that sends the same
// bytes. Told what to be by its parent, over IPC.
import { openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const RATE = { rate: 1e9, burst: 1e9 };

async function ours({ dist, storage, documents = [], limits = {} }) {
  const load = (path) => import(pathToFileURL(join(dist, path)).href);
  const { openRegistry } = await load("index.js");
  const { createAccess, issueToken, memoryTokens, serve } = await load("server/index.js");
  const tokens = memoryTokens();
  const { token } = await issueToken(tokens, { name: "bench", scopes: ["admin"], lifetime: "never" });
  const registry = await openRegistry(storage, { env: {}, configFile: false });
  for (const document of documents) await registry.storePrompt(document);
  const nowhere = openSync("/dev/null", "w");
  const server = await serve(registry, {
    access: createAccess({ tokens }),
    port: 0,
    // What is counted, limited and logged by default is here, too; only the limit itself is out of reach.
    limits: { principalRate: RATE, ...limits },
    log: (lines) => writeSync(nowhere, lines),
  });
  return { url: server.url, token };
}

/** @param answer status, headers and body of ours, for every request */
async function bare({ answer }) {
  const body = Buffer.from(answer.body, "base64");
  const headers = answer.headers.flat();
  const server = createServer((_, response) => {
    response.writeHead(answer.status, headers);
    response.end(body);
  });
  server.keepAliveTimeout = 65_000;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}` };
}

process.once("message", (order) => {
  const be = order.what === "ours" ? ours : bare;
  be(order).then(
    (told) => process.send(told),
    (error) => process.send({ failed: error.stack }),
  );
});
process.once("disconnect", () => process.exit(0));
