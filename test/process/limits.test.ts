import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bench, createBench, summary, withWorkers } from "../support/process-workers.ts";
import { skipSuite } from "../support/skip.ts";
import type { LimitsOptions, Report } from "./workers/limits.ts";
import type { Answer } from "./workers/registry.ts";

const MODES = ["embedded", "server"] as const;
const NOBODY = 65_534;

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench?.dispose());

/** Why nothing can be mounted here; `undefined`: it can. */
function mountMissing(): string | undefined {
  if (process.platform !== "linux") return "mount namespaces exist on Linux only";
  const { error, status, stderr } = spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], {
    encoding: "utf8",
  });
  if (error !== undefined) return "unshare is not installed";
  return status === 0 ? undefined : `mounting is not permitted (${stderr.trim()})`;
}

function run(command: readonly string[], options: LimitsOptions): Report {
  mkdirSync(options.path, { recursive: true });
  const [program = "", ...args] = [...command, process.execPath, bench.script("limits"), JSON.stringify(options)];
  const { stdout, stderr, status, signal } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
  expect(status, `${signal ?? status}: ${stderr}`).toBe(0);
  const report = JSON.parse(stdout) as Report;
  expect(report.refused).toBeUndefined();
  expect(report.problems).toEqual([]);
  return report;
}

const told = ({ acked, errors }: Report) =>
  `${acked} stored, ${
    Object.entries(errors)
      .map(([key, n]) => `${key} ${n}`)
      .join(", ") || "no errors"
  }`;

const missing = mountMissing();
if (missing !== undefined) skipSuite("full and read-only disks", missing);
else {
  describe.each(MODES)("real disks (%s)", (mode) => {
    test.each(["size=256k", "size=4m,nr_inodes=100"])("full: %s", (mount) => {
      const report = run(["unshare", "-Urm"], { what: "full", path: bench.folder("disk"), mode, mount });
      summary(`limits: tmpfs ${mount} full (${mode}): ${told(report)}`);
      const codes = new Set(Object.keys(report.errors).map((key) => key.split(" ")[0]));
      expect(codes).toEqual(new Set(["NO_SPACE"]));
    });

    test("read-only", () => {
      const report = run(["unshare", "-Urm"], { what: "readonly", path: bench.folder("disk"), mode });
      summary(`limits: read-only (${mode}): ${told(report)}`);
    });
  });
}

if (process.platform === "win32") skipSuite("limits of open files and permissions", "Windows has neither");
else {
  describe.each(MODES)("limits (%s)", (mode) => {
    test("few open files", () => {
      const report = run(["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"], { what: "files", path: bench.folder(), mode });
      summary(`limits: ulimit -n 64 (${mode}): ${told(report)}`);
      expect(Object.keys(report.errors)).toContain("UNAVAILABLE temporary");
      expect(new Set(Object.keys(report.errors))).toEqual(new Set(["UNAVAILABLE temporary"]));
    });

    test("permission denied", async () => {
      // Root is above permissions, so the work is done by somebody else.
      const asRoot = process.getuid?.() === 0;
      const path = bench.folder();
      mkdirSync(path);
      if (asRoot) {
        chmodSync(bench.root, 0o755);
        chownSync(path, NOBODY, NOBODY);
      }
      const folder = join(path, "prompts/support/triage");
      const spawned = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
      const code = (answer: Answer) => (answer.ok ? "ok" : `${answer.code} ${answer.outcome}`);
      await withWorkers(
        bench.script("registry"),
        1,
        { path, mode },
        async ([worker]) => {
          const store = (version: string) =>
            worker?.call("storePrompt", {
              name: "support/triage",
              version,
              text: `version ${version} x`,
            }) as Promise<Answer>;
          const get = (selector: string) => worker?.call("getPrompt", selector) as Promise<Answer>;
          expect(code(await store("1.0.0"))).toBe("ok");
          expect(code((await worker?.call("setLabel", "support/triage", "production", "1.0.0")) as Answer)).toBe("ok");

          chmodSync(folder, 0o555);
          expect(code(await store("1.1.0"))).toBe("FORBIDDEN final");
          expect(code(await get("support/triage@1.0.0"))).toBe("ok");
          chmodSync(folder, 0o755);
          expect(code(await get("support/triage@1.1.0"))).toBe("NOT_FOUND final");
          expect(readdirSync(folder).filter((file) => file.startsWith(".tmp"))).toEqual([]);

          chmodSync(join(folder, ".heads"), 0o555);
          const label = await worker?.call("setLabel", "support/triage", "staging", "1.0.0");
          expect(code(label as Answer)).toBe("FORBIDDEN final");
          chmodSync(join(folder, ".heads"), 0o755);
          expect(code(await get("support/triage@staging"))).toBe("NOT_FOUND final");

          expect(code(await store("1.2.0"))).toBe("ok");
          chmodSync(join(folder, "v1.2.0.md"), 0);
          // What can't be read is not absent.
          expect(["ok", "FORBIDDEN final"]).toContain(code(await get("support/triage@1.2.0")));
          await withWorkers(
            bench.script("registry"),
            1,
            { path, mode },
            async ([fresh]) => {
              expect(code((await fresh?.call("getPrompt", "support/triage@1.2.0")) as Answer)).toBe("FORBIDDEN final");
              expect(code((await fresh?.call("getPrompt", "support/triage")) as Answer)).toBe("FORBIDDEN final");
              chmodSync(folder, 0);
              for (const selector of ["support/triage", "support/triage@1.0.0", "support/triage@production"]) {
                expect(code((await fresh?.call("getPrompt", selector)) as Answer), selector).toBe("FORBIDDEN final");
              }
              expect(code((await fresh?.call("verify")) as Answer)).toBe("FORBIDDEN final");
              expect(code((await fresh?.call("doctor", {})) as Answer)).toBe("FORBIDDEN final");
              chmodSync(folder, 0o755);
            },
            spawned,
          );
          chmodSync(join(folder, "v1.2.0.md"), 0o644);
          expect(code(await store("1.3.0"))).toBe("ok");
          expect(code(await get("support/triage"))).toBe("ok");
        },
        spawned,
      );
      summary(`limits: permissions (${mode}): denied is FORBIDDEN, never absent${asRoot ? " (as another user)" : ""}`);
      rmSync(path, { recursive: true, force: true });
    });
  });
}
