import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import type { HealthCheck } from "../../driver.ts";
import { networkOf, spaceCheck } from "../disk.ts";
import { createOnly, discard, NotCreated, writeTemp } from "./create.ts";
import { failure } from "./failure.ts";
import { closeFolder, type Folder, openFolder, syncFolder } from "./folder.ts";
import { tempFile } from "./layout.ts";
import { showLink } from "./projections.ts";
import { freshRootOf, isEmpty } from "./root.ts";
import type { Store } from "./store.ts";
import { call, type Task } from "./task.ts";

/** Tries everything the driver relies on, in the folder itself, and leaves nothing behind. */
export function* check(store: Store, closed: boolean): Task<HealthCheck[]> {
  if (closed) return [{ name: "open", ok: false, detail: "closed" }];
  const checks: HealthCheck[] = [];
  const problem = (name: string, error: unknown) =>
    checks.push({ name, ok: false, detail: failure(error, store.base, { path: store.base }).message });
  let root: string | undefined;
  try {
    root = yield* freshRootOf(store);
    // A server may be asked for its health long before it is asked for a prompt.
    if (root !== undefined && !store.inhabited) store.inhabited = !(yield* isEmpty(root));
  } catch (error) {
    problem("root", error);
    return checks;
  }
  if (root === undefined) return yield* checkParent(store);
  checks.push({ name: "root", ok: true, detail: root });
  try {
    const folder = yield* openFolder(store, root, root);
    if (folder === undefined) throw new Error("it vanished");
    try {
      yield* probe(store, folder, checks);
    } finally {
      yield* closeFolder(folder);
    }
  } catch (error) {
    problem("writable", error instanceof NotCreated ? error.error : error);
  }
  checks.push(...(yield* checkSpace(root)));
  return checks;
}

function* checkParent(store: Store): Task<HealthCheck[]> {
  let parent = dirname(store.base);
  while ((yield* call("lstat", parent)) === undefined && dirname(parent) !== parent) parent = dirname(parent);
  const detail = `${store.base} is not there yet and is created when something is stored`;
  try {
    const real = yield* call("realpath", parent);
    const path = `${real}/${tempFile(randomUUID())}`;
    yield* call("mkdir", path);
    yield* call("rmdir", path);
    return [{ name: "root", ok: true, detail }, ...(yield* checkSpace(real))];
  } catch (error) {
    return [{ name: "root", ok: false, detail: failure(error, `${store.base} can't be created`, {}).message }];
  }
}

function* probe(store: Store, folder: Folder, checks: HealthCheck[]): Task<void> {
  const final = tempFile(randomUUID());
  const link = tempFile(randomUUID());
  const temp = yield* writeTemp(folder, "probe\n", store.hardLinks === false);
  try {
    const first = yield* createOnly(store, folder, temp, final);
    yield* syncFolder(folder);
    checks.push({ name: "writable", ok: first === "created", detail: "created, synced and named a file" });
    const detail = store.hardLinks === true ? "hard links" : "no hard links: slots are claimed by folders";
    checks.push({ name: "create-only", ok: true, detail });
    yield* showLink(store, folder, link, final);
    const links = store.symlinks === true ? "symbolic links" : "no symbolic links: small files stand in for them";
    checks.push({ name: "links", ok: true, detail: links });
  } finally {
    yield* discard(folder, temp);
    yield* discard(folder, { file: final, boxed: false });
    yield* discard(folder, { file: link, boxed: false });
  }
}

function* checkSpace(path: string): Task<HealthCheck[]> {
  try {
    const stats = yield* call("statfs", path);
    const space = spaceCheck(stats);
    const network = networkOf(stats);
    if (network === undefined) return [space];
    const warning = `${network.kind}: other machines may see changes late, and writers on several are not supported`;
    return [space, { name: "file system", ok: true, detail: warning }];
  } catch {
    return [{ name: "space", ok: true, detail: "unknown" }];
  }
}
