import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { memory } from "../../drivers/memory.ts";
import { restoreFile } from "./restore.ts";

test.runIf(process.platform !== "win32")("a pipe is refused at once, though nobody writes into it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "prompt-registry-pipe-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "pipe");
  execFileSync("mkfifo", [file]);
  await expect(restoreFile(memory(), file)).rejects.toMatchObject({
    code: "INVALID",
    message: expect.stringContaining("is not a regular file"),
  });
});
