import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { s3 } from "../../src/drivers/s3/index.ts";
import { isRegistryError } from "../../src/errors.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type FaultProxy, faultProxy, type HttpFault } from "../support/http-proxy.ts";
import { type S3Server, startS3 } from "../support/s3-server.ts";
import { FULL, optionsOf } from "../support/s3-suite.ts";

const xml = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>injected</Message></Error>`;
const reply = (status: number, code: string) => ({
  ...{ status, headers: { "content-type": "application/xml" }, body: xml(code) },
});
const FAULTS: Readonly<Record<string, HttpFault>> = {
  "drop before": { kind: "drop-before" },
  "drop after": { kind: "drop-after" },
  "500": { kind: "reply", ...reply(500, "InternalError") },
  "500 after": { kind: "reply-after", ...reply(500, "InternalError") },
  "503 SlowDown": { kind: "reply", ...reply(503, "SlowDown") },
  "409": { kind: "reply", ...reply(409, "ConditionalRequestConflict") },
  "412 after": { kind: "reply-after", ...reply(412, "PreconditionFailed") },
  "cut body": { kind: "cut", bytes: 7 },
  "wrong bytes": { kind: "corrupt" },
  "a proxy's page": { kind: "reply", status: 404, headers: { "content-type": "text/html" }, body: "<h1>Not here</h1>" },
};
const TEXT = `Sort the ticket.\n${"body ".repeat(50)}\n`;

interface Operation {
  readonly prepare: (registry: PromptRegistry, name: string) => Promise<unknown>;
  readonly run: (registry: PromptRegistry, name: string) => Promise<unknown>;
  /** What must be seen when it was acknowledged, and after it was done again. */
  readonly expected: (name: string) => unknown;
  readonly look: (registry: PromptRegistry, name: string) => Promise<unknown>;
}

const seed = async (registry: PromptRegistry, name: string) => {
  await registry.storePrompt({ name, version: "1.0.0", text: "first\n" });
  await registry.storePrompt({ name, version: "1.1.0", text: "second\n" });
};
const whole = async (registry: PromptRegistry, name: string) => {
  const versions = (await registry.listVersions(name, { limit: 100, includeRemoved: true })).items;
  const actions = (await registry.history(name).all()).filter((entry) => entry.action !== "publish");
  const { version, text } = await registry.getPrompt(name);
  return {
    versions: versions.map((entry) => `${entry.version}${entry.removed === true ? " removed" : ""}`),
    actions: actions.map((entry) => entry.action),
    latest: [version, text],
    prompts: (await registry.listPrompts({ prefix: name, limit: 10 })).items.map((entry) => entry.name),
  };
};
const after = (versions: string[], actions: string[], latest: string[]) => (name: string) => ({
  versions,
  actions,
  latest,
  prompts: [name],
});

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "publish of the first version": {
    prepare: async () => {},
    run: (registry, name) => registry.storePrompt({ name, version: "1.0.0", text: TEXT }),
    expected: after(["1.0.0"], [], ["1.0.0", TEXT]),
    look: whole,
  },
  "publish of the next version": {
    prepare: seed,
    run: (registry, name) => registry.storePrompt({ name, version: "1.2.0", text: TEXT }),
    expected: after(["1.2.0", "1.1.0", "1.0.0"], [], ["1.2.0", TEXT]),
    look: whole,
  },
  label: {
    prepare: seed,
    run: (registry, name) => registry.setLabel(name, "production", "1.0.0"),
    expected: after(["1.1.0", "1.0.0"], ["label"], ["1.1.0", "second\n"]),
    look: whole,
  },
  rollback: {
    prepare: seed,
    run: (registry, name) => registry.rollback(name, { to: "1.0.0" }),
    expected: after(["1.1.0", "1.0.0"], ["rollback"], ["1.0.0", "first\n"]),
    look: whole,
  },
  remove: {
    prepare: seed,
    run: (registry, name) => registry.deleteVersion(name, "1.1.0"),
    expected: after(["1.1.0 removed", "1.0.0"], ["remove"], ["1.0.0", "first\n"]),
    look: whole,
  },
  read: {
    prepare: seed,
    run: (registry, name) => registry.getPrompt(name).then(({ version, text }) => [version, text]),
    expected: () => ["1.1.0", "second\n"],
    look: (registry, name) => registry.getPrompt(name).then(({ version, text }) => [version, text]),
  },
  list: {
    prepare: seed,
    run: (registry, name) => registry.listPrompts({ prefix: name, limit: 10, include: "heads" }).then(latestOf),
    expected: (name) => [[name, "1.1.0"]],
    look: (registry, name) => registry.listPrompts({ prefix: name, limit: 10, include: "heads" }).then(latestOf),
  },
};

function latestOf({ items }: { readonly items: readonly { name: string; head?: { latest?: string } }[] }) {
  return items.map(({ name, head }) => [name, head?.latest]);
}

let server: S3Server;
let proxy: FaultProxy;
let honest: PromptRegistry;
let count = 0;
const CHANGES = new Set(["publish of the first version", "publish of the next version", "label", "rollback", "remove"]);

beforeAll(async () => {
  server = await startS3();
  proxy = await faultProxy(server.endpoint);
  honest = await open(server.endpoint);
  // The proof that the store keeps conditions is made by the first writer, and read by the others.
  await honest.storePrompt({ name: "proof", version: "1.0.0", text: "p\n" });
});
afterAll(async () => {
  await honest?.close();
  await proxy?.close();
  await server?.stop();
});

async function open(endpoint: string): Promise<PromptRegistry> {
  // Requests are counted, so nothing may be written on the side.
  const options = { prefix: "faults", latestJson: false, requestTimeout: 5000 };
  return new PromptRegistry(await s3(optionsOf({ ...server, endpoint }, options)), { author: "tester" });
}

/** Strikes one request of an operation. @returns whether there was such a request */
async function strike(title: string, { prepare, run, look, expected }: Operation, fault: HttpFault, index: number) {
  const name = `faulty/p${String(count++).padStart(5, "0")}`;
  await prepare(honest, name);
  // A handle that has seen nothing: it asks for the proof first, and for every head.
  const faulty = await open(proxy.url);
  proxy.reset();
  let struck = false;
  proxy.faultWhen((request) => {
    if (request.index !== index) return undefined;
    struck = true;
    return fault;
  });
  const where = `${title}, request ${index}`;
  try {
    const result = await run(faulty, name);
    if (!CHANGES.has(title.split(", ")[0] as string)) expect(result, where).toEqual(expected(name));
    expect(await look(honest, name), `${where}: what was acknowledged is there, once`).toEqual(expected(name));
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    expect(error.message.includes("\n"), where).toBe(false);
  }
  proxy.reset();
  // Doing it again is always safe, and leads to the same.
  const again = await run(faulty, name).catch((error: unknown) => error);
  if (isRegistryError(again) && !["ALREADY_EXISTS", "CONFLICT", "NOT_FOUND"].includes(again.code)) throw again;
  expect(await look(honest, name), `${where}: done again`).toEqual(expected(name));
  await faulty.close();
  return struck;
}

// Half of the cases, another half of each operation and fault, unless everything is asked for.
const wanted = (operation: number, fault: number, index: number) => FULL || (operation + fault + index) % 2 === 0;

describe("S3: a fault at every request of every operation", () => {
  for (const [o, [title, operation]] of Object.entries(OPERATIONS).entries()) {
    test(`${title}: every acknowledged write is there, none doubled, no wrong bytes served`, async () => {
      let cases = 0;
      for (const [f, [fault, what]] of Object.entries(FAULTS).entries()) {
        for (let index = 0; index < 40; index++) {
          if (!wanted(o, f, index)) continue;
          if (!(await strike(`${title}, ${fault}`, operation, what, index))) break;
          cases++;
        }
      }
      process.stderr.write(`S3 faults on ${server.title}: ${title}: ${cases} cases\n`);
      expect(cases).toBeGreaterThan(Object.keys(FAULTS).length / 2);
    });
  }

  test("nothing is damaged or half done in the end", async () => {
    const { problems } = await honest.verify();
    expect(problems).toEqual([]);
  });
});
