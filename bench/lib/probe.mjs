import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { stat } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { median } from "./stats.mjs";

const FILE_SYSTEMS = new Map([
  [0xef53, "ext4"],
  [0x9123683e, "btrfs"],
  [0x58465342, "xfs"],
  [0x2fc12fc1, "zfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlay"],
  [0x1a, "apfs"],
]);

function time(n, op) {
  const samples = [];
  for (let i = 0; i < n; i++) {
    const start = performance.now();
    op(i);
    samples.push((performance.now() - start) * 1000);
  }
  return median(samples);
}

/** What this machine can do at best, so that results of two machines are not compared by mistake. */
export async function probe(folder) {
  const path = join(folder, "probe");
  const fd = fs.openSync(path, "w");
  let fsync;
  try {
    const bytes = Buffer.alloc(2048, "x");
    fsync = time(60, () => {
      fs.writeSync(fd, bytes);
      fs.fsyncSync(fd);
    });
  } finally {
    fs.closeSync(fd);
  }
  const statSync = time(300, () => fs.statSync(path));
  const hops = [];
  for (let i = 0; i < 300; i++) {
    const start = performance.now();
    await stat(path);
    hops.push((performance.now() - start) * 1000);
  }
  fs.unlinkSync(path);
  const start = time(7, () => spawnSync(process.execPath, ["-e", "0"])) / 1000;
  const { type } = fs.statfsSync(folder);
  return {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    fs: FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`,
    fsync_us: round(fsync),
    stat_us: round(statSync),
    pool_hop_us: round(median(hops) - statSync),
    node_start_ms: round(start),
    loadavg: os.loadavg().map(round),
  };
}

function round(value) {
  return Math.round(value * 10) / 10;
}
