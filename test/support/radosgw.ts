import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const PROGRAMS = ["radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool", "ceph-authtool"] as const;
const run = promisify(execFile);

/** Why no RadosGW can be started here; `undefined` where one can. */
export function radosgwProblem(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const missing = PROGRAMS.filter((program) => !folders.some((folder) => existsSync(join(folder, program))));
  return missing.length === 0 ? undefined : `${missing.join(", ")} not installed (scripts/apt.sh installs them)`;
}

export interface RadosGwServer {
  /** `http://127.0.0.1:PORT`; path-style addressing only. */
  readonly endpoint: string;
  /** The zone group's name; signatures for any region hold. */
  readonly region: string;
  /** Of a user that owns what it creates, and that may manage roles and user policies. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of radosgw itself. */
  readonly pid: number;
  /** Runs `radosgw-admin`. @returns what it printed, which is JSON for most commands */
  admin(...args: string[]): Promise<string>;
  /** Another user, with keys of its own and no rights to anybody's buckets. */
  createUser(name: string): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }>;
  stop(): Promise<void>;
}

export interface RadosGwOptions {
  /** More lines for the `[client.rgw]` section. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/**
 * A RadosGW of its own: one monitor, one in-memory store and the gateway, on free ports of 127.0.0.1 with all files in a
 * temporary folder; ready in one to two seconds, about 150 MB. It ends with `stop`, and also when this process is killed.
 */
export async function startRadosGw(options: RadosGwOptions = {}): Promise<RadosGwServer> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt(options);
    } catch (error) {
      // A port that was free may be somebody else's by the time the daemon takes it.
      if (tries === 3) throw error;
    }
  }
}

async function attempt({ settings = {} }: RadosGwOptions): Promise<RadosGwServer> {
  const root = mkdtempSync(join(tmpdir(), "rgw-"));
  const [port, mon] = await freePorts(2);
  const fsid = crypto.randomUUID();
  for (const folder of ["mon", "osd", "run", "log", "rgw"]) mkdirSync(join(root, folder));
  writeFileSync(join(root, "ceph.conf"), configuration({ root, fsid, port, mon, settings }));
  const env = { ...process.env, CEPH_CONF: join(root, "ceph.conf") };
  const family = new Family(root, env);
  const call = async (program: string, ...args: string[]) =>
    (await run(program, args, { env, timeout: 30_000, maxBuffer: 64 * 1024 * 1024 })).stdout;
  try {
    const keyring = join(root, "keyring");
    const key = (name: string, ...caps: string[]) =>
      call("ceph-authtool", keyring, "--gen-key", "-n", name, ...caps.flatMap((cap) => ["--cap", ...cap.split("=")]));
    await call("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *");
    await key("client.admin", "mon=allow *", "osd=allow *", "mgr=allow *");
    await key("client.rgw", "mon=allow *", "osd=allow *", "mgr=allow *");
    await key("osd.0", "mon=allow profile osd", "osd=allow *", "mgr=allow profile osd");
    const map = join(root, "monmap");
    await call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", `[v2:127.0.0.1:${mon}]`, map);
    await call("ceph-mon", "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring);
    family.start("ceph-mon", "-f", "-i", "a");
    const uuid = crypto.randomUUID();
    await family.unlessGone(call("ceph", "osd", "new", uuid));
    await call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid);
    family.start("ceph-osd", "-f", "-i", "0");
    const gateway = family.start("radosgw", "-f", "-n", "client.rgw");
    const endpoint = `http://127.0.0.1:${port}`;
    await family.unlessGone(answering(endpoint));
    const admin = (...args: string[]) => call("radosgw-admin", "-n", "client.rgw", ...args);
    const createUser = async (name: string, ...more: string[]) => {
      const keys = { accessKeyId: `AK${name.toUpperCase()}`, secretAccessKey: `secret-of-${name}` };
      const flags = [`--uid=${name}`, `--display-name=${name}`, `--access-key=${keys.accessKeyId}`];
      await admin("user", "create", ...flags, `--secret-key=${keys.secretAccessKey}`, ...more);
      return keys;
    };
    const owner = await createUser("owner", "--caps=roles=*;user-policy=*");
    return {
      endpoint,
      region: "default",
      ...owner,
      pid: gateway.pid as number,
      admin,
      createUser: (name) => createUser(name),
      stop: () => family.stop(),
    };
  } catch (error) {
    const log = family.lastWords();
    await family.stop();
    throw new Error(`RadosGW does not start: ${(error as Error).message}${log}`, { cause: error });
  }
}

/** The daemons of one server: they are ended together, also when this process ends without a word. */
class Family {
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #members: { readonly child: ChildProcess; readonly closed: Promise<void> }[] = [];
  readonly #watcher: ChildProcess;
  #stopping = false;
  #output = "";
  #loss: (error: Error) => void = () => {};
  readonly #lost = new Promise<never>((_, reject) => {
    this.#loss = reject;
  });

  constructor(root: string, env: NodeJS.ProcessEnv) {
    this.#root = root;
    this.#env = env;
    this.#lost.catch(() => {});
    // Its input ends when this process does, however that comes about.
    const script = 'pids=""; while read -r pid; do pids="$pids $pid"; done; kill -9 $pids; rm -rf "$0"';
    this.#watcher = spawn("/bin/sh", ["-c", script, root], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#watcher.stdin?.on("error", () => {});
    this.#watcher.unref();
    (this.#watcher.stdin as unknown as { unref(): void }).unref();
  }

  start(program: string, ...args: string[]): ChildProcess {
    const child = spawn(program, args, { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    this.#watcher.stdin?.write(`${child.pid}\n`);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.#output = `${this.#output}${chunk}`.slice(-2000);
      });
    }
    const closed = new Promise<void>((resolve) => {
      child.once("close", (code, signal) => {
        if (!this.#stopping) this.#loss(new Error(`${program} ended with ${signal ?? code}`));
        resolve();
      });
    });
    this.#members.unshift({ child, closed });
    return child;
  }

  /** What is waited for, or the end of a daemon, whichever comes first. */
  unlessGone<T>(waiting: Promise<T>): Promise<T> {
    return Promise.race([waiting, this.#lost]);
  }

  lastWords(): string {
    const log = join(this.#root, "log", "client.rgw.log");
    const tail = existsSync(log) ? readFileSync(log, "utf8").slice(-500) : "";
    return `\n${this.#output}\n${tail}`;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    // Nothing of what they hold is kept, so there is nothing to wait for: an orderly end takes seconds.
    for (const { child, closed } of this.#members) {
      child.kill("SIGKILL");
      await closed;
    }
    this.#watcher.kill("SIGKILL");
    rmSync(this.#root, { recursive: true, force: true });
  }
}

async function answering(endpoint: string): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    try {
      const reply = await fetch(endpoint, { signal: AbortSignal.timeout(2000) });
      await reply.body?.cancel();
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error("no answer within a minute");
}

/** Held together until all are known, so that they differ. */
async function freePorts<const N extends number>(count: N): Promise<N extends 2 ? [number, number] : number[]> {
  const probes = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    probes.map(
      (probe) =>
        new Promise<number>((resolve, reject) => {
          probe.once("error", reject).listen(0, "127.0.0.1", () => {
            const address = probe.address();
            resolve(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports as N extends 2 ? [number, number] : number[];
}

interface Setup {
  readonly root: string;
  readonly fsid: string;
  readonly port: number;
  readonly mon: number;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

function configuration({ root, fsid, port, mon, settings }: Setup): string {
  const section = (values: Readonly<Record<string, string | number | boolean>>) =>
    Object.entries(values).map(([key, value]) => `${key} = ${value}`);
  const global = section({
    fsid,
    mon_host: `v2:127.0.0.1:${mon}/0`,
    public_addr: "127.0.0.1",
    cluster_addr: "127.0.0.1",
    ms_bind_msgr1: false,
    ms_bind_ipv6: false,
    auth_cluster_required: "cephx",
    auth_service_required: "cephx",
    auth_client_required: "cephx",
    auth_allow_insecure_global_id_reclaim: true,
    run_dir: `${root}/run`,
    pid_file: "",
    admin_socket: "",
    log_file: `${root}/log/$name.log`,
    mon_cluster_log_file: `${root}/log/cluster.log`,
    keyring: `${root}/keyring`,
    mon_data: `${root}/mon`,
    osd_data: `${root}/osd`,
    osd_objectstore: "memstore",
    memstore_device_bytes: 1024 ** 3,
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    osd_pool_default_pg_num: 1,
    osd_pool_default_pgp_num: 1,
    osd_pool_default_pg_autoscale_mode: "off",
    osd_crush_chooseleaf_type: 0,
    osd_max_object_name_len: 1024,
    osd_scrub_load_threshold: 0,
    mon_allow_pool_size_one: true,
    mon_allow_pool_delete: true,
    mon_data_avail_warn: 2,
    mon_data_avail_crit: 1,
    mon_osd_min_up_ratio: 0,
    mon_max_pg_per_osd: 1000,
    // A change of the cluster's map waits a second for others to join it, and a gateway starts with ten of them.
    paxos_propose_interval: 0.02,
    paxos_min_wait: 0.005,
    // Who comes before the monitor listens asks again after this, and not after three seconds.
    mon_client_hunt_interval: 0.2,
    mon_client_hunt_interval_backoff: 1,
  });
  const gateway = section({
    rgw_frontends: `beast endpoint=127.0.0.1:${port} tcp_nodelay=1`,
    rgw_data: `${root}/rgw`,
    rgw_enable_usage_log: false,
    // A day of a lifecycle rule lasts this many seconds.
    rgw_lc_debug_interval: 10,
    rgw_s3_auth_use_sts: true,
    rgw_sts_key: "abcdefghijklmnop",
    rgw_crypt_require_ssl: false,
    ...settings,
  });
  const parts = ["[global]", ...global, "[mon]", "mon_initial_members = a", "[client.rgw]", ...gateway];
  return `${parts.join("\n")}\n`;
}
