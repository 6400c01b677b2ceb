import { getMaxListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { CHECKS } from "../../src/conformance/checks.ts";
import { checkConformance, junitOf } from "../../src/conformance/index.ts";
import type { StorageDriver } from "../../src/driver.ts";
import { memory } from "../../src/drivers/memory.ts";
import { sqlite } from "../../src/drivers/sql/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { serverPlaces } from "../../src/server/access/configured.ts";
import { issueToken, openTokens } from "../../src/server/access/index.ts";
import { serveConfigured } from "../../src/server/configured.ts";
import { createHandler } from "../../src/server/handler.ts";
import { serve } from "../../src/server/node/serve.ts";
import type { Grant, Handler, Right } from "../../src/server/types.ts";
import { serveHandler } from "../support/http-server.ts";
import { accessOf } from "../support/http-world.ts";
import { WRONG_SERVERS, type WrongServer } from "../support/wrong-servers.ts";

const RIGHTS: readonly Right[] = ["read", "write", "promote", "import", "admin"];
const all = (prefix = ""): Grant[] => RIGHTS.map((right) => ({ right, prefix }));
const access = accessOf({
  full: all(),
  limited: [{ right: "read", prefix: "other" }],
  below: all("team"),
  reader: [{ right: "read", prefix: "" }],
  writer: [
    { right: "read", prefix: "" },
    { right: "write", prefix: "" },
    { right: "promote", prefix: "" },
  ],
});
const TOKENS = { token: "full", limitedToken: "limited" };
const folder = mkdtempSync(join(tmpdir(), "prompt-registry-protocol-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STORES: Readonly<Record<string, () => Promise<StorageDriver>>> = {
  memory: async () => memory(),
  sqlite: () => sqlite({ path: join(folder, "registry.db") }),
};

/** As `serve --storage` finds them where there is no file and no variable. */
const settings = (cwd: string, storage: string) => loadConfig({ storage }, { cwd, env: {}, configFile: false });

async function serving(driver: StorageDriver) {
  const registry = new PromptRegistry(driver);
  const server = await serve(registry, { access, port: 0 });
  return {
    url: server.url,
    registry,
    async stop() {
      await server.stop(0);
      await registry.close();
    },
  };
}

describe("protocol v1", () => {
  it.each(Object.keys(STORES))("our own server over %s keeps every rule", async (store) => {
    const server = await serving(await (STORES[store] as () => Promise<StorageDriver>)());
    try {
      const report = await checkConformance(server.url, TOKENS);
      expect(report.results.filter(({ status }) => status !== "passed")).toEqual([]);
      expect(report.passed).toBe(CHECKS.length + 1);
      const { items } = await server.registry.listPrompts({ includeRemoved: true, limit: 1000 });
      expect(items.every(({ name }) => name.startsWith(report.left as string))).toBe(true);
      expect((await server.registry.verify()).ok).toBe(true);
    } finally {
      await server.stop();
    }
  });

  it("is kept by `serve` as it starts without settings, with tokens and the default policy", async () => {
    const cwd = mkdtempSync(join(folder, "tokens-"));
    const config = { ...(await settings(cwd, "sqlite:./registry.db")), server: { port: 0, log: "off" as const } };
    const tokens = await openTokens((await serverPlaces(config)).tokens, cwd);
    const { token } = await issueToken(tokens, { name: "ada", scopes: ["admin", "import"] });
    const limited = await issueToken(tokens, { name: "bob", scopes: ["read:other"] });
    await tokens.close();
    const server = await serveConfigured(config, { cwd, log: () => {} });
    try {
      const report = await checkConformance(server.url, { token, limitedToken: limited.token });
      expect(report.results.filter(({ status }) => status !== "passed")).toEqual([]);
      expect(report.passed).toBe(CHECKS.length + 1);
    } finally {
      await server.stop(0);
    }
  });

  it("is kept by `serve --open` over a folder, with the default policy", async () => {
    const cwd = mkdtempSync(join(folder, "open-"));
    const config = { ...(await settings(cwd, "file:./f")), server: { port: 0, log: "off" as const } };
    const server = await serveConfigured(config, { cwd, open: true, log: () => {} });
    try {
      const report = await checkConformance(server.url);
      expect(report.results.filter(({ status }) => status === "failed")).toEqual([]);
      expect(report.results.filter(({ status }) => status === "skipped").map(({ id }) => id)).toEqual([
        ...["access.nobody", "access.wrong-token", "access.hidden", "access.lists", "access.commits"],
      ]);
    } finally {
      await server.stop(0);
    }
  });

  it("leaves the signal of the caller as it was, and warns of no listeners", async () => {
    const server = await serving(memory());
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on("warning", note);
    try {
      const { signal } = new AbortController();
      const most = getMaxListeners(signal);
      const report = await checkConformance(server.url, { token: "full", only: "versions.race", signal });
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect([report.ok, warnings, getMaxListeners(signal)]).toEqual([true, [], most]);
    } finally {
      process.off("warning", note);
      await server.stop();
    }
  });

  it("ends with the signal of the caller", async () => {
    const server = await serving(memory());
    try {
      const controller = new AbortController();
      const onResult = () => controller.abort(new Error("enough"));
      const run = checkConformance(server.url, { token: "full", signal: controller.signal, onResult });
      await expect(run).rejects.toThrow("enough");
    } finally {
      await server.stop();
    }
  });

  it("tells what it may not do, and does not do it", async () => {
    const server = await serving(memory());
    try {
      const reading = await checkConformance(server.url, { token: "full", readOnly: true });
      expect([reading.ok, reading.left, reading.skipped > 50]).toEqual([true, undefined, true]);
      const reader = await checkConformance(server.url, { token: "reader", only: "versions.*" });
      expect([reader.ok, reader.passed, reader.left]).toEqual([true, 0, undefined]);
      expect(reader.results[0]?.detail).toMatch(/^the token lacks the right to /);
      expect((await server.registry.listPrompts({ includeRemoved: true })).items).toEqual([]);
      const below = await checkConformance(server.url, { token: "below", prefix: "team", only: "versions.*" });
      expect([below.ok, below.skipped, below.left?.startsWith("team/conformance-")]).toEqual([true, 0, true]);
      for (const token of [{}, { token: "wrong" }]) {
        await expect(checkConformance(server.url, token)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      }
      const writer = await checkConformance(server.url, { token: "writer", only: "commits" });
      expect(writer.results.filter(({ status }) => status === "failed")).toEqual([]);
    } finally {
      await server.stop();
    }
  });

  it("a server that can't be reached, or an address that is none, is an error and no failed check", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => listener.once("listening", resolve));
    const { port } = listener.address() as AddressInfo;
    await new Promise((resolve) => listener.close(resolve));
    await expect(checkConformance(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    for (const url of ["nonsense", "ftp://x", "https://x/path", "https://user:secret@x/"]) {
      await expect(checkConformance(url)).rejects.toMatchObject({ code: "INVALID" });
    }
    await expect(checkConformance("http://registry.example", TOKENS)).rejects.toMatchObject({ code: "CONFIG" });
    await expect(checkConformance("http://x", { prefix: "Not-A-Name" })).rejects.toMatchObject({ code: "INVALID" });
  });

  it("what answers but is no registry fails every check that ran", async () => {
    const handler = Object.assign(async () => new Response("hello"), { ready: () => undefined }) as Handler;
    const server = await serveHandler(handler);
    try {
      const report = await checkConformance(server.url, { only: "versions" });
      expect([report.ok, report.passed]).toEqual([false, 0]);
    } finally {
      await server.close();
    }
  });

  it("JUnit XML holds whatever a server says without being broken by it", () => {
    const detail = `"<![CDATA[]]>&amp;' \u0000\u001b[31m \ufffe \ud800 \u{1f642}`;
    const result = {
      id: "a.b",
      rule: "x < y & z",
      section: 'The "feed"',
      status: "failed",
      detail,
      duration: 1234,
    } as const;
    const skipped = { ...result, status: "skipped", detail: "why" } as const;
    const xml = junitOf({ url: "http://x", ok: false, passed: 0, failed: 1, skipped: 1, results: [result, skipped] });
    expect(xml).toContain('tests="2" failures="1" errors="0" skipped="1" time="2.468"');
    expect(xml).toContain('classname="The &quot;feed&quot;" name="a.b: x &lt; y &amp; z" time="1.234"');
    expect(xml).toContain("&quot;&lt;![CDATA[]]&gt;&amp;amp;&apos; \\u0000\\u001b[31m \\ufffe \\ud800 \u{1f642}");
  });

  it("every check has an id of its own, a rule on one line and a section of the protocol", async () => {
    const { readFileSync } = await import("node:fs");
    const protocol = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
    expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length);
    for (const { id, rule, section } of CHECKS) {
      expect(id).toMatch(/^[a-z]+(?:\.[a-z0-9-]+)+$/);
      expect(rule).toMatch(/^[^\n]{10,200}$/);
      expect(protocol, id).toMatch(new RegExp(`^##+ ${section}$`, "m"));
    }
  });
});

/** Our own server behind something that breaks a rule. */
async function wrongServer(wrong: WrongServer) {
  const handler = createHandler(new PromptRegistry(memory()), { access });
  const wrapped = wrong.wrap((request, info) => handler(request, info));
  const broken = Object.assign((request: Request, info = {}) => wrapped(request, info), { ready: () => undefined });
  const server = await serveHandler(broken as Handler);
  return {
    url: server.url,
    async stop() {
      await server.close();
      handler.close();
    },
  };
}

describe("wrong servers", () => {
  it.each(WRONG_SERVERS)("$title is found by $check", async (wrong) => {
    const server = await wrongServer(wrong);
    try {
      // What all the others were answered is what this one judges.
      const only = wrong.check === "errors.codes" ? "errors.*" : wrong.check;
      const report = await checkConformance(server.url, { ...TOKENS, only, timeout: 6000 });
      expect(report.ok).toBe(false);
      expect(report.results.find(({ id }) => id === wrong.check)).toMatchObject({
        status: "failed",
        detail: expect.stringMatching(/^[^\n]+$/),
      });
    } finally {
      await server.stop();
    }
  });

  it("without a wrong the same checks pass", async () => {
    const server = await wrongServer({ title: "", check: "", wrap: (next) => next });
    try {
      for (const only of new Set(WRONG_SERVERS.map(({ check }) => check))) {
        const report = await checkConformance(server.url, { ...TOKENS, only });
        expect(report.results.filter(({ status }) => status !== "passed")).toEqual([]);
      }
    } finally {
      await server.stop();
    }
  });
});
