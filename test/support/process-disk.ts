import {
  constants,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { type CallName, type FsIo, nodeIo } from "../../src/drivers/fs/io.ts";

/** A call as the driver made it, with what came back. */
export interface LoggedCall {
  readonly name: CallName;
  readonly args: readonly unknown[];
  readonly result: unknown;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

const READS: readonly CallName[] = ["close", "fstat", "lstat", "read", "readlink", "readdir", "realpath", "statfs"];

/** It changes what is on the disk, or makes sure of it. */
export function isChange({ name, args }: Pick<LoggedCall, "name" | "args">): boolean {
  return name === "open" ? ((args[1] as number) & constants.O_CREAT) !== 0 : !READS.includes(name);
}

/** Logs the calls of the driver's synchronous way of running; bytes are copied. */
export function recorded(log: LoggedCall[]): FsIo {
  type Any = (...args: readonly unknown[]) => unknown;
  const sync = Object.fromEntries(
    Object.entries(nodeIo.sync).map(([name, run]) => [
      name,
      (...args: readonly unknown[]) => {
        const result = (run as Any)(...args);
        const copied = args.map((a) => (Buffer.isBuffer(a) ? Buffer.from(a) : a));
        log.push({ name: name as CallName, args: copied, result, time: Date.now() });
        return result;
      },
    ]),
  ) as unknown as FsIo["sync"];
  const async = Object.fromEntries(
    Object.entries(sync).map(([name, run]) => [name, async (...args: readonly unknown[]) => (run as Any)(...args)]),
  ) as unknown as FsIo["async"];
  return { sync, async };
}

// `time` is that of the last change: what is older than the head's last word is told from what somebody did by hand.
type Node =
  | { readonly kind: "folder"; readonly entries: Map<string, number> }
  | { readonly kind: "file"; content: Buffer; time: number }
  | { readonly kind: "link"; readonly target: string; readonly time: number };

/** One step that reaches the disk or not, whole: entries of one folder, or bytes of one file. */
type Effect =
  | {
      readonly kind: "entries";
      readonly folder: number;
      readonly set: readonly (readonly [string, number | undefined])[];
    }
  | { readonly kind: "content"; readonly file: number; readonly content: Buffer };

/** A state that a power loss may leave, as path → content, link target or folder. */
export type Remains = ReadonlyMap<string, Remain>;
type Remain =
  | { readonly file: Buffer; readonly time: number }
  | { readonly link: string; readonly time: number }
  | "folder";

/**
 * A model of a disk that keeps only what was flushed: the bytes of a file once the file was fsynced, the entries of a
 * folder once the folder was. What was not flushed may be there or not, each effect for itself.
 */
export class Disk {
  readonly #root: string;
  readonly #nodes: Node[] = [];
  readonly #open = new Map<number, number>();
  #pending: Effect[] = [];
  /** As all programs see it while the power is on. */
  readonly #live: Node[] = [];

  /**
   * @param from the folder as it is at the start
   * @param root the path of that folder in the calls to come
   */
  constructor(from: string, root: string) {
    this.#root = root;
    this.#load(from);
    for (const node of this.#nodes) this.#live.push(cloned(node));
  }

  #load(path: string): number {
    const entries = new Map<string, number>();
    const id = this.#nodes.push({ kind: "folder", entries }) - 1;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) entries.set(entry.name, this.#load(child));
      else {
        const time = lstatSync(child).mtimeMs;
        const node: Node = entry.isSymbolicLink()
          ? { kind: "link", target: readlinkSync(child), time }
          : { kind: "file", content: readFileSync(child), time };
        entries.set(entry.name, this.#nodes.push(node) - 1);
      }
    }
    return id;
  }

  get pending(): number {
    return this.#pending.length;
  }

  apply({ name, args, result, time }: LoggedCall): void {
    const path = args[0] as string;
    switch (name) {
      case "open": {
        let id = this.#find(path);
        if (id === undefined) {
          id = this.#add({ kind: "file", content: Buffer.alloc(0), time });
          this.#enter(path, id);
        }
        this.#open.set(result as number, id);
        return;
      }
      case "close":
        this.#open.delete(args[0] as number);
        return;
      case "write": {
        const [fd, buffer, offset] = args as [number, Buffer, number];
        const id = this.#fd(fd);
        const node = this.#live[id] as Node & { kind: "file" };
        node.content = Buffer.concat([node.content, buffer.subarray(offset, offset + (result as number))]);
        this.#pending.push({ kind: "content", file: id, content: node.content });
        return;
      }
      case "fsync": {
        const id = this.#fd(args[0] as number);
        const flushed = (e: Effect) => (e.kind === "entries" ? e.folder === id : e.file === id);
        for (const effect of this.#pending.filter(flushed)) perform(this.#nodes, effect);
        this.#pending = this.#pending.filter((e) => !flushed(e));
        return;
      }
      case "link":
        this.#enter(args[1] as string, this.#find(path) as number);
        return;
      case "symlink":
        this.#enter(args[1] as string, this.#add({ kind: "link", target: path, time }));
        return;
      case "mkdir":
        this.#enter(path, this.#add({ kind: "folder", entries: new Map() }));
        return;
      case "unlink":
      case "rmdir":
        this.#enter(path, undefined);
        return;
      case "rename": {
        const [from, to] = [this.#parent(path), this.#parent(args[1] as string)];
        const id = this.#find(path) as number;
        if (from.id === to.id)
          this.#effect(from.id, [
            [from.name, undefined],
            [to.name, id],
          ]);
        else {
          this.#effect(to.id, [[to.name, id]]);
          this.#effect(from.id, [[from.name, undefined]]);
        }
      }
    }
  }

  /** The remains when of the pending effects those in `kept` made it; of the others, bytes may have made it in part. */
  remains(kept: ReadonlySet<number>, part: (length: number) => number): Remains {
    const nodes = this.#nodes.map(cloned);
    for (const [i, effect] of this.#pending.entries()) {
      if (kept.has(i)) perform(nodes, effect);
      else if (effect.kind === "content") {
        const length = part(effect.content.length);
        if (length > 0) perform(nodes, { ...effect, content: effect.content.subarray(0, length) });
      }
    }
    return walk(nodes);
  }

  /** What programs see while the power is on; for comparing the model with the real folder. */
  live(): Remains {
    return walk(this.#live);
  }

  #add(node: Node): number {
    // A file that was made and never flushed is empty when it is there at all.
    this.#nodes.push(cloned(node));
    return this.#live.push(node) - 1;
  }

  #enter(path: string, id: number | undefined): void {
    const { id: folder, name } = this.#parent(path);
    this.#effect(folder, [[name, id]]);
  }

  #effect(folder: number, set: readonly (readonly [string, number | undefined])[]): void {
    const effect: Effect = { kind: "entries", folder, set };
    perform(this.#live, effect);
    this.#pending.push(effect);
  }

  #parent(path: string): { id: number; name: string } {
    const id = this.#find(dirname(path));
    if (id === undefined) throw new Error(`the model has no folder for ${path}`);
    return { id, name: path.slice(path.lastIndexOf("/") + 1) };
  }

  #fd(fd: number): number {
    const id = this.#open.get(fd);
    if (id === undefined) throw new Error(`the model has no open file ${fd}`);
    return id;
  }

  /** Also through `/proc/self/fd/N/…`, which is how the driver names what is below an open folder. */
  #find(path: string): number | undefined {
    const viaFd = /^\/proc\/self\/fd\/(\d+)(?:\/(.*))?$/.exec(path);
    const inside = viaFd === null ? relative(this.#root, path) : (viaFd[2] ?? "");
    if (inside.startsWith("..")) return this.#add({ kind: "folder", entries: new Map() });
    let id = viaFd === null ? 0 : this.#fd(Number(viaFd[1]));
    for (const name of inside.split("/").filter((part) => part !== "" && part !== ".")) {
      const node = this.#live[id];
      const next = node?.kind === "folder" ? node.entries.get(name) : undefined;
      if (next === undefined) return undefined;
      id = next;
    }
    return id;
  }
}

function cloned(node: Node): Node {
  return node.kind === "folder" ? { kind: "folder", entries: new Map(node.entries) } : { ...node };
}

function perform(nodes: Node[], effect: Effect): void {
  if (effect.kind === "content") {
    (nodes[effect.file] as Node & { kind: "file" }).content = effect.content;
    return;
  }
  const { entries } = nodes[effect.folder] as Node & { kind: "folder" };
  for (const [name, id] of effect.set) {
    if (id === undefined) entries.delete(name);
    else entries.set(name, id);
  }
}

function walk(nodes: readonly Node[]): Remains {
  const found = new Map<string, Remain>();
  const visit = (id: number, path: string) => {
    const node = nodes[id] as Node;
    if (node.kind === "file") found.set(path, { file: node.content, time: node.time });
    else if (node.kind === "link") found.set(path, { link: node.target, time: node.time });
    else {
      if (path !== "") found.set(path, "folder");
      for (const [name, child] of [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
        visit(child, path === "" ? name : `${path}/${name}`);
      }
    }
  };
  visit(0, "");
  return found;
}

export function materialise(remains: Remains, path: string): void {
  mkdirSync(path, { recursive: true });
  for (const [name, what] of remains) {
    const at = join(path, name);
    if (what === "folder") mkdirSync(at);
    else {
      if ("link" in what) symlinkSync(what.link, at);
      else writeFileSync(at, what.file);
      lutimesSync(at, what.time / 1000, what.time / 1000);
    }
  }
}

/** A short text that is equal for equal states. */
export function identity(remains: Remains): string {
  return [...remains]
    .map(([path, what]) => {
      if (what === "folder") return `${path}/`;
      return "link" in what ? `${path} -> ${what.link}` : `${path} ${what.file.toString("base64")}`;
    })
    .join("\n");
}
