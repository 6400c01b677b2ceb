import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Interruption } from "../../src/cli/io.ts";
import { World } from "./world.ts";

interface Served {
  readonly url: string;
  readonly folder: string;
  stop(): Promise<{ readonly code: number; readonly err: string }>;
}

/** Runs the command until it says where it serves. */
async function serve(world: World, ...args: string[]): Promise<Served> {
  world.real = true;
  const controller = new AbortController();
  let found: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    found = resolve;
  });
  let err = "";
  const running = world.runWith(
    {
      signal: controller.signal,
      onStderr(chunk) {
        err += chunk;
        const at = /serving at (\S+)/.exec(err)?.[1];
        if (at !== undefined) found(at);
      },
    },
    "serve",
    "--port",
    "0",
    ...args,
  );
  const ended = running.then((ran) => Promise.reject(new Error(`it ended with ${ran.code}: ${ran.err}`)));
  ended.catch(() => {});
  return {
    url: await Promise.race([url, ended]),
    folder: world.folder,
    async stop() {
      controller.abort(new Interruption("SIGTERM", 143));
      return running;
    },
  };
}

describe("serve", () => {
  test("does not start where nobody could use it, and says what to do", async () => {
    const world = new World();
    world.real = true;
    const ran = await world.run("serve", "--port", "0", "--storage", "memory:");
    expect(ran.code).toBe(8);
    expect(ran.err).toMatch(/nobody could use this server: .*token create.*--anonymous read.*--open/);
  });

  test("lets everybody in with --open, here and nowhere else", async () => {
    const world = new World();
    const served = await serve(world, "--storage", "memory:", "--open", "--log", "off");
    expect((await fetch(`${served.url}/v1/prompts`)).status).toBe(200);
    const { code, err } = await served.stop();
    expect([code, err.includes("everybody who reaches it may do everything")]).toEqual([0, true]);
    const ran = await world.run("serve", "--storage", "memory:", "--open", "--host", "0.0.0.0", "--port", "0");
    expect([ran.code, ran.err]).toEqual([8, expect.stringContaining("anybody who reaches")]);
  });

  test("has a web page unless it is told otherwise, and serves programs without its files, too", async () => {
    const open = ["--storage", "memory:", "--open", "--log", "off"];
    const world = new World();
    const served = await serve(world, ...open);
    const [page, api] = [await fetch(served.url), await fetch(`${served.url}/v1`)];
    const { code, err } = await served.stop();
    const isBuilt = existsSync(join(import.meta.dirname, "../../dist/web/page/page.json"));
    expect([page.status, api.status, code]).toEqual([isBuilt ? 200 : 404, 200, 0]);
    expect(err.includes("there is no web page")).toBe(!isBuilt);

    const without = await serve(new World(), ...open, "--no-web");
    expect((await fetch(without.url)).status).toBe(404);
    expect((await without.stop()).err).not.toContain("there is no web page");
    const configured = new World();
    configured.file("prompt-registry.config.json", JSON.stringify({ storage: "memory:", server: { web: false } }));
    const off = await serve(configured, "--open", "--log", "off");
    expect((await fetch(off.url)).status).toBe(404);
    await off.stop();
  });

  test("takes tokens that are kept beside the storage, and others to read where that is allowed", async () => {
    const world = new World();
    world.real = true;
    const storage = ["--storage", "file:./registry"];
    const made = await world.run("token", "create", "ada", "--scope", "write:team", ...storage);
    expect(made.code).toBe(0);
    const served = await serve(world, ...storage, "--anonymous", "read");
    const put = (name: string, token?: string) =>
      fetch(`${served.url}/v1/prompts/${name}/-/versions/1.0.0`, {
        method: "PUT",
        body: "hello",
        headers: {
          "content-type": "text/markdown",
          "if-none-match": "*",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      }).then((reply) => reply.status);
    expect(await put("team/a")).toBe(401);
    expect(await put("team/a", made.out.trim())).toBe(201);
    expect(await put("other/a", made.out.trim())).toBe(404);
    expect(await (await fetch(`${served.url}/v1/prompts/team/a/-/latest`)).text()).toContain('author: "ada"');
    const { code, err } = await served.stop();
    expect(code).toBe(0);
    expect(err).toContain('"principalName":"ada"');
    expect(err).not.toContain(made.out.trim());
    const verified = await world.run("audit", "verify", ...storage);
    expect([verified.code, verified.out]).toEqual([0, expect.stringMatching(/^4 entries/)]);
  });

  test("asks the publish policy", async () => {
    const world = new World();
    const served = await serve(world, "--storage", "memory:", "--open", "--audit", "file:./audit.jsonl");
    const put = (query = "") =>
      fetch(`${served.url}/v1/prompts/a/-/versions/1.0.0${query}`, {
        method: "PUT",
        body: "what nobody sees: \u{e0041}\u{e0042}",
        headers: { "content-type": "text/markdown", "if-none-match": "*" },
      });
    const reply = await put();
    expect([reply.status, (await reply.json()) as unknown]).toEqual([
      400,
      expect.objectContaining({ code: "INVALID", context: expect.objectContaining({ field: "policy" }) }),
    ]);
    const message = "[policy override: invisible/tags: a test of them]";
    expect((await put(`?message=${encodeURIComponent(message)}`)).status).toBe(201);
    await served.stop();
    const told = await world.run("audit", "show", "--audit", "file:./audit.jsonl", "--json");
    const { entries } = told.json<{ entries: { action: string; outcome: string; note?: string }[] }>();
    expect(entries.map(({ action, outcome, note }) => [action, outcome, note])).toEqual([
      ["versions.put", "refused", undefined],
      ["versions.put", "done", "policy.override invisible/tags"],
    ]);
  });

  test("goes by the configuration, and by the command line first", async () => {
    const world = new World();
    world.file(
      "prompt-registry.config.json",
      JSON.stringify({
        storage: "memory:",
        server: { port: 1, access: { anonymous: ["read"] }, limits: { queue: 0 } },
      }),
    );
    const served = await serve(world);
    expect((await fetch(`${served.url}/v1/prompts`)).status).toBe(200);
    expect((await served.stop()).code).toBe(0);
    world.file("prompt-registry.config.json", JSON.stringify({ server: { limits: { queues: 1 }, port: "x" } }));
    const ran = await world.run("serve");
    expect(ran.code).toBe(8);
    expect(ran.err).toMatch(/server\.port.*server\.limits/);
  });

  test.each([
    [["--port", "70000"], /--port must be a port from 0 to 65535/],
    [["--tls-cert", "x"], /--tls-cert and --tls-key go together/],
    [["--open", "--anonymous", "read"], /does not go with --tokens or --anonymous/],
    [["--drain", "soon"], /--drain must be a time like 10s/],
  ])("refuses %j", async (args, message) => {
    const world = new World();
    world.real = true;
    const ran = await world.run("serve", "--storage", "memory:", ...args);
    expect([ran.code, ran.err]).toEqual([2, expect.stringMatching(message)]);
  });

  test("says that there is nothing to read again at SIGHUP without TLS, and goes on", async () => {
    const heard = process.listenerCount("SIGHUP");
    const served = await serve(new World(), "--storage", "memory:", "--open");
    // Without a listener it would end this process.
    expect(process.listenerCount("SIGHUP")).toBe(heard + 1);
    process.emit("SIGHUP");
    expect((await fetch(`${served.url}/healthz`)).status).toBe(200);
    const { code, err } = await served.stop();
    expect(process.listenerCount("SIGHUP")).toBe(heard);
    expect([code, err.match(/nothing to read again: no TLS/g)]).toEqual([0, [expect.any(String)]]);
  });

  test("refuses an audit log that is a folder, and so does what reads it", async () => {
    const world = new World();
    world.file("folder/readme", "");
    for (const args of [
      ["serve", "--storage", "memory:", "--open", "--port", "0"],
      ["audit", "show"],
      ["audit", "verify"],
    ]) {
      const ran = await world.run(...args, "--audit", "file:./folder");
      expect([ran.code, ran.err]).toEqual([8, expect.stringContaining("is a folder; name the file")]);
    }
  });

  test("is not ready while the disk of its folder is away, and denies nothing for good", async () => {
    const world = new World();
    world.real = true;
    const storage = ["--storage", "file:./registry"];
    const token = (await world.run("token", "create", "ada", "--scope", "admin", ...storage)).out.trim();
    world.file("hello.md", "hello\n");
    await world.run("push", "greet", "hello.md", ...storage);
    const served = await serve(world, ...storage);
    const headers = { authorization: `Bearer ${token}` };
    const look = async () => {
      const [ready, known, unknown] = await Promise.all([
        fetch(`${served.url}/readyz`),
        fetch(`${served.url}/v1/prompts/greet/-/latest`, { headers }),
        fetch(`${served.url}/v1/prompts/never/-/latest`, { headers }),
      ]);
      return [ready.status, known.status, unknown.status];
    };
    expect(await look()).toEqual([200, 200, 404]);
    const folder = join(world.folder, "registry");
    renameSync(folder, `${folder}.away`);
    mkdirSync(folder);
    // What was known a moment ago may be told for as long as it is believed.
    await expect.poll(look, { timeout: 20_000 }).toEqual([503, 503, 503]);
    rmSync(folder, { recursive: true });
    renameSync(`${folder}.away`, folder);
    await expect.poll(look, { timeout: 20_000 }).toEqual([200, 200, 404]);
    expect((await served.stop()).code).toBe(0);
  });

  const hasOpenssl = (() => {
    try {
      execFileSync("openssl", ["version"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  })();

  test.runIf(hasOpenssl)("speaks TLS, and reads its files again at SIGHUP", async () => {
    const world = new World();
    const certificate = (name: string) => {
      const out = ["-keyout", "key.pem", "-out", "cert.pem"];
      const how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
      execFileSync("openssl", ["req", "-x509", ...how, ...out, "-subj", `/CN=${name}`], {
        cwd: world.folder,
        stdio: "ignore",
      });
    };
    certificate("first");
    const files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    const served = await serve(world, "--storage", "memory:", "--open", ...files);
    expect(served.url).toMatch(/^https:/);
    const look = () =>
      new Promise<{ readonly name: unknown; readonly hsts: unknown; readonly status: unknown }>((resolve, reject) => {
        const agent = new Agent({ rejectUnauthorized: false, maxCachedSessions: 0 });
        get(`${served.url}/v1`, { agent }, (reply) => {
          const { subject } = (reply.socket as import("node:tls").TLSSocket).getPeerCertificate();
          reply.resume();
          const hsts = reply.headers["strict-transport-security"];
          reply.once("end", () => {
            agent.destroy();
            resolve({ name: subject.CN, hsts, status: reply.statusCode });
          });
        }).once("error", reject);
      });
    expect(await look()).toEqual({ name: "first", hsts: "max-age=31536000", status: 200 });
    const until = async (name: string) => {
      for (let i = 0; i < 200 && (await look()).name !== name; i++) await new Promise((r) => setTimeout(r, 5));
      return (await look()).name;
    };
    certificate("second");
    process.emit("SIGHUP");
    expect(await until("second")).toBe("second");
    // Half a pair is no pair: what is served goes on.
    const key = readFileSync(join(world.folder, "key.pem"));
    writeFileSync(join(world.folder, "key.pem"), "none");
    process.emit("SIGHUP");
    expect((await look()).name).toBe("second");
    writeFileSync(join(world.folder, "key.pem"), key);
    const { code, err } = await served.stop();
    expect([code, err.includes("the old ones stay in use")]).toEqual([0, true]);
  });
});
