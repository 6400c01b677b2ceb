import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const FILE_SYSTEMS = ["ext4", "xfs"] as const;
export type FileSystem = (typeof FILE_SYSTEMS)[number];

// The smallest that mkfs.xfs makes.
const BYTES = 320 * 2 ** 20;

/** A file system of its own, in a file, whose power can be cut. */
export interface PowerDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** From this instant on nothing more reaches it, not even its journal; then it is mounted again, as after a power failure. */
  cut(): void;
  dispose(): void;
}

const PREFIX = "power-";
const ENDS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Takes away what processes left that were killed. */
function sweep(): void {
  for (const entry of readdirSync(tmpdir())) {
    const pid = /^power-(\d+)-/.exec(entry)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const root = join(tmpdir(), entry);
    try {
      run("umount", "--lazy", join(root, "disk"));
    } catch {
      // It was not mounted.
    }
    rmSync(root, { recursive: true, force: true });
  }
}

function run(file: string, ...args: string[]): void {
  execFileSync(file, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** @throws where this machine or this user can't make one; the message says why */
export function createPowerDisk(kind: FileSystem): PowerDisk {
  sweep();
  const root = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${kind}-`));
  const image = join(root, "image");
  const path = join(root, "disk");
  const mount = () => run("mount", "-o", "loop", image, path);
  let mounted = false;
  const dispose = () => {
    process.off("exit", dispose);
    for (const signal of ENDS) process.off(signal, interrupted);
    try {
      if (mounted) run("umount", "--lazy", path);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  };
  const interrupted = () => {
    dispose();
    process.exit(1);
  };
  process.on("exit", dispose);
  for (const signal of ENDS) process.on(signal, interrupted);
  try {
    mkdirSync(path);
    writeFileSync(image, "");
    truncateSync(image, BYTES);
    run(`mkfs.${kind}`, "-q", image);
    mount();
    mounted = true;
    // As a trial: not every kernel can.
    const disk = {
      path,
      cut() {
        // https://man7.org/linux/man-pages/man8/xfs_io.8.html: without -f the log is not flushed first.
        run("xfs_io", "-x", "-c", "shutdown", path);
        run("umount", path);
        mounted = false;
        mount();
        mounted = true;
      },
      dispose,
    };
    disk.cut();
    return disk;
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Why there can be no such disk here, or `undefined`. */
export function powerProblem(kind: FileSystem): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  if (process.getuid?.() !== 0) return "needs root, to mount a file system of its own";
  try {
    createPowerDisk(kind).dispose();
    return undefined;
  } catch (error) {
    const { code, path, stderr, message } = error as NodeJS.ErrnoException & { stderr?: Buffer };
    if (code === "ENOENT" && path !== undefined) return `${path} is not installed`;
    return (
      String(stderr ?? message)
        .trim()
        .split("\n")[0] ?? message
    );
  }
}
